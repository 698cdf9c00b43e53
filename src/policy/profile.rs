//! `profile.toml`: what a merchant runs, with which values, and what it leaves out, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr as _;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::definition::{CHANNELS, Policy, ROLES, Status, read_tables};
use super::pack::Pack;
use super::params::{Param, ParamValue, Standing};
use super::waivers::role_rank;
use crate::config::document::LoadError;
use crate::config::{Document, Problems, Reader};
use crate::finding::{ProfileLine, Severity};
use crate::schema;

/// A policy left out.
#[derive(Debug, Clone)]
pub(super) struct Dropped {
    pub(super) policy: String,
    pub(super) reason: Option<String>,
    pub(super) owner: Option<String>,
}

/// A severity changed.
#[derive(Debug, Clone)]
pub(super) struct SeverityChange {
    pub(super) severity: Severity,
    pub(super) reason: Option<String>,
    pub(super) approver: Option<String>,
}

/// A dataset the merchant does not have.
#[derive(Debug, Clone)]
pub(super) struct OutOfScope {
    pub(super) reason: String,
    pub(super) owner: String,
    pub(super) until: NaiveDate,
}

/// A parameter moved against its direction.
#[derive(Debug, Clone)]
pub(super) struct Override {
    pub(super) policy: String,
    pub(super) param: String,
    pub(super) value: ParamValue,
    pub(super) reason: String,
    pub(super) approver: String,
    pub(super) until: NaiveDate,
}

/// A valid profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// The merchant's role in law.
    pub role: String,
    /// Channels in use.
    pub channels: Vec<String>,
    /// Business zone; must be the archive's.
    pub zone: Tz,
    /// Selected sets.
    pub sets: Vec<String>,
    /// Policies selected by name, drafts included.
    pub policies: Vec<String>,
    pub(super) params: BTreeMap<(String, String), ParamValue>,
    pub(super) drops: Vec<Dropped>,
    pub(super) severities: BTreeMap<String, SeverityChange>,
    pub(super) out_of_scope: BTreeMap<String, OutOfScope>,
    pub(super) overrides: Vec<Override>,
}

/// Where a parameter value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueOrigin {
    Default,
    Profile,
    Override,
}

impl ValueOrigin {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Profile => "profile",
            Self::Override => "override",
        }
    }
}

impl Profile {
    /// Loads a profile and checks every name in it against the pack.
    ///
    /// # Errors
    /// An unreadable file, or every mistake in it.
    pub fn load(path: &Path, pack: &Pack) -> Result<Self, LoadError> {
        let document = Document::load(path)?;
        Ok(Self::read(document, pack)?)
    }

