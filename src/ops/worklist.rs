//! `out/worklist.csv`: findings about members of staff with the logins behind the tokens, so that people can act.
//!
//! A local file of mode 0600, journaled, never sealed and never part of a report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Env, Error, places};
use crate::config::Case;
use crate::config::case::SourceLocation;
use crate::finding::{Finding, PolicyResult};
use crate::fsio;
use crate::mapping::Mapping;
use crate::pseudonym::{Keys, TokenKind};
use crate::rows::{RawBatch, RawValue};
use crate::source::sqlite::SqliteSource;

/// Logins behind staff tokens, read from the case's own databases into memory.
pub(super) async fn names(env: &Env, case: &Case) -> Result<BTreeMap<String, String>, Error> {
    let keys = Keys::load(&places::secrets(env, case))?;
    let mut names = BTreeMap::new();
    for config in &case.sources {
        let (SourceLocation::Sqlite(path), Some(file)) = (&config.location, &config.mapping) else { continue };
        // The worklist helps people; a source that has moved away since the seal must not stop the check.
        if !path.exists() {
            continue;
        }
        let mapping = Mapping::load(file)?.bind(&config.params)?;
        let mut source = SqliteSource::open(path).await?;
        for part in mapping.parts().iter().filter(|p| p.dataset.name == "staff") {
            let header = source.columns_of(&part.sql).await?;
            let at = |name: &str| header.iter().position(|h| h == name);
            let (Some(id), Some(login)) = (at("staff_ref"), at("login_name")) else { continue };
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<RawBatch>(2);
            let read = source.read(&part.sql, &part.values, sender, &env.cancel);
            let take = async {
                while let Some(batch) = receiver.recv().await {
                    for row in 0..batch.rows() {
                        let text = |i: usize| match batch.columns[i].get(row) {
                            RawValue::Text(s) => Some(s.to_owned()),
                            RawValue::Int(n) => Some(n.to_string()),
                            _ => None,
                        };
                        if let (Some(id), Some(login)) = (text(id), text(login)) {
                            names.insert(keys.token(TokenKind::Staff, &id), login);
                        }
                    }
                }
            };
            let (read, ()) = tokio::join!(read, take);
            read?;
        }
    }
    Ok(names)
}

/// Writes the list anew; `names` maps tokens to logins. Returns the file and the number of lines, or nothing when no
/// finding names a member of staff.
pub(super) fn write(
    out: &Path,
    results: &[PolicyResult],
    names: &BTreeMap<String, String>,
) -> Result<Option<(PathBuf, usize)>, Error> {
    let mut lines: Vec<[String; 6]> = Vec::new();
    for result in results {
        for finding in &result.first {
            for token in tokens(finding) {
                if let Some(login) = names.get(&token) {
                    lines.push([
                        finding.policy.clone(),
                        finding.subject.clone(),
                        finding.reason.clone(),
                        finding.severity.word().to_owned(),
                        token,
                        login.clone(),
                    ]);
                }
            }
        }
    }
    let path = out.join("worklist.csv");
    if path.exists() {
        std::fs::remove_file(&path).map_err(|e| fsio::Error::io("replace", &path, e))?;
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let csv_error = |_| fsio::Error::io("write", &path, std::io::Error::other("csv"));
    writer.write_record(["policy", "subject", "reason", "severity", "token", "login"]).map_err(csv_error)?;
    for line in &lines {
        writer.write_record(line).map_err(csv_error)?;
    }
    let bytes = writer.into_inner().map_err(|_| Error::Worker { doing: "writing the worklist" })?;
    fsio::create_dir(out)?;
    fsio::write_private_new(&path, &bytes)?;
    Ok(Some((path, lines.len())))
}

/// Staff tokens in the subject and the evidence of a finding.
fn tokens(finding: &Finding) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let texts = std::iter::once(Some(&finding.subject)).chain(finding.evidence.values().map(Option::as_ref)).flatten();
    for text in texts {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.len() == 28 && word.starts_with("s_") && !out.iter().any(|o| o == word) {
                out.push(word.to_owned());
            }
        }
    }
    out
}
