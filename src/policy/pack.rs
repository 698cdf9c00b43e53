//! Packs: policies with their law register, schedule, conflicts and tables, loaded and checked as one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::definition::{Kind, Policy, Status};
use super::derived::Derived;
use super::files::FileSet;
use super::laws::{self, Law, RetentionClass};
use super::{facts, lint, testing};
use crate::config::document::LoadError;
use crate::config::{Document, Problem, Problems};
use crate::finding::Conflict;
use crate::model::{Bilingual, Digest};
use crate::schema;

/// The shipped pack.
pub const SHIPPED: &str = "cn-miniprogram";

/// A loaded pack.
#[derive(Debug, Clone)]
pub struct Pack {
    name: String,
    version: String,
    title: Bilingual,
    legal_review: Option<String>,
    sets: BTreeMap<String, Bilingual>,
    digest: Digest,
    pub(super) laws: BTreeMap<String, Law>,
    pub(super) conflicts: BTreeMap<String, Conflict>,
    schedule: Vec<RetentionClass>,
    pub(super) tables: BTreeMap<String, RecordBatch>,
    policies: BTreeMap<String, Arc<Policy>>,
    pub(super) derived: BTreeMap<String, Arc<Derived>>,
    pub(super) files: FileSet,
}

struct Head {
    name: String,
    version: String,
    title: Bilingual,
    legal_review: Option<String>,
    sets: BTreeMap<String, Bilingual>,
}

impl Pack {
    /// The pack this program carries.
    ///
    /// # Errors
    /// Every mistake of every file.
    pub fn embedded() -> Result<Self, Problems> {
        Self::build(FileSet::shipped(SHIPPED)?)
    }

    /// A pack from a folder that holds `pack.toml`.
    ///
    /// # Errors
    /// Unreadable files, or every mistake of every file.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        Ok(Self::build(FileSet::load(dir)?)?)
    }

    fn build(files: FileSet) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        files.check_bytes(&mut problems);
        let head = part(&files, "pack.toml", &mut problems, read_head);
        let laws = part(&files, "laws.toml", &mut problems, laws::read_laws).unwrap_or_default();
        let conflicts = part(&files, "conflicts.toml", &mut problems, laws::read_conflicts).unwrap_or_default();
        let schedule = part(&files, "schedule.toml", &mut problems, laws::read_schedule).unwrap_or_default();
        let tables = read_tables(&files, &schedule, &mut problems);
        let policies = read_policies(&files, &mut problems);
        let derived = read_derived(&files, &mut problems);
        let sets: BTreeSet<&str> = head.iter().flat_map(|h| h.sets.keys().map(String::as_str)).collect();
        for policy in policies.values() {
            let file = format!("{}/policy.toml", policy.folder);
            let mut complain = |message: String| problems.push(files.problem(&file, message));
            for citation in &policy.basis {
                laws::check_citation(&laws, citation).into_iter().for_each(&mut complain);
            }
            for source in policy.params.values().flat_map(super::params::Param::sources) {
                if !laws.contains_key(source) {
                    complain(format!("source `{source}` of a legal bound is not in laws.toml"));
                }
            }
            for id in policy.conflicts.iter().filter(|id| !conflicts.contains_key(*id)) {
                complain(format!("conflict `{id}` is not in conflicts.toml"));
            }
            for name in policy.needs.keys().filter(|n| facts::is_derived(n) && !derived.contains_key(*n)) {
                complain(format!("dataset `{name}` is derived, but the pack has no derived/{name}/derived.toml"));
            }
            for set in policy.sets.iter().filter(|s| !sets.contains(s.as_str())) {
                complain(format!("set `{set}` is not declared in pack.toml"));
            }
        }
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        let Some(head) = head else { return Err(Problems(problems)) };
        let digest = files.digest();
        Problems(problems).or(Self {
            name: head.name,
            version: head.version,
            title: head.title,
            legal_review: head.legal_review,
            sets: head.sets,
            digest,
            laws,
            conflicts,
            schedule,
            tables,
            policies,
            derived,
            files,
        })
    }

    /// Name of the pack.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the pack.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the pack is.
    pub fn title(&self) -> &Bilingual {
        &self.title
    }

    /// The lawyer's review, if there was one.
    pub fn legal_review(&self) -> Option<&str> {
        self.legal_review.as_deref()
    }

    /// Digest version 1 (`docs/policies.md` says how to recompute it).
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Declared sets and their titles.
    pub fn sets(&self) -> &BTreeMap<String, Bilingual> {
        &self.sets
    }

    /// All policies, in id order.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values().map(AsRef::as_ref)
    }

    /// One policy.
    pub fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.get(id).map(AsRef::as_ref)
    }

    pub(super) fn shared(&self, id: &str) -> Option<Arc<Policy>> {
        self.policies.get(id).map(Arc::clone)
    }

    /// All derived datasets, in name order.
    pub fn derived(&self) -> impl Iterator<Item = &Derived> {
        self.derived.values().map(AsRef::as_ref)
    }

    /// Conflicts between sources, in id order.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.values()
    }

    /// Names of the instruments of the law register, by key.
    pub fn law_titles(&self) -> impl Iterator<Item = (&str, &Bilingual)> {
        self.laws.iter().map(|(key, law)| (key.as_str(), &law.title))
    }

    /// The retention schedule.
    pub fn schedule(&self) -> &[RetentionClass] {
        &self.schedule
    }

    /// Files of the pack that an assessment copies: path within the pack and bytes, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.paths().filter_map(|p| Some((p, self.files.get(p)?)))
    }

    /// Everything the linter finds beyond what loading already refuses: the SQL profile, the result contract,
    /// evidence classes, wording, completeness of tests.
    ///
    /// # Errors
    /// When the engine cannot start.
    pub async fn lint(&self, limits: &crate::query::Limits) -> Result<Problems, crate::query::Error> {
        let mut problems = lint::lint(self, limits).await?;
        for policy in self.policies() {
            problems.extend(testing::lint(self, policy));
        }
        for derived in self.derived() {
            problems.extend(testing::lint_derived(self, derived));
        }
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Ok(Problems(problems))
    }
}

