//! Hash chains that a source keeps over its own log: the declared formula, its lint, and the recomputation.
//!
//! A formula is a list of literal texts and columns; a row's digest is that of their concatenation. Columns enter as
//! the SELECT gives them, before any conversion: NULL as empty text, integers in decimal, text and bytes as they are.
//! A floating point number has no single text, so a row that has one in the formula never matches; such columns are
//! to be cast in the SELECT. Only the digest of the row itself is judged here: links and numbers are a policy's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::config::Reader;
use crate::crypto::Hasher;
use crate::rows::{RawBatch, RawValue};
use crate::schema::Dataset;

/// What aliases of columns begin with that only the formula needs.
const PREFIX: &str = "chain_src_";
/// The columns that make a chain, besides the one that is computed.
const NEEDED: [&str; 3] = ["chain_seq_no", "chain_prev_hash", "chain_hash"];
/// The column that is computed.
pub(super) const OK: &str = "chain_ok";

/// One piece of a formula; `C` says which column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<C> {
    Literal(String),
    Column(C),
}

/// A declared formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Formula {
    pieces: Vec<Piece<String>>,
}

impl Formula {
    /// The formula as text, for the record of the seal.
    pub(super) fn describe(&self) -> String {
        let pieces: Vec<String> = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => format!("{text:?}"),
                Piece::Column(name) => format!("{{{name}}}"),
            })
            .collect();
        format!("hex(sha256({}))", pieces.join(" "))
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The formula with positions instead of names; the error is a column the rows do not have.
    pub(super) fn plan(&self, found: &BTreeMap<String, usize>) -> Result<ChainPlan, String> {
        let position = |name: &str| found.get(name).copied().ok_or_else(|| name.to_owned());
        let pieces = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => Ok(Piece::Literal(text.clone())),
                Piece::Column(name) => position(name).map(Piece::Column),
            })
            .collect::<Result<_, _>>()?;
        Ok(ChainPlan { pieces, hash: position("chain_hash")? })
    }
}

/// A formula whose columns are found.
#[derive(Debug, Clone)]
pub(super) struct ChainPlan {
    pieces: Vec<Piece<usize>>,
    hash: usize,
}

impl ChainPlan {
    /// Whether the row's digest is that of its content; `None` when the row has no digest.
    pub(super) fn row(&self, raw: &RawBatch, row: usize, empty_is_null: bool, scratch: &mut String) -> Option<bool> {
        let cell = |column: usize| raw.columns.get(column).map_or(RawValue::Null, |c| c.get(row));
        let stated = match cell(self.hash) {
            RawValue::Null => return None,
            RawValue::Text("") if empty_is_null => return None,
            RawValue::Text(text) => text,
            _ => return Some(false),
        };
        let mut hasher = Hasher::default();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => hasher.update(text.as_bytes()),
                Piece::Column(column) => match cell(*column) {
                    RawValue::Null => {}
                    RawValue::Int(i) => {
                        scratch.clear();
                        // Writing to a String cannot fail.
                        let _ = write!(scratch, "{i}");
                        hasher.update(scratch.as_bytes());
                    }
                    RawValue::Text(text) => hasher.update(text.as_bytes()),
                    RawValue::Bytes(bytes) => hasher.update(bytes),
                    RawValue::Real(_) => return Some(false),
                },
            }
        }
        Some(hasher.finish().to_string().eq_ignore_ascii_case(stated))
    }
}

/// Reads `chain = { … }` of a part; mistakes that need no SELECT are reported at their place.
pub(super) fn read(reader: &Reader<'_>, dataset: &Dataset) -> Option<Formula> {
    let table = reader.opt_table("chain")?;
    table.one_of("algorithm", &["sha256"]);
    table.one_of("encoding", &["hex"]);
    let parts = table.text_list("parts");
    table.finish();
    if dataset.column(OK).is_none() {
        reader.problem_at("chain", format!("`{}` has no columns for a hash chain", dataset.name));
        return None;
    }
    if parts.is_empty() {
        table.problem_at("parts", "`parts` lists the pieces in order, each a literal text or one column as `{name}`");
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut pieces = Vec::new();
    for part in parts {
        let piece = match name_in(&part) {
            Some(name) if part.len() == name.len() + 2 => Piece::Column(name.to_owned()),
            Some(name) => {
                table.problem_at(
                    "parts",
                    format!("`{part}` mixes text and a column; write `{{{name}}}` as a piece of its own"),
                );
                continue;
            }
            None if part.is_empty() => {
                table.problem_at("parts", "an empty piece adds nothing; leave it out");
                continue;
            }
            None => Piece::Literal(part),
        };
        if let Piece::Column(name) = &piece {
            if !seen.insert(name.clone()) {
                table.problem_at("parts", format!("`{{{name}}}` occurs twice"));
            }
            if name == "chain_hash" {
                table.problem_at("parts", "`{chain_hash}` is the result and cannot be a piece of its own formula");
            }
        }
        pieces.push(piece);
    }
    if !seen.contains("chain_prev_hash") {
        table.problem_at("parts", "without `{chain_prev_hash}` the rows are not tied to each other: this is no chain");
    }
    Some(Formula { pieces })
}

/// The name of the first column in braces: letters, digits, `_` and stray blanks.
fn name_in(text: &str) -> Option<&str> {
    text.match_indices('{').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let name = &rest[..rest.find('}')?];
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b' ');
        is_name.then_some(name)
    })
}

/// Checks a formula against what the part selects and fills otherwise.
pub(super) fn check(
    reader: &Reader<'_>,
    formula: Option<&Formula>,
    selected: &BTreeSet<&str>,
    converted: &dyn Fn(&str) -> bool,
) {
    let Some(formula) = formula else { return };
    let Some(table) = reader.opt_table("chain") else { return };
    for name in NEEDED.into_iter().filter(|n| !selected.contains(n)) {
        table.problem(format!("a chain needs `{name}`, and it is not selected"));
    }
    for name in formula.columns().filter(|n| !selected.contains(n) && !NEEDED.contains(n)) {
        let known: Vec<&str> = selected.iter().copied().filter(|n| *n != "chain_hash").collect();
        table.problem_at("parts", format!("`{name}` is not selected; selected: {}", known.join(", ")));
    }
    for name in selected.iter().filter(|n| is_source(n) && !formula.columns().any(|c| c == **n)) {
        reader.problem_at("sql", format!("`{name}` is selected for the chain and not used in its `parts`"));
    }
    if selected.contains(OK) || converted(OK) {
        table.problem(format!("`{OK}` is computed from the chain; it cannot be selected or converted too"));
    }
}

/// Whether an alias is one that only a formula needs.
pub(super) fn is_source(alias: &str) -> bool {
    alias.len() > PREFIX.len() && alias.starts_with(PREFIX)
}

#[cfg(test)]
mod tests;
