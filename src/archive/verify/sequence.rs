//! V9: the archive's number against what is known from elsewhere.

use super::VerifyOptions;
use super::codes::{Check, Code, fail};
use crate::archive::statement::Statement;
use crate::model::Digest;

/// Compares number and statement hash with the lowest acceptable number and with known archives.
pub(super) fn check(statement: &Statement, hash: Digest, options: &VerifyOptions) -> Check<()> {
    let number = statement.sequence;
    if let Some(lowest) = options.min_sequence
        && number < lowest
    {
        return fail(Code::Rollback, format!("number {number} is below {lowest}, the lowest acceptable one"));
    }
    let known = &options.known_statements;
    match known.get(&number) {
        Some(other) if *other != hash => {
            return fail(Code::Fork, format!("another archive of number {number} is known"));
        }
        Some(_) => return Ok(()),
        None => {}
    }
    let Some((newest, _)) = known.last_key_value() else { return Ok(()) };
    if number < *newest {
        return fail(Code::Rollback, format!("number {number} is offered, {newest} is known"));
    }
    if number > newest + 1 {
        return fail(Code::Gap, format!("between {newest} and {number} archives are missing"));
    }
    // Here the number follows the newest known archive; it must name that one.
    let named = statement.previous.as_ref().map(|p| p.statement_sha256);
    if named != known.get(newest).copied() {
        return fail(Code::Fork, format!("number {number} follows another archive {newest} than the known one"));
    }
    Ok(())
}
