//! `run`: seal, verify, check, report — one exit code.

use std::path::Path;

use serde_json::{Value, json};

use super::check::CheckOptions;
use super::seal::SealOptions;
use super::{Answer, Env, Error, check, places, report, seal, verify};
use crate::config::Case;
use crate::config::case::CaseKind;
use crate::finding::Assessment;
use crate::model::Lang;

/// Runs the whole job on a case.
///
/// # Errors
/// Whatever stops it; what was finished before stays.
pub async fn run(env: &Env, dir: &Path, how: &SealOptions, options: &CheckOptions) -> Result<Answer, Error> {
    whole(env, dir, how, options).await.map(|(answer, _)| answer)
}

/// The whole job, with the assessment for callers that look into it.
pub(super) async fn whole(
    env: &Env,
    dir: &Path,
    how: &SealOptions,
    options: &CheckOptions,
) -> Result<(Answer, Assessment), Error> {
    let case = Case::load(dir)?;
    check::ready(&case, options)?;
    let (sealed_answer, sealed) = seal::seal(env, dir, how).await?;
    let verified = verify::good(env, &sealed.path, &places::keyring(&case), true)?;
    let (checked, assessment) = check::check(env, dir, options).await?;
    // An offboarding case has its findings; its own report is not part of this version.
    let reported = match case.kind {
        CaseKind::Offboarding => None,
        kind => Some(report::report(env, dir, Some(kind), &[Lang::Zh, Lang::En]).await?),
    };
    let mut exit = sealed_answer.exit.worst(checked.exit);
    let mut text = format!("{}{}\n{}", sealed_answer.text, verified.scope_line, checked.text);
    let mut value = json!({
        "seal": sealed_answer.json,
        "verify": verified.to_json(),
        "check": checked.json,
    });
    if let Some(reported) = reported {
        exit = exit.worst(reported.exit);
        text = format!("{text}\n{}", reported.text);
        if let Value::Object(map) = &mut value {
            map.insert("report".into(), reported.json);
        }
    }
    Ok((Answer { text, json: value, exit }, assessment))
}
