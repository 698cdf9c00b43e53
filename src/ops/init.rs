//! `init`: a commented case folder.

use std::path::{Path, PathBuf};

use chrono::{Datelike as _, Months};
use serde_json::json;

use super::{Answer, Env, Error};
use crate::config::case::CaseKind;
use crate::fsio;
use crate::model::{Engine, Exit};
use crate::policy::Pack;
use crate::schema::{self, Origin};

/// What the user told about the case.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// Folder to create; must not hold a case yet.
    pub dir: PathBuf,
    /// What for.
    pub kind: CaseKind,
    /// `sqlite://…`, `postgres://…`, `mysql://…`, `parquet:…` or `csv:…`.
    pub source: Option<String>,
    /// Mapping file, or `preset:ID`.
    pub mapping: Option<String>,
    /// Pattern of bill files.
    pub bills: Option<String>,
}

/// Writes the folder: `case.toml`, profile, empty waivers and attestations, register headers, keys.
///
/// # Errors
/// When the folder already holds a case, or files cannot be written.
pub fn init(env: &Env, request: &InitRequest) -> Result<Answer, Error> {
    let dir = &request.dir;
    if dir.join("case.toml").exists() {
        return Err(fsio::Error::Exists { path: dir.join("case.toml") }.into());
    }
    if let Some(url) = &request.source
        && !["sqlite:", "postgres:", "postgresql:", "mysql:", "mariadb:", "files:", "parquet:", "csv:"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
    {
        // The address is not repeated: it may hold a password.
        return Err(Error::usage(
            "`--source` names no kind of source this version reads",
            "可用：--source sqlite://文件、postgres://用户@主机/库、mysql://用户@主机/库、files:文件夹、parquet:文件夹、csv:文件夹。",
            "use --source sqlite://FILE, postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE, files:DIR, parquet:DIR or csv:DIR",
        ));
    }
    if let Some(url) = request.source.as_ref().and_then(|u| url::Url::parse(u).ok())
        && url.password().is_some()
    {
        return Err(Error::usage(
            "`--source` holds a password, which would stand in case.toml",
            "请去掉地址中的密码，改用环境变量 SEALPORT_PASSWORD_SHOP、`password_file` 或提示符。",
            "take it out; give it as SEALPORT_PASSWORD_SHOP, as `password_file` in case.toml, or at the prompt",
        ));
    }
    fsio::create_dir(dir)?;
    for folder in ["registers", "evidence", "out"] {
        fsio::create_dir(&dir.join(folder))?;
    }
    fsio::write_atomic(&dir.join("case.toml"), case_toml(env, request).as_bytes())?;
    fsio::write_atomic(&dir.join("profile.toml"), profile_toml(request.kind, &Pack::embedded()?).as_bytes())?;
    fsio::write_atomic(&dir.join("waivers.toml"), WAIVERS.as_bytes())?;
    fsio::write_atomic(&dir.join("attestations.toml"), ATTESTATIONS.as_bytes())?;
    let templates = dir.join("registers/templates");
    for dataset in schema::datasets().filter(|d| d.origin == Origin::Register) {
        let header: Vec<&str> = dataset.own_columns().map(|c| c.name).collect();
        fsio::write_atomic(
            &templates.join(format!("{}.csv", dataset.name)),
            format!("{}\n", header.join(",")).as_bytes(),
        )?;
    }
    super::keys::new(env, &dir.join("secrets"), &dir.join("keyring"))?;
    let shown = dir.display();
    let text = env.lang.pick(
        "案件文件夹已创建。接下来：\n  1. 填写 case.toml 与 profile.toml（每一项都有注释）\n  2. 从 registers/templates/ 复制需要的登记表到 registers/ 并填写\n  3. sealport run ",
        "The case folder is ready. Next:\n  1. fill in case.toml and profile.toml (every entry is commented)\n  2. copy the registers you have from registers/templates/ to registers/ and fill them in\n  3. sealport run ",
    );
    Ok(Answer { text: format!("{text}{shown}"), json: json!({ "case": shown.to_string() }), exit: Exit::Success })
}

/// A path as it must be written into a file that lies in `dir`: absolute, because the user typed it relative to
/// where they stand.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn case_toml(env: &Env, request: &InitRequest) -> String {
    let today = env.clock.now().with_timezone(&chrono_tz::Asia::Shanghai).date_naive();
    let to = today.with_day(1).unwrap_or(today);
    let from = to.checked_sub_months(Months::new(3)).unwrap_or(to);
    let source = match &request.source {
        Some(url) => {
            let url = match url.split_once(':') {
                Some((scheme, _)) if Engine::of_scheme(scheme).is_some_and(|e| e != Engine::Sqlite) => url.clone(),
                Some((scheme, rest)) => format!("{scheme}:{}", absolute(Path::new(rest.trim_start_matches("//")))),
                None => url.clone(),
            };
            let mapping = request.mapping.as_ref().map_or_else(String::new, |m| {
                let m = if m.starts_with("preset:") { m.clone() } else { absolute(Path::new(m)) };
                format!("mapping = {}\n", quoted(&m))
            });
            format!("[[source]]\nname = \"shop\"                     # stands in custody and in every row\nurl = {}\n{mapping}", quoted(&url))
        }
        None => "# [[source]]\n# name = \"shop\"\n# url = \"sqlite://shop.db\"            # or postgres://USER@HOST/DB, mysql://USER@HOST/DB, files:DIR, parquet:DIR, csv:DIR\n# mapping = \"mapping.toml\"            # or preset:ID\n# password_file = \"secrets/shop.pw\"  # or SEALPORT_PASSWORD_SHOP, or the prompt\n".to_owned(),
    };
    let bills = match &request.bills {
        Some(glob) => format!("[[bills]]\nglob = {}\n", quoted(&absolute(Path::new(glob)))),
        None => "# [[bills]]\n# glob = \"bills/*\"                # as downloaded: plain, gzip or zip\n# mch_id = \"1600000000\"            # where the file does not say (fund bills)\n# account_kind = \"basic\"             # fund bills: basic, operation, fee\n# bill_on = 2026-01-28\n# sha1 = \"…\"                        # as the platform gave it\n".to_owned(),
    };
    let project = match request.kind {
        CaseKind::Deregistration => {
            "[project.deregistration]\nproject_ref = \"D-1\"\n# merchant_ref = \"M1\"               # as in the dataset merchants\n# planned_close_on = 2027-01-31\n"
        }
        CaseKind::Migration => {
            "[project.migration]\nproject_ref = \"M-1\"\nproject_kind = \"mch-change\"         # app-account, entity-change, mch-change, system-change\n# planned_cutover_on = 2027-01-31\n"
        }
        CaseKind::Offboarding | CaseKind::Audit => "",
    };
    format!(
        "format = 1\n\n[case]\nkind = \"{kind}\"\ntitle = \"…\"                       # on every document\nmerchant = \"…\"                    # full legal name\n\
         # organisation = \"…\"              # who hands the archive over; default: the merchant\n# custodian = \"…\"                 # who keeps it afterwards\n\
         stream = \"case-1\"                 # archives of one stream are numbered 1, 2, 3 …\nzone = \"Asia/Shanghai\"            # business days and dates\n\
         as_of = {today}T00:00:00+08:00   # the data is judged at this instant\nwindow = {{ from = {from}, to = {to} }}   # local days under audit, the end excluded\n\
         # coverage = {{ from = 2025-01-01, to = {today} }}   # days the data covers, the end excluded\n\
         # decided_on = {today}            # waivers and attestations must be in force on this day; default: the day of the check\n\n\
         {source}\n{bills}\n{project}",
        kind = request.kind.word(),
    )
}

