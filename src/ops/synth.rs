//! `synth`: the sample merchant as a case folder with keys.

use std::path::Path;

use serde_json::json;

use super::{Answer, Env, Error, keys};
use crate::model::{Exit, Lang};
use crate::synth::{self, FaultSelection, SynthSpec, SynthSummary};

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
