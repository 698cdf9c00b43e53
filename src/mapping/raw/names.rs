//! Legal names for tables and columns that sources call as they please.

use std::collections::BTreeSet;

/// Bytes of a name in an archive, at most.
const NAME_BYTES_MAX: usize = 63;

/// The legal form of a name: lower case, letters outside ASCII as `u` and their code point in hex, everything else
/// as `_`. A name that does not begin with a letter gets `c_` before it.
fn legal(prefix: &str, name: &str) -> String {
    let mut out = prefix.to_owned();
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            c if c.is_ascii() => out.push('_'),
            c => out.push_str(&format!("u{:x}", u32::from(c))),
        }
    }
    if !out.starts_with(|c: char| c.is_ascii_lowercase()) {
        out.insert_str(0, "c_");
    }
    out.truncate(NAME_BYTES_MAX);
    out
}

/// Legal names given out so far; the same names in the same order always give the same result.
#[derive(Debug, Default)]
pub struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// No name but these can be given.
    pub fn without(reserved: &[&str]) -> Self {
        Self { taken: reserved.iter().map(|r| (*r).to_owned()).collect() }
    }

    /// A legal name that was not given before: the name's own, or with `_2`, `_3` … behind it.
    pub fn give(&mut self, prefix: &str, name: &str) -> String {
        let base = legal(prefix, name);
        let mut candidate = base.clone();
        let mut number = 2_u64;
        while !self.taken.insert(candidate.clone()) {
            let suffix = format!("_{number}");
            let room = NAME_BYTES_MAX - suffix.len();
            candidate = format!("{}{suffix}", &base[..base.len().min(room)]);
            number += 1;
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names of real schemas, and what collides.
    #[test]
    fn names() {
        let mut names = Names::without(&["src_key"]);
        for (name, expected) in [
            ("order", "order"),
            ("OrderNo", "orderno"),
            ("orderno", "orderno_2"),
            ("ORDERNO", "orderno_3"),
            ("2fa", "c_2fa"),
            ("a b-c", "a_b_c"),
            ("订单", "u8ba2u5355"),
            ("src_key", "src_key_2"),
            ("", "c_"),
            ("_id", "c__id"),
        ] {
            assert_eq!(names.give("", name), expected);
        }
        assert_eq!(Names::default().give("raw_", "QRTZ_LOCKS"), "raw_qrtz_locks");
    }

    proptest! {
        /// Whatever a source calls its columns, each gets a legal name of its own.
        #[test]
        fn always_legal(list in proptest::collection::vec("\\PC{0,80}", 1..12)) {
            let mut names = Names::default();
            let given: Vec<String> = list.iter().map(|n| names.give("", n)).collect();
            for name in &given {
                prop_assert!(name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()));
                prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            }
            let distinct: std::collections::BTreeSet<&String> = given.iter().collect();
            prop_assert_eq!(distinct.len(), given.len());
        }
    }
}
