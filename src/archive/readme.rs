//! `README.txt` of an archive: one page for a stranger, in Chinese and English.

use crate::model::Lang;

/// What a stranger should know beyond the statement.
#[derive(Debug, Clone, Default)]
pub struct ReadmeFacts {
    /// When the longest statutory retention ends, or why it is not known; e.g. an ISO date.
    pub retention_until: Option<String>,
    /// What was pseudonymised or masked, one line each, e.g. `payments.payer_ref`.
    pub masked: Vec<String>,
    /// Source tables that were not taken, one line each with the row count.
    pub not_taken: Vec<String>,
    /// Where the legal status of the rules stands.
    pub legal_status: Option<String>,
}

/// What the page says about the archive itself.
pub(crate) struct About<'a> {
    pub(crate) organisation: &'a str,
    pub(crate) custodian: &'a str,
    pub(crate) archive_id: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) sequence: u64,
    pub(crate) created: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) zone: &'a str,
    pub(crate) is_draft: bool,
    pub(crate) tables: Vec<(&'a str, u64)>,
    pub(crate) key_id: &'a str,
}

/// The page.
pub(crate) fn page(about: &About<'_>, facts: &ReadmeFacts) -> String {
    format!("{}\n{}", part(about, facts, Lang::Zh), part(about, facts, Lang::En))
}

fn part(a: &About<'_>, facts: &ReadmeFacts, lang: Lang) -> String {
    let p = |zh, en| lang.pick(zh, en);
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    if a.is_draft {
        line(p("草稿，不作为证据使用", "DRAFT, not meant as evidence").into());
        line(String::new());
    }
    line(p("这是什么", "WHAT THIS IS").into());
    line(
        p(
            "这是一份签名存档：商户从自己的系统中导出的经营记录，人员标识已替换为代号。内容自签名以来是否改动，任何人都可以不用我们的程序自行验证。",
            "A signed archive: business records that a merchant extracted from its own systems, with the identifiers of\npeople replaced by tokens. Anybody can verify, without our program, that nothing changed since it was signed.",
        )
        .into(),
    );
    line(format!("{}: {}", p("所属单位", "Organisation"), a.organisation));
    line(format!("{}: {}", p("保管人", "Custodian"), a.custodian));
    line(format!("{}: {}", p("存档编号", "Archive"), a.archive_id));
    line(format!("{}: {} / {}", p("序列", "Stream and number"), a.stream, a.sequence));
    line(format!("{}: {}", p("制作时间（签名人自述）", "Made (as the signer states)"), a.created));
    line(format!("{}: {} .. {} ({})", p("数据范围", "Coverage"), a.from, a.to, a.zone));
    let unknown = p("见 data/schema 中各表的保存类别", "see the retention class of each table in data/schema");
    line(format!("{}: {}", p("保存至", "Keep until"), facts.retention_until.as_deref().unwrap_or(unknown)));
    line(String::new());
    line(p("内容", "WHAT IT HOLDS").into());
    for (table, rows) in &a.tables {
        line(format!("  {table}: {rows}"));
    }
    list(&mut line, p("已替换或遮盖的列", "REPLACED OR MASKED COLUMNS"), &facts.masked, p("无", "none"));
    list(&mut line, p("未收录的来源表", "SOURCE TABLES NOT TAKEN"), &facts.not_taken, p("无", "none"));
    line(String::new());
    line(p("如何验证", "HOW TO VERIFY").into());
    line(
        p(
            "1. 公钥须从本文件夹以外的可信渠道取得；文件夹内的任何公钥都不能作为信任依据。",
            "1. Get the public keys from a trusted place outside this folder; nothing in here can vouch for itself.",
        )
        .into(),
    );
    line(format!("   {}: {}", p("签名密钥指纹", "Fingerprint of the signing key"), a.key_id));
    line(format!("2. sha256sum tagmanifest-sha256.txt     {}", p("(存档摘要)", "(the archive digest)")));
    line(format!(
        "3. sha256sum -c --strict tagmanifest-sha256.txt && sha256sum -c --strict manifest-sha256.txt   {}",
        p("(内容)", "(content)")
    ));
    line(format!(
        "4. sealport verify . --keyring keyring.json   {}",
        p(
            "(全部检查；不用本程序的做法见 data/docs/archive-format.md)",
            "(everything; for the way without our program see data/docs/archive-format.md)"
        )
    ));
    line(
        p("5. data/blinding/ 不得随单条证据对外提供。", "5. Never hand out data/blinding/ together with single rows.")
            .into(),
    );
    line(String::new());
    line(format!(
        "{}: {}",
        p("规则的法律依据", "Legal status of the rules"),
        facts.legal_status.as_deref().unwrap_or(p(
            "规则不在存档内，见与本存档配套的评估报告。",
            "the rules are not part of the archive; see the assessment that goes with it."
        ))
    ));
    out
}

fn list(line: &mut impl FnMut(String), title: &str, items: &[String], none: &str) {
    line(String::new());
    line(title.into());
    if items.is_empty() {
        line(format!("  {none}"));
    }
    for item in items {
        line(format!("  {item}"));
    }
}
