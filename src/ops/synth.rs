//! `synth`: the sample merchant as a case folder with keys.

use std::path::Path;

use serde_json::json;

use super::{Answer, Env, Error, keys};
use crate::model::{Exit, Lang};
use crate::synth::{self, FaultSelection, SynthSpec, SynthSummary, SystemSpec};

/// Writes the merchant, then signing keys and a keyring.
///
/// # Errors
/// When the folder exists, a fault id is unknown, or files cannot be written.
pub async fn synth(env: &Env, out: &Path, orders: u64, seed: u64, faults: &str) -> Result<Answer, Error> {
    let summary = merchant(env, out, orders, seed, faults).await?;
    let shown = out.display();
    let planted = summary.faults;
    Ok(Answer {
        text: match env.lang {
            Lang::Zh => format!(
                "示例商户已写入 {shown}：{orders} 笔订单，{planted} 处植入的问题（见 truth.json）。\n接下来：sealport run {shown}"
            ),
            Lang::En => format!(
                "sample merchant in {shown}: {orders} orders, {planted} planted faults (see truth.json).\nnext: sealport run {shown}"
            ),
        },
        json: json!({ "case": shown.to_string(), "orders": orders, "seed": seed, "planted": planted, "rows": summary.rows }),
        exit: Exit::Success,
    })
}

/// The merchant with its keys.
pub(super) async fn merchant(
    env: &Env,
    out: &Path,
    orders: u64,
    seed: u64,
    faults: &str,
) -> Result<SynthSummary, Error> {
    let spec = SynthSpec { orders, seed, faults: FaultSelection::parse(faults)? };
    let summary = synth::write(out, &spec, env.progress.as_ref(), &env.cancel).await?;
    // Pseudonym keys are there already, derived from the seed so that truth.json can spell tokens; signing keys are
    // always random.
    keys::new(env, &out.join("secrets"), &out.join("keyring"))?;
    Ok(summary)
}

/// Which system's tables rows are written for.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Id of the system.
    pub system: &'a str,
    /// Engine; `None` for the system's first.
    pub dialect: Option<&'a str>,
    /// Address of the database in `case.toml`.
    pub url: Option<&'a str>,
}

/// Writes rows for the tables of a known system with the case that reads them, then signing keys and a keyring.
///
/// # Errors
/// When the folder exists, the system cannot show a fault, or files cannot be written.
pub fn system(env: &Env, out: &Path, place: &Place<'_>, orders: u64, seed: u64, faults: &str) -> Result<Answer, Error> {
    let spec = SystemSpec {
        system: place.system.to_owned(),
        dialect: place.dialect.map(str::to_owned),
        url: place.url.map(str::to_owned),
        orders,
        seed,
        faults: FaultSelection::parse(faults)?,
    };
    let summary = synth::write_system(out, &spec, env.progress.as_ref(), &env.cancel)?;
    keys::new(env, &out.join("secrets"), &out.join("keyring"))?;
    let (shown, system, listed) = (out.display(), place.system, summary.faults);
    Ok(Answer {
        text: match env.lang {
            Lang::Zh => format!(
                "{system} 的示例数据已写入 {shown}：{orders} 笔订单，truth.json 列出 {listed} 处应发现的问题。\n接下来：把 {shown}/data.sql 导入数据库，在 case.toml 填写 url，再运行 sealport run {shown}"
            ),
            Lang::En => format!(
                "sample data of {system} in {shown}: {orders} orders, {listed} findings to expect (truth.json).\nnext: load {shown}/data.sql into the database, set url in case.toml, then sealport run {shown}"
            ),
        },
        json: json!({ "case": shown.to_string(), "system": system, "orders": orders, "seed": seed, "expected": listed, "rows": summary.rows }),
        exit: Exit::Success,
    })
}
