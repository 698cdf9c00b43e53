//! Sample data for the systems that presets exist for: one trade story, written down the way each system keeps it.
//!
//! Responsible for a case folder with `data.sql` (rows for tables that exist already), `truth.json`, `case.toml`,
//! `profile.toml` and keys for tests only. Not responsible for tables, indexes or the preset. Everything depends on
//! the seed alone. `truth.json` holds planted faults and what the product cannot keep: a system that records no device
//! has a finding for every change of permissions, and the sample says so instead of hiding it. Findings that only say
//! that a policy could not be evaluated (DAT-001) are not listed: they follow from the preset's `[absent]`.
//!
//! To add a system: a file beside this one with a [`System`], and a line in [`SYSTEMS`].

mod crmeb;
mod jeepay;
mod litemall;
mod ruoyi;
mod sql;
mod story;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use self::sql::{Dialect, Dump};
use self::story::Story;
use super::faults::{FaultSelection, Truth};
use super::local::{AS_OF, Local, OPENED};
use super::{Error, SynthSummary, keys, staff_token};
use crate::fsio;
use crate::progress::{Cancel, Progress, Stage};

/// Most orders of a system's sample: the story is told in memory.
const SYSTEM_ORDERS_MAX: u64 = 1_000_000;

/// What to make for a system.
#[derive(Debug, Clone)]
pub struct SystemSpec {
    /// Id of the system, which is also the preset's.
    pub system: String,
    /// Engine of `data.sql`: `mysql` or `postgres`; `None` for the system's first.
    pub dialect: Option<String>,
    /// Address of the database in `case.toml`; `None` for one to be edited.
    pub url: Option<String>,
    /// Number of orders.
    pub orders: u64,
    /// Everything depends on it.
    pub seed: u64,
    /// Which faults to plant.
    pub faults: FaultSelection,
}

/// One system and how its rows are written.
struct System {
    /// Id, also of the preset.
    id: &'static str,
    /// Engines for which rows can be written.
    dialects: &'static [Dialect],
    /// Policies whose faults this system's tables can show.
    planted: &'static [&'static str],
    /// `[project…]` and `kind` of the case.
    project: Project,
    /// Roles and channels of the profile.
    role: &'static str,
    channels: &'static [&'static str],
    /// Parameters of the preset, as TOML pairs.
    params: &'static [(&'static str, &'static str)],
    /// Writes all rows and lists what a check must find.
    render: fn(&Story, &mut Dump, &mut Findings<'_>) -> Result<(), Error>,
}

/// Parameters of every preset that reads wall clocks.
const ZONE: (&str, &str) = ("zone", "Asia/Shanghai");
const ZONE_EVIDENCE: (&str, &str) = ("zone_evidence", "the generator writes Beijing time");

/// What the case is for.
enum Project {
    /// The merchant closes.
    Closing { project_ref: &'static str, merchant_ref: &'static str },
    /// The merchant moves to another entity.
    Moving { project_ref: &'static str, merchant_ref: &'static str, source_mch_id: &'static str },
}

/// All systems, in name order.
const SYSTEMS: &[System] = &[crmeb::SYSTEM, jeepay::SYSTEM, litemall::SYSTEM, ruoyi::SYSTEM];

/// Names of the systems samples can be made for.
pub fn names() -> Vec<&'static str> {
    SYSTEMS.iter().map(|s| s.id).collect()
}

/// Where renderers list what must be found.
struct Findings<'a> {
    truth: &'a mut Truth,
    seed: u64,
}

impl Findings<'_> {
    /// A finding about something that is not a person.
    fn add(&mut self, policy: &str, subject: impl Into<String>, reason: &str) {
        self.truth.add(policy, subject, reason);
    }

    /// A finding whose subject is shown as a token of staff.
    fn about_staff(&mut self, policy: &str, staff_ref: &str, reason: &str) {
        self.truth.add(policy, staff_token(self.seed, staff_ref), reason);
    }
}

/// Which faults are planted into a story: those asked for that the system can show.
#[derive(Debug, Clone, Copy)]
struct Planted<'a> {
    faults: &'a FaultSelection,
    possible: &'static [&'static str],
}

impl Planted<'_> {
    fn has(self, policy: &str) -> bool {
        self.possible.contains(&policy) && self.faults.has(policy)
    }
}