    /// Reads a profile from text; `file` is the name used in messages.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(file: &str, text: &str, pack: &Pack) -> Result<Self, Problems> {
        Self::read(Document::parse(file, text)?, pack)
    }

    fn read(document: Document, pack: &Pack) -> Result<Self, Problems> {
        let root = document.root();
        root.format_one();
        let Some(p) = root.table("profile") else { return Err(document.into_problems()) };
        let zone_text = p.text("zone");
        let zone = Tz::from_str(&zone_text).unwrap_or_else(|_| {
            p.problem_at("zone", format!("`{zone_text}` is not an IANA time zone such as Asia/Shanghai"));
            Tz::Asia__Shanghai
        });
        let channels = p.text_list("channels");
        for channel in channels.iter().filter(|c| !CHANNELS.contains(&c.as_str())) {
            p.problem_at("channels", format!("no channel is called `{channel}`; accepted: {}", CHANNELS.join(", ")));
        }
        let sets = p.text_list("sets");
        for set in sets.iter().filter(|s| !pack.sets().contains_key(*s)) {
            let known: Vec<&str> = pack.sets().keys().map(String::as_str).collect();
            p.problem_at("sets", format!("no set is called `{set}`; accepted: {}", known.join(", ")));
        }
        let policies = p.text_list("policies");
        for id in policies.iter().filter(|id| pack.policy(id).is_none()) {
            p.problem_at("policies", format!("no policy is called `{id}`"));
        }
        read_packs(&p, pack);
        let mut profile = Self {
            id: p.text("id"),
            role: p.one_of("role", &ROLES).into(),
            channels,
            zone,
            sets,
            policies,
            params: read_params(&root, pack),
            drops: Vec::new(),
            severities: BTreeMap::new(),
            out_of_scope: BTreeMap::new(),
            overrides: Vec::new(),
        };
        p.finish();
        for d in root.tables("drop") {
            let policy = known_policy(&d, pack).map(|p| p.id.clone());
            let drop = Dropped {
                policy: policy.unwrap_or_default(),
                reason: filled(&d, "reason"),
                owner: filled(&d, "owner"),
            };
            d.finish();
            profile.drops.push(drop);
        }
        for s in root.tables("severity") {
            let policy = known_policy(&s, pack).map(|p| p.id.clone());
            let words: Vec<&'static str> = Severity::ALL.into_iter().rev().map(Severity::word).collect();
            let change = SeverityChange {
                severity: Severity::from_word(s.one_of("severity", &words)).unwrap_or(Severity::Critical),
                reason: filled(&s, "reason"),
                approver: filled(&s, "approver"),
            };
            s.finish();
            if profile.severities.insert(policy.unwrap_or_default(), change).is_some() {
                s.problem("the severity of this policy is changed twice");
            }
        }
        for o in root.tables("out_of_scope") {
            let name = o.text("dataset");
            if o.has("dataset") && schema::dataset(&name).is_none() {
                o.problem_at("dataset", format!("no dataset is called `{name}`"));
            }
            let line = OutOfScope { reason: o.text("reason"), owner: o.text("owner"), until: o.date("until") };
            o.finish();
            profile.out_of_scope.insert(name, line);
        }
        profile.overrides = root.tables("override").iter().filter_map(|o| read_override(o, pack)).collect();
        root.finish();
        document.into_problems().or(profile)
    }

    /// Policies that run, in id order: stable ones of the sets, and named ones, less those dropped.
    pub(super) fn select(&self, pack: &Pack, only: &[String]) -> Vec<String> {
        let dropped: BTreeSet<&str> = self.drops.iter().map(|d| d.policy.as_str()).collect();
        let is_wanted = |p: &&Policy| {
            if !only.is_empty() {
                return only.contains(&p.id);
            }
            let by_set = p.status != Status::Draft && p.sets.iter().any(|s| self.sets.contains(s));
            (by_set || self.policies.contains(&p.id)) && !dropped.contains(p.id.as_str())
        };
        pack.policies().filter(is_wanted).map(|p| p.id.clone()).collect()
    }

    /// The value of a parameter and where it comes from.
    pub(super) fn value<'a>(&'a self, policy: &str, name: &str, param: &'a Param) -> (&'a ParamValue, ValueOrigin) {
        if let Some(o) = self.overrides.iter().find(|o| o.policy == policy && o.param == name) {
            return (&o.value, ValueOrigin::Override);
        }
        match self.params.get(&(policy.to_owned(), name.to_owned())) {
            Some(value) => (value, ValueOrigin::Profile),
            None => (&param.default, ValueOrigin::Default),
        }
    }

    /// Overrides that have ended on this day.
    pub(super) fn ended_overrides(&self, decided_on: NaiveDate) -> Problems {
        let ended = self.overrides.iter().filter(|o| o.until < decided_on);
        let message = |o: &Override| format!("the override of `{}` in {} ended on {}", o.param, o.policy, o.until);
        Problems(ended.flat_map(|o| Problems::in_file("profile", message(o)).0).collect())
    }

    /// Severity of a policy under this profile.
    pub(super) fn severity(&self, policy: &Policy) -> Severity {
        self.severities.get(&policy.id).map_or(policy.severity, |c| c.severity)
    }

    /// Lines that change what runs, as reports print them.
    pub(super) fn lines(&self) -> Vec<ProfileLine> {
        let line = |kind: &str,
                    subject: &str,
                    text: String,
                    reason: &Option<String>,
                    owner: &Option<String>,
                    until: Option<NaiveDate>| ProfileLine {
            kind: kind.into(),
            subject: subject.into(),
            text,
            reason: reason.clone().unwrap_or_default(),
            owner: owner.clone().unwrap_or_default(),
            until: until.map(|d| d.to_string()),
        };
        let mut lines = Vec::new();
        for d in &self.drops {
            lines.push(line("drop", &d.policy, "not run".into(), &d.reason, &d.owner, None));
        }
        for (policy, s) in &self.severities {
            lines.push(line("severity", policy, s.severity.word().into(), &s.reason, &s.approver, None));
        }
        for (dataset, o) in &self.out_of_scope {
            lines.push(line(
                "out-of-scope",
                dataset,
                "out of scope".into(),
                &Some(o.reason.clone()),
                &Some(o.owner.clone()),
                Some(o.until),
            ));
        }
        for o in &self.overrides {
            let text = format!("{} = {}", o.param, o.value);
            lines.push(line(
                "override",
                &o.policy,
                text,
                &Some(o.reason.clone()),
                &Some(o.approver.clone()),
                Some(o.until),
            ));
        }
        lines
    }
}

