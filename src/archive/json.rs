//! Strict JSON: a reader that refuses what two readers could understand differently, and one canonical spelling.
//!
//! The reader refuses duplicate members, bytes before or after the object, text that is not UTF-8, deep nesting and
//! numbers that are not integers below 2^53. The writer sorts members by name and adds no space.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::layout::INTEGER_MAX;

/// How deep objects and lists may nest.
const NESTING_MAX: u32 = 32;

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A member occurs twice.
    DuplicateMember,
    /// Anything else.
    Malformed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateMember => f.write_str("a member occurs twice"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

/// Reads one JSON object that fills the bytes from the first to the last.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    if bytes.first() != Some(&b'{') || bytes.last() != Some(&b'}') {
        return Err(Refused::Malformed("not exactly one JSON object".into()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::Malformed("not UTF-8".into()))?;
    let duplicate = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_str(text);
    let strict = Strict { duplicate: &duplicate, depth: 0 };
    let value = strict.deserialize(&mut reader).and_then(|v| reader.end().map(|()| v)).map_err(|e| {
        if duplicate.get() {
            Refused::DuplicateMember
        } else {
            Refused::Malformed(format!("not strict JSON (line {}, column {})", e.line(), e.column()))
        }
    })?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Refused::Malformed("not a JSON object".into())),
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    duplicate: &'a Cell<bool>,
    depth: u32,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= NESTING_MAX {
            Err(E::custom("nested too deeply"))
        } else {
            Ok(Self { depth: self.depth + 1, ..self })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value >= INTEGER_MAX { Err(E::custom("integer too large")) } else { Ok(value.into()) }
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() >= INTEGER_MAX { Err(E::custom("integer too large")) } else { Ok(value.into()) }
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("not an integer"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if map.contains_key(&name) {
                self.duplicate.set(true);
                return Err(A::Error::custom("duplicate member"));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// The one spelling of a value: members sorted by name, no space, non-ASCII text as it is.
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(list) => {
            out.push(b'[');
            for (i, v) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(v, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_unstable();
            out.push(b'{');
            for (i, name) in names.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(Value::String(name.clone()).to_string().as_bytes());
                out.push(b':');
                write_canonical(&map[name], out);
            }
            out.push(b'}');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

/// Typed access to the members of an object; the error names the member.
pub(crate) trait Members {
    fn text(&self, name: &str) -> Result<&str, String>;
    fn integer(&self, name: &str) -> Result<u64, String>;
    fn list(&self, name: &str) -> Result<&[Value], String>;
    fn object(&self, name: &str) -> Result<&Map<String, Value>, String>;
    fn text_or_null(&self, name: &str) -> Result<Option<&str>, String>;
}

impl Members for Map<String, Value> {
    fn text(&self, name: &str) -> Result<&str, String> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is not a text"))
    }
    fn integer(&self, name: &str) -> Result<u64, String> {
        self.get(name).and_then(Value::as_u64).ok_or_else(|| format!("`{name}` is not a non-negative integer"))
    }
    fn list(&self, name: &str) -> Result<&[Value], String> {
        self.get(name).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| format!("`{name}` is not a list"))
    }
    fn object(&self, name: &str) -> Result<&Map<String, Value>, String> {
        self.get(name).and_then(Value::as_object).ok_or_else(|| format!("`{name}` is not an object"))
    }
    fn text_or_null(&self, name: &str) -> Result<Option<&str>, String> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(_) => Err(format!("`{name}` is neither a text nor null")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each ambiguity is refused, and a duplicate member is told apart from other mistakes.
    #[test]
    fn strictness() {
        assert!(parse_object(br#"{"a":{"b":[1,null,"x"]}}"#).is_ok());
        assert_eq!(parse_object(br#"{"a":1,"a":1}"#), Err(Refused::DuplicateMember));
        assert_eq!(parse_object(br#"{"x":{"a":1,"b":2,"\u0061":1}}"#), Err(Refused::DuplicateMember));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
        let bad: [&[u8]; 9] = [
            b"{} ",
            b" {}",
            b"{}{}",
            b"[]",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1.5}",
            b"{\"a\":9007199254740992}",
            b"{\"a\":\"\xff\"}",
            deep.as_bytes(),
        ];
        for bytes in bad {
            assert!(matches!(parse_object(bytes), Err(Refused::Malformed(_))), "{bytes:?}");
        }
    }

    /// Writing sorts; reading and writing again gives the same bytes.
    #[test]
    fn canonical_form() {
        let value = serde_json::json!({"b": [1, true, null], "a": {"z": "\u{7f}\"\\\n\u{1}é", "y": "2"}});
        let bytes = canonical(&value);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "{\"a\":{\"y\":\"2\",\"z\":\"\u{7f}\\\"\\\\\\n\\u0001é\"},\"b\":[1,true,null]}"
        );
        assert_eq!(canonical(&Value::Object(parse_object(&bytes).unwrap())), bytes);
    }
}
