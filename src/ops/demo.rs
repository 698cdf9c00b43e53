//! `demo`: the sample merchant, the whole job on it, and whether the planted faults were found.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::check::CheckOptions;
use super::seal::SealOptions;
use super::{Answer, Env, Error, run, synth};
use crate::fsio;
use crate::model::{Exit, Lang};

/// One planted fault, as `truth.json` spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Planted {
    policy: String,
    subject: String,
    reason: String,
}

const TRUTH_BYTES_MAX: u64 = 1 << 30;

/// Runs the demonstration into a new folder.
///
/// # Errors
/// Whatever stops it.
pub async fn demo(env: &Env, out: &Path, orders: u64, seed: u64) -> Result<Answer, Error> {
    let merchant = synth::merchant(env, out, orders, seed, "all").await?;
    let (ran, _) = run::whole(env, out, &SealOptions::default(), &CheckOptions::default()).await?;
    let truth_path = out.join("truth.json");
    let truth: BTreeSet<Planted> = serde_json::from_slice(&fsio::read_bounded(&truth_path, TRUTH_BYTES_MAX)?)
        .map_err(|e| fsio::Error::io("read", &truth_path, e.into()))?;
    let found = findings(ran.json["check"]["findings_file"].as_str())?;
    let missed = truth.difference(&found).count();
    let surplus = found.difference(&truth).count();
    let hit = truth.len() - missed;
    let worked = missed == 0 && surplus == 0;
    let report = ran.json["report"]["documents"].as_array().cloned().unwrap_or_default();
    let archive = ran.json["seal"]["archive"].as_str().unwrap_or_default().to_owned();
    let page = report
        .iter()
        .filter_map(|d| d.as_str())
        .find(|d| d.ends_with(if env.lang == Lang::Zh { ".zh.html" } else { ".en.html" }))
        .unwrap_or_default()
        .to_owned();
    let shown = out.display();
    let heading = match env.lang {
        Lang::Zh => format!("植入问题 {} 处：找到 {hit}，遗漏 {missed}，误报 {surplus}", truth.len()),
        Lang::En => format!("{} planted faults: {hit} found, {missed} missed, {surplus} surplus", truth.len()),
    };
    let next = match env.lang {
        Lang::Zh => format!(
            "\n打开报告：{page}\n接下来可以试试：\n  sealport verify {archive} --keyring {shown}/keyring/keyring.json\n  sealport check {shown} --fail-on critical\n  sealport policy show TXN-003\n"
        ),
        Lang::En => format!(
            "\nopen the report: {page}\nnext, try:\n  sealport verify {archive} --keyring {shown}/keyring/keyring.json\n  sealport check {shown} --fail-on critical\n  sealport policy show TXN-003\n"
        ),
    };
    Ok(Answer {
        text: format!("{}\n\n{heading}{next}", ran.text),
        json: json!({
            "case": shown.to_string(), "planted": truth.len(), "found": hit, "missed": missed, "surplus": surplus,
            "rows": merchant.rows, "run": ran.json, "open": page,
        }),
        // The sample merchant is built to be found out: findings are the success here. A fault that was missed, or
        // one that nobody planted, is a bug of this program.
        exit: if worked { Exit::Success } else { Exit::Internal },
    })
}

fn findings(file: Option<&str>) -> Result<BTreeSet<Planted>, Error> {
    let path = Path::new(file.unwrap_or_default());
    let bytes = fsio::read_bounded(path, TRUTH_BYTES_MAX)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let mut out = BTreeSet::new();
    for record in reader.deserialize::<Planted>() {
        out.insert(record.map_err(|e| fsio::Error::io("read", path, std::io::Error::other(e)))?);
    }
    Ok(out)
}
