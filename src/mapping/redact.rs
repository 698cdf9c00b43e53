//! Secrets inside texts: values of named keys removed from dumps, values of JSON paths turned into fingerprints.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Fingerprint;
use super::conversion::SecretForm;

/// What stands where a value was.
const MARK: &str = "[redacted]";

/// Copies a text, replacing the values of the named keys; returns how many were replaced. Understands JSON (also
/// JSON quoted inside JSON), `key=value` and `key: value`. Keys match as whole words, without regard to case.
pub(super) fn redact(text: &str, keys: &[String], out: &mut String) -> u64 {
    let mut count = 0;
    let mut rest = text;
    while let Some((value_start, value_end)) = next_value(rest, keys) {
        out.push_str(&rest[..value_start]);
        out.push_str(MARK);
        rest = &rest[value_end..];
        count += 1;
    }
    out.push_str(rest);
    count
}

/// Where the value of the first named key stands.
fn next_value(text: &str, keys: &[String]) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    for start in 0..bytes.len() {
        let is_word_start = start == 0 || !is_word(bytes[start - 1]);
        if !is_word_start {
            continue;
        }
        for key in keys {
            let end = start + key.len();
            let matches = bytes.get(start..end).is_some_and(|b| b.eq_ignore_ascii_case(key.as_bytes()))
                && !bytes.get(end).copied().is_some_and(is_word);
            if matches && let Some(span) = value_after(text, end) {
                return Some(span);
            }
        }
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The span of the value that follows a key ending at `at`, if a `:` or `=` follows.
fn value_after(text: &str, mut at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    while matches!(bytes.get(at), Some(b'\\' | b'"' | b'\'')) {
        at += 1;
    }
    at += spaces(bytes, at);
    if !matches!(bytes.get(at), Some(b':' | b'=')) {
        return None;
    }
    at += 1;
    at += spaces(bytes, at);
    let escapes = bytes[at..].iter().take_while(|b| **b == b'\\').count();
    let start = at + escapes;
    match bytes.get(start).copied() {
        None => None,
        Some(quote @ (b'"' | b'\'')) => {
            // A value that opens with an escaped quote ends at a quote that is escaped no deeper; a plain one ends
            // at the first quote that is not escaped.
            let inner = start + 1;
            let mut run = 0;
            for (i, b) in bytes.iter().enumerate().skip(inner) {
                if *b == b'\\' {
                    run += 1;
                    continue;
                }
                if *b == quote && if escapes == 0 { run % 2 == 0 } else { run <= escapes } {
                    return Some((inner, if escapes == 0 { i } else { i - run }));
                }
                run = 0;
            }
            Some((inner, bytes.len()))
        }
        Some(b'{' | b'[') => Some((start, balanced(bytes, start))),
        Some(_) => {
            let length = bytes[start..]
                .iter()
                .take_while(|b| {
                    !matches!(
                        **b,
                        b'&' | b',' | b';' | b'}' | b']' | b')' | b'"' | b'\'' | b' ' | b'\t' | b'\r' | b'\n'
                    )
                })
                .count();
            (length > 0).then_some((start, start + length))
        }
    }
}

fn spaces(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| matches!(**b, b' ' | b'\t' | b'\r' | b'\n')).count()
}

/// End of a bracketed value; brackets inside quotes do not count.
fn balanced(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut in_quotes, mut i) = (0_usize, false, start);
    while let Some(b) = bytes.get(i) {
        match *b {
            b'\\' => i += 1,
            b'"' => in_quotes = !in_quotes,
            b'{' | b'[' if !in_quotes => depth += 1,
            b'}' | b']' if !in_quotes => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
        i += 1;
    }
    bytes.len()
}

/// The fingerprint of a secret cell; with paths a JSON object from path to fingerprint, in order of paths.
pub(super) fn fingerprint(text: &str, form: &SecretForm, mac: &Fingerprint, out: &mut String) {
    if form.paths.is_empty() {
        out.push_str(&mac(text.as_bytes()));
        return;
    }
    let mut found = BTreeMap::new();
    match serde_json::from_str::<Value>(text) {
        Ok(value) => leaves(&value, &mut "$".to_owned(), form, mac, &mut found),
        // Not JSON: whatever it is, it was declared to hold secrets.
        Err(_) => {
            found.insert("$".to_owned(), mac(text.as_bytes()));
        }
    }
    out.push_str(&serde_json::to_string(&found).unwrap_or_default());
}

