//! Secrets recognised by their form: values after telling keys, private keys, tokens, digests of passwords.
//!
//! Logs hold request dumps, and dumps hold secrets; sentences hold hashes. A long random word is taken for a secret
//! even if it may be an innocent digest: the original stays with the merchant, the archive does not need it.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::redact::Span;

const SECRET: &str = "secret";
/// What already stands in the place of a secret.
const LABEL: &str = "[secret]";
/// Letters and digits of a word that is taken for a secret, at least.
const RANDOM_CHARS_MIN: usize = 32;

static KEYS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([
            "password",
            "passwd",
            "pwd",
            "passphrase",
            "secret",
            "token",
            "apikey",
            "api_key",
            "api-key",
            "accesskey",
            "access_key",
            "access-key",
            "privatekey",
            "private_key",
            "private-key",
            "credential",
            "authorization",
            "cookie",
            "sessionid",
            "session_id",
            "sessionkey",
            "session_key",
            "session-key",
            "mchkey",
            "mch_key",
            "signkey",
            "sign_key",
            "encryptkey",
            "encrypt_key",
            "aeskey",
            "aes_key",
            "salt",
            "密码",
            "口令",
            "密钥",
            "私钥",
            "令牌",
        ])
        // The list is fixed and small, so this never fails; without it only the other forms are found.
        .ok()
});

/// Whether a column of this name most likely holds secrets.
pub fn is_secret_name(name: &str) -> bool {
    KEYS.as_ref().is_some_and(|keys| keys.is_match(name))
}

/// Finds all of them.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    if let Some(keys) = KEYS.as_ref() {
        for key in keys.find_iter(text) {
            if let Some((start, end)) = value_after(text, key.end()) {
                spans.push(Span { start, end, kind: SECRET });
            }
        }
    }
    pem(text, spans);
    words(text, spans);
}

/// The value that a key ending here is given, as a byte range; `None` when nothing is assigned.
fn value_after(text: &str, key_end: usize) -> Option<(usize, usize)> {
    let rest = |at: usize| text.get(at..).unwrap_or("");
    let skip = |at: usize, f: fn(char) -> bool| at + rest(at).len() - rest(at).trim_start_matches(f).len();
    let mut at = skip(key_end, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.');
    at = skip(at, |c| matches!(c, '"' | '\'' | '\\' | ']'));
    at = skip(at, char::is_whitespace);
    let separator = rest(at).chars().next().filter(|c| matches!(c, ':' | '=' | '：' | '＝'))?;
    at = skip(at + separator.len_utf8(), |c| c.is_whitespace() || c == '>');
    for quote in ["\\\"", "\"", "'", "“"] {
        if rest(at).starts_with(quote) {
            let start = at + quote.len();
            return unless_replaced(text, start, start + quoted_length(rest(start), quote));
        }
    }
    let value = rest(at);
    if value.starts_with(LABEL) {
        // Labels may stand one behind the other; only what follows them is new.
        let start = text.len() - value.trim_start_matches(LABEL).len();
        return Some((start, start + word_length(rest(start)))).filter(|(a, b)| a < b);
    }
    let length = match value.chars().next()? {
        '{' => nested_length(value, '{', '}'),
        '[' => nested_length(value, '[', ']'),
        _ => {
            let word = word_length(value);
            // The scheme of an HTTP header is not the secret yet.
            if ["bearer", "basic"].iter().any(|s| value[..word].eq_ignore_ascii_case(s)) {
                let gap = value[word..].len() - value[word..].trim_start().len();
                word + gap + word_length(&value[word + gap..])
            } else {
                word
            }
        }
    };
    if matches!(&value[..length], "" | "null" | "true" | "false" | "None") { None } else { Some((at, at + length)) }
}

fn unless_replaced(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let value = &text[start..end];
    if value.is_empty() || value == LABEL { None } else { Some((start, end)) }
}

/// Up to the closing quote that is not escaped; to the end when there is none.
fn quoted_length(text: &str, quote: &str) -> usize {
    let close = if quote == "“" { "”" } else { quote };
    let mut from = 0;
    while let Some(found) = text[from..].find(close) {
        let at = from + found;
        let backslashes = text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        if close.starts_with('\\') || backslashes.is_multiple_of(2) {
            return at;
        }
        from = at + close.len();
    }
    text.len()
}

fn word_length(text: &str) -> usize {
    let ends = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                ',' | ';' | '&' | '}' | ']' | ')' | '"' | '\'' | '<' | '>' | '，' | '；' | '。' | '）' | '、'
            )
    };
    text.find(ends).unwrap_or(text.len())
}

fn nested_length(text: &str, open: char, close: char) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at + c.len_utf8();
            }
        }
    }
    text.len()
}