fn profile_toml(kind: CaseKind, pack: &Pack) -> String {
    let sets = match kind {
        CaseKind::Deregistration => "\"audit-core\", \"deregistration\"",
        CaseKind::Migration => "\"audit-core\", \"migration\"",
        CaseKind::Offboarding => "\"staff-offboarding\"",
        CaseKind::Audit => "\"audit-core\"",
    };
    format!(
        "format = 1\n\n[profile]\nid = \"default\"\nrole = \"self-operated\"              # platform-operator, self-operated, payment-institution\n\
         channels = [\"wechat\", \"alipay\", \"unionpay\"]\nzone = \"Asia/Shanghai\"\npacks = [{{ name = {name}, version = {version} }}]\nsets = [{sets}]\n\n\
         # [[out_of_scope]]                   # makes policies on this dataset not-applicable, on the record\n# dataset = \"devices\"\n# reason = \"online only\"\n# owner = \"operations\"\n# until = 2027-01-31\n",
        name = quoted(pack.name()),
        version = quoted(pack.version()),
    )
}

const WAIVERS: &str = "format = 1\n\n# [[waiver]]\n# id = \"W-2026-001\"\n# policy = \"TXN-003\"\n# match = { subject = \"…\" }\n# findings_max = 1\n# why = { zh = \"…\", en = \"…\" }\n# owner = \"finance-lead\"\n# approver = \"counsel\"\n# approver_role = \"legal\"\n# created_on = 2026-11-01\n# expires_on = 2026-12-31\n";

const ATTESTATIONS: &str = "format = 1\n\n# [[attestation]]\n# policy = \"DRG-009\"\n# subject = \"notice:…\"              # digest of the notice text\n# answer = \"yes\"\n# by = \"counsel\"\n# role = \"legal\"\n# on = 2026-11-01\n# valid_until = 2027-01-29\n# evidence = { file = \"notice-review.pdf\", sha256 = \"…\" }\n";
