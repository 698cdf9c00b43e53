//! `verify`: is this what was signed, and by whom.

use std::path::{Path, PathBuf};

use super::{Answer, Env, Error};
use crate::archive::{self, Keyring, VerifyOptions, VerifyReport};

/// What to verify and against what.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// Archive, assessment or report folder.
    pub path: PathBuf,
    /// Trusted keys.
    pub keyring: PathBuf,
    /// Rows too, not only files.
    pub rows: bool,
    /// Stream the archive must be of.
    pub stream: Option<String>,
    /// Lowest acceptable sequence number.
    pub min_sequence: Option<u64>,
}

/// Verifies and reports every step.
///
/// # Errors
/// When the keyring or the folder cannot be read at all; a failed verification is an answer, not an error.
pub fn verify(env: &Env, request: &VerifyRequest) -> Result<Answer, Error> {
    let mut options = options(env, request.rows);
    options.expected_stream = request.stream.clone();
    options.min_sequence = request.min_sequence;
    let report = full(env, &request.path, &request.keyring, options)?;
    Ok(Answer { text: report.lines(env.lang).join("\n"), json: report.to_json(), exit: report.exit })
}

/// Options for rows and files, or for files only.
pub(super) fn options(env: &Env, rows: bool) -> VerifyOptions {
    if rows { VerifyOptions::full(env.clock.now()) } else { VerifyOptions::files(env.clock.now()) }
}

/// The verifier itself, for the other use cases.
pub(super) fn full(env: &Env, path: &Path, keyring: &Path, mut options: VerifyOptions) -> Result<VerifyReport, Error> {
    if !path.is_dir() {
        return Err(Error::usage(
            format!("`{}` is not a folder", path.display()),
            "存档、评估结果和报告都是文件夹；ustar 包请先解开。",
            "archives, assessments and reports are folders; unpack a ustar file first",
        ));
    }
    if path.join("case.toml").exists() {
        return Err(Error::usage(
            format!("`{}` is a case folder, not a sealed one", path.display()),
            "存档在 out/archives/，评估结果在 out/assessments/，报告在 out/reports/…/。",
            "archives are in out/archives/, assessments in out/assessments/, reports in out/reports/NAME/KIND",
        ));
    }
    options.keyring_source = Some(keyring.display().to_string());
    let keyring = Keyring::load(keyring).map_err(|e| {
        Error::usage(
            format!("the keyring `{}` cannot be used: {e}", keyring.display()),
            "密钥环是签名方另行提供的 keyring.json；请检查路径和内容。",
            "a keyring is the keyring.json that the signer gave you by another way; check the path and the file",
        )
    })?;
    let report = archive::verify(path, &keyring, &options, env.progress.as_ref(), &env.cancel);
    env.cancel.check()?;
    tracing::debug!(exit = report.exit.code(), "verified");
    Ok(report)
}

/// The report, if everything asked for holds.
pub(super) fn good(env: &Env, path: &Path, keyring: &Path, rows: bool) -> Result<VerifyReport, Error> {
    let report = full(env, path, keyring, options(env, rows))?;
    if report.is_good() {
        return Ok(report);
    }
    Err(Error::NotVerified { summary: report.scope_line.clone(), exit: report.exit })
}