/// Keys in PEM, also when cut off.
fn pem(text: &str, spans: &mut Vec<Span>) {
    const BEGIN: &str = "-----BEGIN ";
    let mut from = 0;
    while let Some(found) = text[from..].find(BEGIN) {
        let start = from + found;
        let body = start + BEGIN.len();
        let end = text[body..]
            .find("-----END ")
            .and_then(|i| text[body + i + 9..].find("-----").map(|j| body + i + 9 + j + 5))
            .unwrap_or(text.len());
        spans.push(Span { start, end, kind: SECRET });
        from = end;
    }
}

/// Words that look drawn by lot, and words with a telling beginning.
fn words(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let is_inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'=' | b'$' | b'.' | b'/');
    let mut at = 0;
    while at < bytes.len() {
        if !is_inside(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_inside(bytes[at]) {
            at += 1;
        }
        // Only ASCII bytes are inside, so these are character boundaries.
        let word = &text[start..at];
        if word.starts_with("eyJ") && word.matches('.').count() == 2 || is_crypt(word) {
            spans.push(Span { start, end: at, kind: SECRET });
            continue;
        }
        let mut part_start = start;
        for part in word.split(['.', '/', '$']) {
            let end = part_start + part.len();
            if let Some(kind) = part_kind(part) {
                spans.push(Span { start: part_start, end, kind });
            }
            part_start = end + 1;
        }
    }
}

/// The crypt(3) form of a hashed password, e.g. bcrypt.
fn is_crypt(word: &str) -> bool {
    word.starts_with('$') && word.len() >= 30 && word.matches('$').count() >= 3
}

fn part_kind(part: &str) -> Option<&'static str> {
    let has = |f: fn(&u8) -> bool| part.as_bytes().iter().any(f);
    let (digit, upper, lower) = (has(u8::is_ascii_digit), has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    let is_plain = part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_hex = part.bytes().all(|b| b.is_ascii_hexdigit());
    if part.len() == 28 && part.starts_with('o') && digit && upper && lower && !part.contains(['+', '=']) {
        return Some("openid");
    }
    let is_prefixed = [("LTAI", 16), ("AKIA", 20), ("AKID", 16), ("sk-", 20), ("sk_live_", 20), ("ghp_", 20)]
        .iter()
        .any(|(prefix, length)| part.starts_with(prefix) && part.len() >= *length);
    let is_random = part.len() >= RANDOM_CHARS_MIN
        && digit
        && ((is_hex && (upper || lower)) || (upper && lower) || (is_plain && (upper || lower)));
    if is_prefixed || is_random { Some(SECRET) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        spans.sort_by_key(|s| (s.start, s.end));
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    /// Assignments in every dress that logs wear.
    #[test]
    fn assignments() {
        for (text, expected) in [
            (r#"{"password":"p\"w","x":1}"#, vec![r#"p\"w"#]),
            (r#"{\"accessToken\":\"abc\",\"x\":1}"#, vec!["abc"]),
            ("user=a&pwd=abc&n=1", vec!["abc"]),
            ("Authorization: Bearer abc.def", vec!["Bearer abc.def"]),
            ("密码：abc123，已重置", vec!["abc123"]),
            ("password = 12345678; next", vec!["12345678"]),
            (r#"{"token":null,"secret":true}"#, vec![]),
            (r#"{"token":{"a":"b"},"n":1}"#, vec![r#"{"a":"b"}"#]),
            (r#"'api_key' => 'xyz'"#, vec!["xyz"]),
            ("password reset", vec![]),
            (r#"{"password":"[secret]"}"#, vec![]),
            ("pwd=[secret]rest", vec!["rest"]),
            (r#"{"password":"never closed"#, vec!["never closed"]),
            ("password:", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    /// Names of columns, as real schemas have them.
    #[test]
    fn names_of_columns() {
        for name in ["pwd_hash", "USER_PASSWORD", "salt", "app_secret", "api_key", "apiV3Key_token", "密码"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["note", "order_key", "keyword", "user_id"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    /// Random words and keys, and what must stay.
    #[test]
    fn forms() {
        for (text, expected) in [
            ("md5 5f4dcc3b5aa765d61d8327deb882cf99 saved", vec!["5f4dcc3b5aa765d61d8327deb882cf99"]),
            ("LTAI4GAbCdEf0123456 used", vec!["LTAI4GAbCdEf0123456"]),
            ("openid oAbCdEfGhIjKlMnOpQrStUvWxYz0 bound", vec!["oAbCdEfGhIjKlMnOpQrStUvWxYz0"]),
            (
                "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY----- x",
                vec!["-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"],
            ),
            ("s_4bkmph7fd4prlifiebgczq3dyu", vec![]),
            ("550e8400-e29b-41d4-a716-446655440000", vec![]),
            ("4200000925202101284997714292", vec![]),
            ("/api/v1/orders/2021/refunds/approve-by-manager/of-the-store-17", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