fn filled(reader: &Reader<'_>, key: &str) -> Option<String> {
    reader.opt_text(key).filter(|t| !t.trim().is_empty())
}

fn read_packs(p: &Reader<'_>, pack: &Pack) {
    for entry in p.tables("packs") {
        let (name, version) = (entry.text("name"), entry.text("version"));
        if entry.has("name") && name != pack.name() {
            entry.problem_at("name", format!("the pack at hand is `{}`, not `{name}`", pack.name()));
        } else if entry.has("version") && version != pack.version() {
            entry.problem_at("version", format!("the pack at hand has version {}, not {version}", pack.version()));
        }
        entry.finish();
    }
}

fn known_policy<'p>(reader: &Reader<'_>, pack: &'p Pack) -> Option<&'p Policy> {
    let id = reader.text("policy");
    let policy = pack.policy(&id);
    if policy.is_none() && reader.has("policy") {
        reader.problem_at("policy", format!("no policy is called `{id}`"));
    }
    policy
}

fn read_params(root: &Reader<'_>, pack: &Pack) -> BTreeMap<(String, String), ParamValue> {
    let mut values = BTreeMap::new();
    if !root.has("params") {
        return values;
    }
    for (id, table) in read_tables(root, "params") {
        let Some(policy) = pack.policy(&id) else {
            table.problem(format!("no policy is called `{id}`"));
            continue;
        };
        for name in table.keys() {
            let Some(param) = policy.params.get(&name) else {
                let known: Vec<&str> = policy.params.keys().map(String::as_str).collect();
                table.problem_at(&name, format!("{id} has no parameter `{name}`; accepted: {}", known.join(", ")));
                continue;
            };
            let Some(value) = ParamValue::read(&table, &name, param.ty) else { continue };
            match param.standing(&value) {
                Standing::Free => {}
                Standing::OutOfRange(text) => table.problem_at(&name, format!("`{name}` {text}")),
                Standing::Looser => table.problem_at(
                    &name,
                    format!("`{name}` may only be tightened from {}; a looser value needs an [[override]]", param.default),
                ),
                Standing::BelowFloor | Standing::AboveCeiling => table.problem_at(
                    &name,
                    format!("`{name}` = {value} crosses a legal bound; only an [[override]] with approver_role \"legal\" may do that"),
                ),
            }
            values.insert((id.clone(), name), value);
        }
        table.finish();
    }
    values
}

fn read_override(o: &Reader<'_>, pack: &Pack) -> Option<Override> {
    let policy = known_policy(o, pack);
    let name = o.text("param");
    let param = policy.and_then(|p| p.params.get(&name));
    if let (Some(policy), None, true) = (policy, param, o.has("param")) {
        let known: Vec<&str> = policy.params.keys().map(String::as_str).collect();
        o.problem_at("param", format!("{} has no parameter `{name}`; accepted: {}", policy.id, known.join(", ")));
    }
    if !o.has("value") {
        o.problem("missing key `value`");
    }
    let value = param.and_then(|p| if o.has("value") { ParamValue::read(o, "value", p.ty) } else { None });
    let (reason, approver, role, until) =
        (o.text("reason"), o.text("approver"), o.text("approver_role"), o.date("until"));
    o.finish();
    let (policy, param, value) = (policy?, param?, value?);
    match param.standing(&value) {
        Standing::OutOfRange(text) => o.problem_at("value", format!("`value` {text}")),
        Standing::BelowFloor | Standing::AboveCeiling if role_rank(&role) != role_rank("legal") => {
            o.problem_at("approver_role", "a value beyond a legal bound needs approver_role \"legal\"");
        }
        _ => {}
    }
    Some(Override { policy: policy.id.clone(), param: name, value, reason, approver, until })
}
