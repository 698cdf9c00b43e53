//! Tokens: what stands in an archive where a person stood in the source.

use std::borrow::Cow;

use data_encoding::BASE32_NOPAD;

use crate::crypto::MacKey;

/// Base32 characters of a token: 130 bits, so that two people never share one.
const TOKEN_CHARS: usize = 26;
/// What separates tokens from every other use of a key.
const DOMAIN: &[u8] = b"sealport/v1\0";

/// Whom a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// A member of staff: prefix `s_`.
    Staff,
    /// A customer: prefix `c_`.
    Customer,
}

impl TokenKind {
    /// Prefix of the token.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Staff => "s_",
            Self::Customer => "c_",
        }
    }
}

/// The token of a value: prefix and 26 lower-case base32 characters of HMAC-SHA-256(key, `sealport/v1` 0x00 value).
///
/// The value is normalised first. An empty value names nobody and stays empty.
pub fn token(key: &MacKey, kind: TokenKind, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let code = key.mac(&[DOMAIN, normalise(value).as_bytes()]);
    let mut token = String::with_capacity(kind.prefix().len() + TOKEN_CHARS);
    token.push_str(kind.prefix());
    // 20 bytes are exactly 32 base32 characters.
    let mut text = BASE32_NOPAD.encode(&code[..20]);
    text.make_ascii_lowercase();
    token.push_str(&text[..TOKEN_CHARS]);
    token
}

/// One spelling per person: a mainland mobile number loses `+86` or `0086`, blanks and dashes; anything else stays
/// as it is.
pub fn normalise(value: &str) -> Cow<'_, str> {
    let is_separator = |b: u8| b == b' ' || b == b'-';
    // The longest phone is `0086` and eleven digits with a separator after each.
    if value.len() > 32 || !value.bytes().all(|b| b.is_ascii_digit() || is_separator(b) || b == b'+') {
        return Cow::Borrowed(value);
    }
    let compact: String = value.bytes().filter(|b| !is_separator(*b)).map(char::from).collect();
    let number = compact.strip_prefix("+86").or_else(|| compact.strip_prefix("0086")).unwrap_or(&compact);
    if !is_mobile(number) || number.len() == value.len() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(number.to_owned())
}

/// Eleven digits from 13x to 19x.
pub(super) fn is_mobile(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    bytes.len() == 11 && bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1]) && bytes.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> MacKey {
        MacKey::new(&[byte; 32])
    }

    /// The vectors published in `docs/pseudonyms.md`; a change breaks every archive ever sealed.
    #[test]
    fn published_vectors() {
        let bytes: Vec<u8> = (0..32).collect();
        let key = MacKey::new(&bytes);
        assert_eq!(token(&key, TokenKind::Staff, "13800138000"), "s_4bkmph7fd4prlifiebgczq3dyu");
        assert_eq!(token(&key, TokenKind::Staff, "+86 138-0013-8000"), "s_4bkmph7fd4prlifiebgczq3dyu");
        assert_eq!(token(&key, TokenKind::Customer, "oAbCdEfGhIjKlMnOpQrStUvWxYz0"), "c_rk2t7hcyehzawwmyzkhjqev4vy");
    }

    /// Only phone numbers are respelled.
    #[test]
    fn normalisation() {
        for (value, expected) in [
            ("13800138000", "13800138000"),
            ("+8613800138000", "13800138000"),
            ("0086 138 0013 8000", "13800138000"),
            ("138-0013-8000", "13800138000"),
            ("8613800138000", "8613800138000"),
            ("12 345", "12 345"),
            ("+86 12345", "+86 12345"),
            (" zhang ", " zhang "),
            ("010-12345678", "010-12345678"),
            ("", ""),
        ] {
            assert_eq!(normalise(value), expected, "{value}");
        }
        assert_eq!(token(&key(1), TokenKind::Staff, ""), "");
    }

    proptest! {
        /// Same person, same token; another person, key or class, another token; the value is not in it.
        #[test]
        fn tokens_join_and_separate(a in "\\PC{1,40}", b in "\\PC{1,40}") {
            let t = token(&key(1), TokenKind::Staff, &a);
            prop_assert_eq!(&t, &token(&key(1), TokenKind::Staff, &a));
            prop_assert_ne!(&t, &token(&key(2), TokenKind::Staff, &a));
            prop_assert_eq!(t.len(), 28);
            prop_assert_eq!(normalise(&a) == normalise(&b), t == token(&key(1), TokenKind::Staff, &b));
            let once = normalise(&a);
            prop_assert_eq!(normalise(&once), once.as_ref());
        }
    }
}
