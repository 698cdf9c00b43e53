//! What answers at an address, and what the account may do there besides reading.

use serde_json::json;

use super::findings::{Findings, Mark, Topic};
use crate::model::{Bilingual, Engine};
use crate::ops::Error;
use crate::source::RowSource;

/// Names the engine, its snapshot and encryption; lists rights that reading does not need.
pub(super) async fn look(name: &str, source: &mut dyn RowSource, findings: &mut Findings) -> Result<(), Error> {
    let description = source.description();
    let (engine, version, snapshot) = (&description.engine, &description.version, &description.snapshot);
    let tls = description.settings.get("tls").cloned();
    let mut zh = format!("{engine} {version}，快照：{snapshot}");
    let mut en = format!("{engine} {version}, snapshot: {snapshot}");
    if let Some(tls) = &tls {
        zh.push_str(&format!("，加密：{tls}"));
        en.push_str(&format!(", TLS: {tls}"));
    }
    if let Some(lag) = description.settings.get("replica_lag_seconds").filter(|l| *l != "0") {
        zh.push_str(&format!("，从库延迟 {lag} 秒"));
        en.push_str(&format!(", {lag} s behind its primary"));
    }
    findings
        .add(Mark::Ok, Topic::Connection, Some(name), Bilingual::new(zh, en))
        .facts(json!({ "engine": engine, "version": version, "snapshot": snapshot, "tls": tls }));
    if source.engine() == Engine::Sqlite {
        let text = Bilingual::new("以只读方式打开文件", "the file is open for reading only");
        findings.add(Mark::Ok, Topic::Account, Some(name), text);
        return Ok(());
    }
    let privileges = source.privileges().await?;
    if privileges.excess.is_empty() {
        let text = Bilingual::new("该账号只能读取", "the account can only read");
        findings.add(Mark::Ok, Topic::Account, Some(name), text);
        return Ok(());
    }
    let excess = privileges.excess.join("; ");
    let text = Bilingual::new(
        format!("该账号有多余权限：{excess}；建议改用只读账号："),
        format!("the account may do more than read: {excess}; an account that can only read:"),
    );
    let statements = privileges.read_only_account.iter().map(|s| format!("{s};")).collect();
    findings
        .add(Mark::Note, Topic::Account, Some(name), text)
        .details(statements)
        .facts(json!({ "excess": privileges.excess, "readOnlyAccount": privileges.read_only_account }));
    Ok(())
}
