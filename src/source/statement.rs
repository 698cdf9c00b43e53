//! Checks that a text is one SELECT, before an engine sees it.
//!
//! The connection is read-only whatever the statement says; this check keeps a mapping from ending the snapshot
//! (`COMMIT`), attaching other files or hiding a second statement. It reads tokens, not grammar.

use super::Error;

/// Fails unless the text is a single statement that starts with SELECT, WITH or VALUES.
pub(super) fn check(sql: &str) -> Result<(), Error> {
    let bytes = sql.as_bytes();
    let mut at = 0;
    let mut first_word: Option<&str> = None;
    let mut ended = false;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest[0] {
            b if b.is_ascii_whitespace() => at += 1,
            b'-' if rest.starts_with(b"--") => at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => {
                at += find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4);
            }
            b';' => {
                ended = true;
                at += 1;
            }
            _ if ended => return Err(Error::NotARead { reason: "text after the first statement" }),
            quote @ (b'\'' | b'"' | b'`') => {
                at += 1 + rest[1..].iter().position(|b| *b == quote).map_or(rest.len() - 1, |end| end + 1);
            }
            b'[' => at += rest.iter().position(|b| *b == b']').map_or(rest.len(), |end| end + 1),
            b if b.is_ascii_alphabetic() || b == b'_' => {
                let length = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(rest.len());
                first_word.get_or_insert(&sql[at..at + length]);
                at += length;
            }
            _ => {
                // A statement that starts with anything but a word (for instance a parenthesis) is no SELECT of ours.
                first_word.get_or_insert("");
                at += 1;
            }
        }
    }
    match first_word {
        None => Err(Error::NotARead { reason: "no statement" }),
        Some(w) if ["select", "with", "values"].iter().any(|k| w.eq_ignore_ascii_case(k)) => Ok(()),
        Some(_) => Err(Error::NotARead { reason: "it starts with another word" }),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::check;

    /// One SELECT passes, whatever its literals hold; everything else is refused before the engine sees it.
    #[test]
    fn only_single_selects_pass() {
        for good in [
            "SELECT 1",
            "  -- note; with semicolon\n select ';' , \"a;b\" from t ;  -- end",
            "WITH a AS (SELECT 1) SELECT * FROM a;;",
            "/* x ; y */ SELECT [a;b], `c;d` FROM t",
            "VALUES (1)",
            "SELECT 'it''s; fine'",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-- only a note",
            "DELETE FROM t",
            "SELECT 1; COMMIT",
            "COMMIT",
            "ATTACH 'x' AS y",
            "PRAGMA query_only=0",
            "(SELECT 1)",
            "SELECT 1;/**/;DROP TABLE t",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
