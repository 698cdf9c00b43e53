//! `out/worklist.csv`: findings about members of staff with the logins behind the tokens, so that people can act.
//!
//! A local file of mode 0600, journaled, never sealed and never part of a report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Env, Error, places, sources};
use crate::config::Case;
use crate::fsio;
use crate::pseudonym::{Keys, TokenKind};
use crate::rows::{RawBatch, RawValue};
use crate::source::database::Select;

/// Logins behind staff tokens, read from the case's own databases into memory.
pub(super) async fn names(env: &Env, case: &Case) -> Result<BTreeMap<String, String>, Error> {
    let keys = Keys::load(&places::secrets(env, case))?;
    let mut names = BTreeMap::new();
    for config in &case.sources {
        let (Some(engine), Some(reference)) = (sources::engine(config), &config.mapping) else { continue };
        let mapping = sources::load_mapping(reference)?.0.bind(engine, &config.params)?;
        // The worklist helps people; a source that has moved away since the seal must not stop the check.
        let Ok(mut source) = sources::open(env, config).await else { continue };
        let mut parts = Vec::new();
        for part in mapping.parts().iter().filter(|p| p.dataset.name == "staff") {
            let tables = if part.pattern().is_some() { source.tables().await? } else { Vec::new() };
            parts.extend(sources::parts_of(part, tables.iter().map(|t| t.name.as_str()))?);
        }
        for part in &parts {
            let header = source.columns(&part.sql).await?;
            let at = |name: &str| header.iter().position(|h| h.name == name);
            let (Some(id), Some(login)) = (at("staff_ref"), at("login_name")) else { continue };
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<RawBatch>(2);
            let select = Select { sql: &part.sql, values: &part.values };
            let read = source.read(select, sender, &env.cancel);
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

/// What the list needs of a line of `findings.csv`.
#[derive(Debug, Deserialize)]
struct Line {
    policy: String,
    subject: String,
    reason: String,
    severity: String,
    evidence: String,
}

/// Writes the list anew from all findings of an assessment; `names` maps tokens to logins. Returns the file and the
/// number of lines, or nothing when no finding names a member of staff.
pub(super) fn write(
    out: &Path,
    findings: &Path,
    names: &BTreeMap<String, String>,
) -> Result<Option<(PathBuf, usize)>, Error> {
    let path = out.join("worklist.csv");
    let unreadable = |e: csv::Error| fsio::Error::io("read", findings, std::io::Error::other(e));
    let unwritable = |e: csv::Error| fsio::Error::io("write", &path, std::io::Error::other(e));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["policy", "subject", "reason", "severity", "token", "login"]).map_err(unwritable)?;
    let mut count = 0;
    for line in csv::Reader::from_path(findings).map_err(unreadable)?.deserialize::<Line>() {
        let line = line.map_err(unreadable)?;
        for token in tokens(&[&line.subject, &line.evidence]) {
            if let Some(login) = names.get(token) {
                writer
                    .write_record([&line.policy, &line.subject, &line.reason, &line.severity, token, login])
                    .map_err(unwritable)?;
                count += 1;
            }
        }
    }
    if path.exists() {
        std::fs::remove_file(&path).map_err(|e| fsio::Error::io("replace", &path, e))?;
    }
    if count == 0 {
        return Ok(None);
    }
    let bytes = writer.into_inner().map_err(|_| Error::Worker { doing: "writing the worklist" })?;
    fsio::create_dir(out)?;
    fsio::write_private_new(&path, &bytes)?;
    Ok(Some((path, count)))
}

/// Staff tokens in some texts, each once.
fn tokens<'t>(texts: &[&'t str]) -> Vec<&'t str> {
    let mut out: Vec<&str> = Vec::new();
    for text in texts {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.len() == 28 && word.starts_with("s_") && !out.contains(&word) {
                out.push(word);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every finding about a known member of staff is listed, however many there are.
    #[test]
    fn all_findings_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let token = format!("s_{}", "a".repeat(26));
        let mut text = "policy,subject_kind,subject,reason,severity,occurred,evidence,fingerprint,waiver\n".to_owned();
        for n in 0..120 {
            text.push_str(&format!(
                "PRM-015,change,c{n},departed,high,,\"{{\"\"staff_ref\"\":\"\"{token}\"\"}}\",f,\n"
            ));
        }
        text.push_str("TXN-001,order,o1,not-refunded,high,,{},f,\n");
        let findings = dir.path().join("findings.csv");
        std::fs::write(&findings, text).unwrap();
        let names = BTreeMap::from([(token, "li.si".to_owned())]);
        let (path, lines) = write(dir.path(), &findings, &names).unwrap().unwrap();
        assert_eq!(lines, 120);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 121);
        assert!(write(dir.path(), &findings, &BTreeMap::new()).unwrap().is_none());
        assert!(!dir.path().join("worklist.csv").exists(), "an old list must not stay");
    }
}