fn part<T>(
    files: &FileSet,
    path: &str,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(&str, &str) -> Result<T, Problems>,
) -> Option<T> {
    let text = files.text(path, problems)?;
    match read(&files.shown(path), text) {
        Ok(value) => Some(value),
        Err(list) => {
            problems.extend(list.0);
            None
        }
    }
}

fn read_head(file: &str, text: &str) -> Result<Head, Problems> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    root.format_one();
    let Some(p) = root.table("pack") else { return Err(document.into_problems()) };
    let version = p.text("version");
    if p.has("version") && parse_version(&version).is_none() {
        p.problem_at("version", "`version` must be three numbers such as 1.4.0");
    }
    let range = p.text("schema");
    match in_range(&range, schema::VERSION) {
        Some(true) => {}
        Some(false) => {
            p.problem_at("schema", format!("this program has schema {}, the pack wants {range}", schema::VERSION))
        }
        None => p.problem_at("schema", "`schema` must be a range such as \">=1.0, <2\""),
    }
    if let Some(tool) = p.opt_text("tool") {
        match in_range(&tool, env!("CARGO_PKG_VERSION")) {
            Some(true) => {}
            Some(false) => {
                p.problem_at("tool", format!("this program is {}, the pack wants {tool}", env!("CARGO_PKG_VERSION")))
            }
            None => p.problem_at("tool", "`tool` must be a range such as \">=0.1\""),
        }
    }
    p.opt_date("released_on");
    let mut sets = BTreeMap::new();
    for s in root.tables("set") {
        sets.insert(s.text("id"), s.bilingual("title"));
        s.finish();
    }
    let legal_review = root.opt_table("review").map(|r| {
        let (by, on, scope) = (r.text("by"), r.date("on"), r.bilingual("scope"));
        r.finish();
        format!("{by}, {on}: {} / {}", scope.zh, scope.en)
    });
    let head = Head { name: p.text("name"), title: p.bilingual("title"), version, legal_review, sets };
    p.finish();
    root.finish();
    document.into_problems().or(head)
}

fn parse_version(text: &str) -> Option<Vec<u64>> {
    let parts: Option<Vec<u64>> = text.split('.').map(|p| p.parse().ok()).collect();
    parts.filter(|p| (1..=3).contains(&p.len()))
}

/// Whether a version lies in a range of `>=`, `>`, `<`, `<=`, `=` conditions; `None` when the range is malformed.
fn in_range(range: &str, version: &str) -> Option<bool> {
    let mut version = parse_version(version)?;
    version.resize(3, 0);
    let mut inside = true;
    for condition in range.split(',') {
        let condition = condition.trim();
        let split = condition.find(|c: char| c.is_ascii_digit())?;
        let (operator, bound) = condition.split_at(split);
        let mut bound = parse_version(bound)?;
        bound.resize(3, 0);
        inside &= match operator.trim() {
            ">=" => version >= bound,
            ">" => version > bound,
            "<" => version < bound,
            "<=" => version <= bound,
            "=" => version == bound,
            _ => return None,
        };
    }
    Some(inside)
}

