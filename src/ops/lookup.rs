//! `lookup`: lawful re-identification — which entry of a roster a token stands for.
//!
//! Needs a reason, which is journaled together with the number of entries; the answer goes to a new file of mode
//! 0600, never to the terminal.

use std::path::PathBuf;

use serde_json::json;

use super::{Answer, Env, Error, journal, places};
use crate::config::Case;
use crate::crypto;
use crate::fsio;
use crate::model::{Exit, Lang};
use crate::pseudonym::{Keys, TokenKind};

const ROSTER_BYTES_MAX: u64 = 256 << 20;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct LookupRequest {
    /// Case folder.
    pub case: PathBuf,
    /// `staff` or `customer`.
    pub key: String,
    /// CSV with a column `value`.
    pub roster: PathBuf,
    /// New file for the answer.
    pub out: PathBuf,
    /// Why this is lawful.
    pub reason: Option<String>,
}

/// Writes the roster with a column `token` in front.
///
/// # Errors
/// Without a reason, without the keys, when the roster has no column `value`, or when the answer's file exists.
pub fn lookup(env: &Env, request: &LookupRequest) -> Result<Answer, Error> {
    let Some(reason) = request.reason.as_ref().filter(|r| !r.trim().is_empty()) else {
        return Err(Error::usage(
            "re-identification needs a reason",
            "请用 --reason 写明合法依据，例如 --reason \"法院调查令 2026-88\"；理由会写入 journal。",
            "state the lawful ground with --reason, e.g. --reason \"court order 2026-88\"; it is written to the journal",
        ));
    };
    let case = Case::load(&request.case)?;
    let keys = Keys::load(&places::secrets(env, &case))?;
    let bytes = fsio::read_bounded(&request.roster, ROSTER_BYTES_MAX)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let unreadable = |_| {
        Error::usage(
            format!("`{}` is not a CSV file with equal columns", request.roster.display()),
            "名册应为 UTF-8 编码的 CSV，首行为列名，其中一列名为 value。",
            "the roster must be a UTF-8 CSV with a header line, one column of which is called `value`",
        )
    };
    let header = reader.headers().map_err(unreadable)?.clone();
    let Some(at) = header.iter().position(|h| h.trim_start_matches('\u{feff}').trim() == "value") else {
        return Err(Error::usage(
            format!("`{}` has no column `value`", request.roster.display()),
            "请把含标识的一列命名为 value。",
            "name the column with the identifiers `value`",
        ));
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |_| Error::Worker { doing: "writing the answer" };
    writer.write_record(std::iter::once("token").chain(header.iter())).map_err(failed)?;
    let mut entries = 0_u64;
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let value = record.get(at).unwrap_or_default();
        let token = match request.key.as_str() {
            "customer" => keys.token(TokenKind::Customer, value),
            _ => keys.token(TokenKind::Staff, value),
        };
        writer.write_record(std::iter::once(token.as_str()).chain(record.iter())).map_err(failed)?;
        entries += 1;
    }
    let answer =
        zeroize::Zeroizing::new(writer.into_inner().map_err(|_| Error::Worker { doing: "writing the answer" })?);
    fsio::write_private_new(&request.out, &answer)?;
    let facts = json!({
        "key": request.key, "reason": reason, "entries": entries,
        "rosterSha256": crypto::sha256(&bytes), "scheme": "sealport-token-v1",
    });
    journal::append(&places::out(&case), env.clock.as_ref(), "lookup", Exit::Success.code(), facts)?;
    let shown = request.out.display();
    Ok(Answer {
        text: match env.lang {
            Lang::Zh => format!("已写入 {shown}（{entries} 条，仅本人可读）；理由已记入 journal。用完请销毁。"),
            Lang::En => format!(
                "wrote {shown} ({entries} entries, readable by you only); the reason is in the journal. Destroy it after use."
            ),
        },
        json: json!({ "out": shown.to_string(), "entries": entries }),
        exit: Exit::Success,
    })
}