fn leaves(value: &Value, path: &mut String, form: &SecretForm, mac: &Fingerprint, out: &mut BTreeMap<String, String>) {
    let length = path.len();
    let is_listed = form.paths.contains(path);
    match value {
        Value::Object(map) if !is_listed => {
            for (key, inner) in map {
                path.push('.');
                path.push_str(key);
                leaves(inner, path, form, mac, out);
                path.truncate(length);
            }
        }
        Value::Array(list) if !is_listed => {
            for (i, inner) in list.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                leaves(inner, path, form, mac, out);
                path.truncate(length);
            }
        }
        Value::Null => {}
        _ if is_listed || form.rest_is_secret => {
            let mark = match value {
                Value::String(text) => mac(text.as_bytes()),
                other => mac(other.to_string().as_bytes()),
            };
            out.insert(path.clone(), mark);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn redacted(text: &str) -> (String, u64) {
        let keys = ["password".to_owned(), "iToken".to_owned()];
        let mut out = String::new();
        let count = redact(text, &keys, &mut out);
        (out, count)
    }

    #[test]
    fn forms_of_dumps() {
        for (text, expected, count) in [
            (r#"{"password": "a\"b", "x": 1}"#, r#"{"password": "[redacted]", "x": 1}"#, 1),
            (r#"{"d":"{\"password\":\"abc\",\"y\":2}"}"#, r#"{"d":"{\"password\":\"[redacted]\",\"y\":2}"}"#, 1),
            ("user=1&PASSWORD=abc&z=2", "user=1&PASSWORD=[redacted]&z=2", 1),
            (r#"{"iToken":{"a":["}"]},"b":1}"#, r#"{"iToken":[redacted],"b":1}"#, 1),
            (r#"{"password":12345,"itoken":null}"#, r#"{"password":[redacted],"itoken":[redacted]}"#, 2),
            ("passwords=1 mypassword=2 password", "passwords=1 mypassword=2 password", 0),
            ("password: 秘密 尾", "password: [redacted] 尾", 1),
            (r#"{"password":"unterminated"#, r#"{"password":"[redacted]"#, 1),
        ] {
            assert_eq!(redacted(text), (expected.to_owned(), count), "{text}");
        }
    }

    #[test]
    fn fingerprints_of_paths() {
        let mac: Fingerprint = Arc::new(|bytes| format!("fp{}", bytes.len()));
        let form = SecretForm { paths: vec!["$.key".into()], rest_is_secret: true };
        let mut out = String::new();
        fingerprint(r#"{"mchId":"1900","key":"abcdef","in":{"k":true}}"#, &form, &mac, &mut out);
        assert_eq!(out, r#"{"$.in.k":"fp4","$.key":"fp6","$.mchId":"fp4"}"#);
        out.clear();
        fingerprint(
            r#"{"mchId":"1900","key":"abcdef"}"#,
            &SecretForm { rest_is_secret: false, ..form.clone() },
            &mac,
            &mut out,
        );
        assert_eq!(out, r#"{"$.key":"fp6"}"#);
        out.clear();
        fingerprint("not json", &form, &mac, &mut out);
        assert_eq!(out, r#"{"$":"fp8"}"#);
    }

    proptest! {
        /// A secret of plain characters never survives, wherever it stands.
        #[test]
        fn secret_never_survives(secret in "[A-Z]{8,12}", before in "[a-z \"{:,=&]{0,12}") {
            for text in [
                format!("{before} password={secret}&x=1"),
                format!("{before} {{\"password\":\"{secret}\",\"x\":1}}"),
                format!("{before} {{\\\"password\\\":\\\"{secret}\\\"}}"),
            ] {
                prop_assert!(!redacted(&text).0.contains(&secret), "{}", text);
            }
        }

        /// No text makes it panic.
        #[test]
        fn any_text(text in "\\PC{0,60}") {
            let _ = redacted(&format!("password={text} \"password\":{text}"));
        }
    }
}
