//! Lawful re-identification: from a roster somebody holds to the tokens of its people, and back.
//!
//! A token cannot be reversed; only whoever has the key and a list of candidates can say which of them it stands for.

use std::collections::BTreeMap;

use super::Keys;
use super::token::TokenKind;

/// A value of a roster and what it is called in archives made with these keys.
#[derive(Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// As the roster has it.
    pub value: String,
    /// Its token as a member of staff.
    pub staff_token: String,
    /// Its token as a customer.
    pub customer_token: String,
}

impl std::fmt::Debug for RosterEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RosterEntry({})", self.staff_token)
    }
}

/// The tokens of every value of a roster, in its order; empty values are left out.
pub fn roster<'a>(keys: &Keys, values: impl IntoIterator<Item = &'a str>) -> Vec<RosterEntry> {
    values
        .into_iter()
        .filter(|value| !value.is_empty())
        .map(|value| RosterEntry {
            value: value.to_owned(),
            staff_token: keys.token(TokenKind::Staff, value),
            customer_token: keys.token(TokenKind::Customer, value),
        })
        .collect()
}

/// Which values of the roster the tokens stand for; several when the roster spells one person differently, none when
/// it does not have the person.
pub fn reidentify<'a, 'b>(
    keys: &Keys,
    tokens: impl IntoIterator<Item = &'b str>,
    values: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<&'b str, Vec<&'a str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = tokens.into_iter().map(|t| (t, Vec::new())).collect();
    for value in values.into_iter().filter(|v| !v.is_empty()) {
        for kind in [TokenKind::Staff, TokenKind::Customer] {
            if let Some(values) = found.get_mut(keys.token(kind, value).as_str())
                && !values.contains(&value)
            {
                values.push(value);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The roster finds its people under every spelling, and only with the right keys.
    #[test]
    fn back_and_forth() {
        let keys = Keys::test_only(1);
        let values = ["zhangwei88", "+86 13900001111", "13900001111", ""];
        let entries = roster(&keys, values);
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[1].staff_token, entries[2].staff_token);
        assert!(!format!("{entries:?}").contains("zhang"));
        let tokens = [entries[0].staff_token.as_str(), entries[1].customer_token.as_str(), "s_nobody"];
        let found = reidentify(&keys, tokens, values);
        assert_eq!(found[tokens[0]], ["zhangwei88"]);
        assert_eq!(found[tokens[1]], ["+86 13900001111", "13900001111"]);
        assert!(found["s_nobody"].is_empty());
        assert!(reidentify(&Keys::test_only(2), tokens, values).values().all(Vec::is_empty));
    }
}