fn read_tables(
    files: &FileSet,
    schedule: &[RetentionClass],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, RecordBatch> {
    let mut tables = BTreeMap::new();
    let paths: Vec<String> = files.paths().filter(|p| p.starts_with("tables/")).map(str::to_owned).collect();
    for path in paths {
        let Some(name) = path.strip_prefix("tables/").and_then(|n| n.strip_suffix(".csv")) else {
            problems.push(files.problem(&path, "only .csv files belong into tables/"));
            continue;
        };
        if let Some(batch) = part(files, &path, problems, |file, text| laws::read_table(file, name, text)) {
            tables.insert(name.to_owned(), batch);
        }
    }
    if let Some(dataset) = schema::dataset("retention_schedule") {
        match laws::batch_of_texts(dataset, &laws::schedule_rows(schedule)) {
            Ok(batch) => {
                tables.insert("retention_schedule".into(), batch);
            }
            Err(message) => problems.push(files.problem("schedule.toml", message)),
        }
    }
    tables
}

fn read_policies(files: &FileSet, problems: &mut Vec<Problem>) -> BTreeMap<String, Arc<Policy>> {
    let mut policies = BTreeMap::new();
    let paths: Vec<String> = files.paths().filter(|p| p.ends_with("/policy.toml")).map(str::to_owned).collect();
    for path in paths {
        let folder = path.trim_end_matches("/policy.toml").to_owned();
        let mut parts = folder.split('/');
        let family = parts.next().unwrap_or_default();
        let is_placed = parts.next().is_some_and(|id| id.split('-').next() == Some(family)) && parts.next().is_none();
        if !is_placed {
            problems.push(files.problem(&path, "a policy lies in FAMILY/FAMILY-NNN/policy.toml"));
        }
        let Some(text) = files.text(&path, problems) else { continue };
        let mut check = |name: &str| {
            files.get(&format!("{folder}/{name}")).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned)
        };
        match Policy::read(&files.shown(&path), &folder, text, files.policy_digest(&folder), &mut check) {
            Ok(policy) => {
                if !matches!(policy.kind, Kind::Sql { .. }) && files.get(&format!("{folder}/check.sql")).is_some() {
                    problems.push(
                        files.problem(&format!("{folder}/check.sql"), "only policies of kind sql have a check.sql"),
                    );
                }
                if policy.status != Status::Draft && policy.sets.is_empty() {
                    problems.push(files.problem(&path, "a stable policy belongs to at least one set"));
                }
                policies.insert(policy.id.clone(), Arc::new(policy));
            }
            Err(list) => problems.extend(list.0),
        }
    }
    let is_part = |p: &&str| !p.starts_with(DERIVED) && (p.ends_with("/check.sql") || p.ends_with("/tests.toml"));
    for path in files.paths().filter(is_part) {
        let folder = path.rsplit_once('/').map_or("", |(f, _)| f);
        if files.get(&format!("{folder}/policy.toml")).is_none() {
            problems.push(files.problem(path, "there is no policy.toml beside this file"));
        }
    }
    policies
}

/// Folder of the derived datasets.
const DERIVED: &str = "derived/";

fn read_derived(files: &FileSet, problems: &mut Vec<Problem>) -> BTreeMap<String, Arc<Derived>> {
    let mut derived = BTreeMap::new();
    let paths: Vec<String> = files.paths().filter(|p| p.starts_with(DERIVED)).map(str::to_owned).collect();
    for path in paths {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_placed = folder.split('/').count() == 2 && ["derived.toml", "query.sql", "tests.toml"].contains(&name);
        if !is_placed || files.get(&format!("{folder}/derived.toml")).is_none() {
            problems.push(
                files.problem(&path, "a derived dataset lies in derived/NAME/{derived.toml, query.sql, tests.toml}"),
            );
            continue;
        }
        if name != "derived.toml" {
            continue;
        }
        let Some(text) = files.text(&path, problems) else { continue };
        let sql =
            files.get(&format!("{folder}/query.sql")).and_then(|b| std::str::from_utf8(b).ok()).map(str::to_owned);
        match Derived::read(&files.shown(&path), folder, text, sql, files.derived_digest(folder)) {
            Ok(found) => {
                derived.insert(found.name.clone(), Arc::new(found));
            }
            Err(list) => problems.extend(list.0),
        }
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranges say what versions they hold; malformed ones are noticed.
    #[test]
    fn ranges() {
        for (range, version, expected) in [
            (">=1.0, <2", "1.0", Some(true)),
            (">=1.2, <2", "1.0", Some(false)),
            (">=1.0, <2", "2.0.0", Some(false)),
            ("=1.0.0", "1.0", Some(true)),
            ("1.0", "1.0", None),
            (">=x", "1.0", None),
            ("", "1.0", None),
        ] {
            assert_eq!(in_range(range, version), expected, "{range} {version}");
        }
    }
}