/// Writes a case folder for one of [`names`]. It is built beside its place and moved there when it is complete.
///
/// # Errors
/// [`Error::Orders`], [`Error::UnknownSystem`], [`Error::UnknownDialect`], [`Error::UnknownFault`] for a policy whose
/// faults the system cannot show, [`Error::File`] when the folder exists or cannot be written, [`Error::Interrupted`].
pub fn write(out: &Path, spec: &SystemSpec, progress: &dyn Progress, cancel: &Cancel) -> Result<SynthSummary, Error> {
    if !(super::ORDERS_MIN..=SYSTEM_ORDERS_MAX).contains(&spec.orders) {
        return Err(Error::Orders { orders: spec.orders, max: SYSTEM_ORDERS_MAX });
    }
    let system = SYSTEMS
        .iter()
        .find(|s| s.id == spec.system)
        .ok_or_else(|| Error::UnknownSystem { id: spec.system.clone(), known: names().join(", ") })?;
    let dialect = match &spec.dialect {
        None => system.dialects.first().copied(),
        Some(word) => system.dialects.iter().copied().find(|d| d.word() == word),
    };
    let dialect = dialect.ok_or_else(|| Error::UnknownDialect {
        id: spec.dialect.clone().unwrap_or_default(),
        known: system.dialects.iter().map(|d| d.word()).collect::<Vec<_>>().join(", "),
    })?;
    if let FaultSelection::Policies(ids) = &spec.faults
        && let Some(id) = ids.iter().find(|id| !system.planted.contains(&id.as_str()))
    {
        return Err(Error::UnknownFault { id: id.clone() });
    }
    let building = super::start_folder(out)?;
    let dir = building.path();
    let task = progress.start(Stage::Synthesise, Some(spec.orders));
    let planted = Planted { faults: &spec.faults, possible: system.planted };
    let story = Story::tell(spec.seed, spec.orders, planted, cancel)?;
    let mut dump = Dump::create(&dir.join("data.sql"), dialect)?;
    let mut truth = Truth::default();
    (system.render)(&story, &mut dump, &mut Findings { truth: &mut truth, seed: spec.seed })?;
    task.advance(spec.orders);
    let rows: BTreeMap<String, u64> = dump.finish()?;
    for (name, text) in
        [("case.toml", case(system, dialect, spec)), ("profile.toml", profile(system)), ("truth.json", truth.json())]
    {
        fsio::write_atomic(&dir.join(name), text.as_bytes())?;
    }
    keys::write(&dir.join("secrets"), spec.seed)?;
    let summary = SynthSummary {
        dir: out.to_owned(),
        rows,
        faults: truth.len() as u64,
        policies: truth.policies().into_iter().collect(),
    };
    super::finish_folder(building, out)?;
    Ok(summary)
}

fn case(system: &System, dialect: Dialect, spec: &SystemSpec) -> String {
    let id = system.id;
    let (from, to) = (OPENED.date_text(), AS_OF.date_text());
    let mut text = format!(
        r#"# Sample case: rows that a {id} installation could hold. Everything in it is invented.
# 1. Load the tables of {id}, then data.sql, into one database.  2. Put its address below.
format = 1

[case]
kind = "{kind}"
title = "{id} 示例"
merchant = "示例商户"
custodian = "财务档案室"
zone = "Asia/Shanghai"
as_of = {as_of}
window = {{ from = {window}, to = {to} }}
coverage = {{ from = {from}, to = {to} }}
decided_on = {to}
stream = "sample-{id}-{seed}"
"#,
        kind = match system.project {
            Project::Closing { .. } => "deregistration",
            Project::Moving { .. } => "migration",
        },
        as_of = AS_OF.iso(),
        window = super::local::WINDOW.date_text(),
        seed = spec.seed,
    );
    match system.project {
        Project::Closing { project_ref, merchant_ref } => {
            let _ = write!(
                text,
                "\n[project.deregistration]\nproject_ref = \"{project_ref}\"\nmerchant_ref = \"{merchant_ref}\"\nplanned_close_on = {}\n",
                Local::date(2026, 11, 15).date_text()
            );
        }
        Project::Moving { project_ref, merchant_ref, source_mch_id } => {
            let _ = write!(
                text,
                "\n[project.migration]\nproject_ref = \"{project_ref}\"\nmerchant_ref = \"{merchant_ref}\"\nproject_kind = \"entity-change\"\nplatform = \"wechat\"\nsource_mch_id = \"{source_mch_id}\"\nplanned_cutover_on = {}\n",
                Local::date(2026, 11, 10).date_text()
            );
        }
    }
    let url = spec.url.clone().unwrap_or_else(|| dialect.sample_url(id));
    let _ =
        write!(text, "\n[[source]]\nname = \"{id}\"\nurl = \"{url}\"\nmapping = \"preset:{id}\"\n\n[source.params]\n");
    for (name, value) in system.params {
        let _ = writeln!(text, "{name} = \"{value}\"");
    }
    text
}

fn profile(system: &System) -> String {
    let channels: Vec<String> = system.channels.iter().map(|c| format!("\"{c}\"")).collect();
    let set = match system.project {
        Project::Closing { .. } => "deregistration",
        Project::Moving { .. } => "migration",
    };
    format!(
        r#"# What this merchant is checked against.
format = 1

[profile]
id = "sample-{}"
role = "{}"
channels = [{}]
zone = "Asia/Shanghai"
sets = ["audit-core", "staff-offboarding", "{set}"]
"#,
        system.id,
        system.role,
        channels.join(", ")
    )
}

#[cfg(test)]
mod tests;
