//! A whole check: every selected policy over the archive, then the policies about the run, then the assessment.
//!
//! Policies run side by side, but nothing in the result depends on their number or order: findings reach the sink
//! in id order, and a policy that ran out of shared memory is tried again alone.

mod job;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use tokio::task::JoinSet;

use super::Error;
use super::attestations::Attestations;
use super::builtin::{self, Knowledge};
use super::definition::{Kind, Policy};
use super::evaluate::{Bound, Fault};
use super::facts::{Facts, Shortage, Table};
use super::laws;
use super::output::FindingSink;
use super::pack::Pack;
use super::params::ParamValue;
use super::profile::Profile;
use super::spool::Spool;
use super::waivers::{Standing, Waiver, Waivers};
use crate::config::Problems;
use crate::finding::{Assessment, DatasetUse, Outcome, ParamUse, PolicyResult, ReasonCount, Summary, WaiverUse};
use crate::fsio;
use crate::model::{Bilingual, Digest};
use crate::progress::{Cancel, Progress, Stage};
use crate::query::{Limits, Session};
use crate::schema;
use job::{Answers, Desk, Evaluated, Job, JobTable, Judged, Tally, nothing_examined, unexamined};

pub(super) use job::outcome;

/// Time a policy may take unless stated otherwise.
pub const SECONDS_DEFAULT: u64 = 120;
/// Findings a policy may have unless stated otherwise.
pub const FINDINGS_DEFAULT: usize = 1_000_000;

/// Everything a check rests on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The policies.
    pub pack: &'a Pack,
    /// What the merchant runs.
    pub profile: &'a Profile,
    /// Accepted exceptions.
    pub waivers: &'a Waivers,
    /// Recorded answers.
    pub attestations: &'a Attestations,
    /// Folder of files that support answers.
    pub evidence_dir: Option<&'a Path>,
    /// The archive and the case.
    pub facts: &'a Facts,
    /// Run these policies only; empty: what the profile selects.
    pub only: &'a [String],
    /// Memory, spill folder, time and rows per policy.
    pub limits: &'a Limits,
    /// Policies that run side by side, at least 1.
    pub threads: usize,
    /// Digests of the input files, by name, for the record.
    pub input_digests: &'a BTreeMap<String, Digest>,
    /// Name of the findings CSV in the assessment.
    pub findings_csv: &'a str,
}

/// Runs every selected policy and hands all findings to the sink, in order of policy, subject and reason.
///
/// # Errors
/// Inputs that do not fit together, an empty selection, a sink that fails, an interruption. Whatever concerns one
/// policy only becomes its outcome.
pub async fn run(
    inputs: &Inputs<'_>,
    sink: &mut dyn FindingSink,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Assessment, Error> {
    let selected = prepare(inputs)?;
    let task = progress.start(Stage::Check, Some(selected.len() as u64));
    let spool_dir = inputs.limits.spill_dir.clone();
    let base = Arc::new(Session::new(inputs.limits)?);
    let references = references(inputs)?;
    let derived = derive(inputs, &selected, &base, &|name| task.label(name), cancel).await?;
    let all_waivers = builtin::standings(inputs.pack, &inputs.waivers.0, inputs.facts.decided_on);
    let answers = Answers {
        attestations: Arc::new(inputs.attestations.clone()),
        evidence_dir: inputs.evidence_dir.map(Path::to_owned),
        decided_on: inputs.facts.decided_on,
    };
    let mut judged: BTreeMap<String, Judged> = BTreeMap::new();
    let mut needs: BTreeMap<String, Vec<Shortage>> = BTreeMap::new();
    let mut jobs: VecDeque<Arc<Job>> = VecDeque::new();
    for id in &selected {
        let Some(policy) = inputs.pack.shared(id) else { continue };
        if matches!(policy.kind, Kind::Builtin { .. }) {
            continue;
        }
        let verdict = sift(inputs, &policy, &mut needs).or_else(|| derived.fault(&policy));
        match verdict {
            Some((outcome, code, text)) => {
                judged.insert(id.clone(), unexamined(outcome, &code, text, &spool_dir));
                task.advance(1);
            }
            None => jobs.push_back(Arc::new(Job {
                severity: inputs.profile.severity(&policy),
                base: Arc::clone(&base),
                tables: tables(inputs, &policy, &references, &derived.tables),
                bound: bound(inputs, &policy),
                desk: Desk::new(&all_waivers, id),
                spool_dir: spool_dir.clone(),
                cancel: cancel.clone(),
                limits: (inputs.limits.seconds, inputs.limits.rows_max),
                answers: answers.clone(),
                policy,
            })),
        }
    }
    let mut matched: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut again: Vec<Arc<Job>> = Vec::new();
    let mut running: JoinSet<(Arc<Job>, Evaluated)> = JoinSet::new();
    let mut ids: BTreeMap<tokio::task::Id, String> = BTreeMap::new();
    while !jobs.is_empty() || !running.is_empty() {
        cancel.check()?;
        while running.len() < inputs.threads.max(1)
            && let Some(job) = jobs.pop_front()
        {
            let id = job.policy.id.clone();
            task.label(&id);
            let handle = running.spawn(async move {
                let result = job.run().await;
                (job, result)
            });
            ids.insert(handle.id(), id);
        }
        // Waking up now and then lets a request to stop through while every policy is busy.
        let Ok(Some(done)) = tokio::time::timeout(Duration::from_millis(200), running.join_next_with_id()).await else {
            continue;
        };
        match done {
            Ok((_, (job, Err(fault)))) if fault.is_memory() && inputs.threads > 1 => again.push(job),
            Ok((_, (job, result))) => {
                settle(&job.policy.id, result, &mut judged, &mut matched, &spool_dir)?;
                task.advance(1);
            }
            Err(stopped) => {
                if let Some(id) = ids.get(&stopped.id()) {
                    settle(id, Err(Fault::Stopped), &mut judged, &mut matched, &spool_dir)?;
                }
                task.advance(1);
            }
        }
    }
    again.sort_by(|a, b| a.policy.id.cmp(&b.policy.id));
    for job in again {
        let result = job.run().await;
        settle(&job.policy.id, result, &mut judged, &mut matched, &spool_dir)?;
        task.advance(1);
    }
    judge_builtins(inputs, &selected, &all_waivers, &needs, &mut judged, &mut matched, &spool_dir)?;
    assemble(inputs, judged, &derived.tables, &all_waivers, &matched, sink)
}

/// Checks what only a run can see, and selects.
fn prepare(inputs: &Inputs<'_>) -> Result<Vec<String>, Error> {
    let (profile, facts) = (inputs.profile, inputs.facts);
    let mut problems = profile.ended_overrides(facts.decided_on);
    if profile.zone != facts.zone {
        let message = format!(
            "the profile's zone is {}, the archive's is {}; days would not be the same days",
            profile.zone, facts.zone
        );
        problems.0.extend(Problems::in_file("profile", message).0);
    }
    for id in inputs.only.iter().filter(|id| inputs.pack.policy(id).is_none()) {
        problems.0.extend(Problems::in_file("selection", format!("no policy is called `{id}`")).0);
    }
    problems.or(())?;
    let selected = profile.select(inputs.pack, inputs.only);
    if selected.is_empty() {
        return Err(Error::NothingSelected { profile: profile.id.clone() });
    }
    Ok(selected)
}

fn references(inputs: &Inputs<'_>) -> Result<BTreeMap<String, RecordBatch>, Error> {
    let mut references = inputs.facts.moment().calendars().map_err(|message| Error::Reference { message })?;
    references.extend(inputs.pack.tables.iter().map(|(k, v)| (k.clone(), v.clone())));
    Ok(references)
}

/// The outcome of a policy that cannot or need not be evaluated; also notes what its data lacks.
fn sift(
    inputs: &Inputs<'_>,
    policy: &Policy,
    needs: &mut BTreeMap<String, Vec<Shortage>>,
) -> Option<(Outcome, String, Bilingual)> {
    let (profile, facts) = (inputs.profile, inputs.facts);
    let not_applicable = |code: &str, text: Bilingual| Some((Outcome::NotApplicable, code.to_owned(), text));
    if !policy.roles.is_empty() && !policy.roles.contains(&profile.role) {
        return not_applicable(
            "role-outside",
            Bilingual::new(
                format!("不适用于角色 {}", profile.role),
                format!("does not concern the role {}", profile.role),
            ),
        );
    }
    if !policy.channels.is_empty() && !policy.channels.iter().any(|c| profile.channels.contains(c)) {
        return not_applicable(
            "channel-outside",
            Bilingual::new("商户未使用所涉渠道", "the merchant uses none of the channels concerned"),
        );
    }
    let behind = policy.needs.keys().filter_map(|d| inputs.pack.derived.get(d)).flat_map(|d| d.needs.keys());
    let is_out = |d: &&String| profile.out_of_scope.get(*d).is_some_and(|o| facts.decided_on <= o.until);
    let out = policy.needs.keys().chain(behind).find(is_out);
    if let Some(dataset) = out {
        return not_applicable(
            "out-of-scope",
            Bilingual::new(
                format!("数据集 {dataset} 已声明不在范围内"),
                format!("dataset {dataset} is declared out of scope"),
            ),
        );
    }
    let value = |name: &str| policy.params.get(name).map(|p| profile.value(&policy.id, name, p).0.clone());
    let shortages = facts.shortages(policy, &inputs.pack.derived, &value);
    let first = shortages.first().map(|s| (Outcome::NotEvaluated, s.code().to_owned(), s.text()));
    needs.insert(policy.id.clone(), shortages);
    first
}

/// Derived datasets of a run: those that could be computed, and why the others could not.
#[derive(Default)]
struct DerivedTables {
    tables: Vec<Table>,
    faults: BTreeMap<String, (String, Bilingual)>,
    /// Holds the files until the run has ended.
    dir: Option<tempfile::TempDir>,
}

impl DerivedTables {
    /// The outcome of a policy that reads a dataset which could not be computed.
    fn fault(&self, policy: &Policy) -> Option<(Outcome, String, Bilingual)> {
        let (code, text) = policy.needs.keys().find_map(|name| self.faults.get(name))?;
        Some((Outcome::NotEvaluated, code.clone(), text.clone()))
    }
}

/// Computes the derived datasets that at least one selected policy with sufficient data reads.
async fn derive(
    inputs: &Inputs<'_>,
    selected: &[String],
    base: &Session,
    label: &(dyn Fn(&str) + Send + Sync),
    cancel: &Cancel,
) -> Result<DerivedTables, Error> {
    let mut derived = DerivedTables::default();
    for (name, dataset) in &inputs.pack.derived {
        let is_wanted = selected
            .iter()
            .filter_map(|id| inputs.pack.policy(id))
            .any(|policy| policy.needs.contains_key(name) && sift(inputs, policy, &mut BTreeMap::new()).is_none());
        if !is_wanted {
            continue;
        }
        if derived.dir.is_none() {
            let spill = &inputs.limits.spill_dir;
            fsio::create_dir(spill)?;
            let dir = tempfile::Builder::new().prefix(".derived-").tempdir_in(spill);
            derived.dir = Some(dir.map_err(|e| fsio::Error::io("create", spill, e))?);
        }
        let Some(dir) = &derived.dir else { continue };
        label(name);
        match dataset.build(base, &inputs.facts.tables, dir.path(), cancel).await {
            Ok(table) => derived.tables.push(table),
            Err(Fault::Interrupted(stop)) => return Err(stop.into()),
            Err(fault) => {
                let text = fault.text();
                let text = Bilingual::new(
                    format!("数据集 {name} 未能计算：{}", text.zh),
                    format!("the dataset {name} could not be computed: {}", text.en),
                );
                derived.faults.insert(name.clone(), (fault.code().to_owned(), text));
            }
        }
    }
    Ok(derived)
}

fn tables(
    inputs: &Inputs<'_>,
    policy: &Policy,
    references: &BTreeMap<String, RecordBatch>,
    derived: &[Table],
) -> Vec<JobTable> {
    let mut tables = Vec::new();
    for (name, columns) in &policy.needs {
        if let Some(batch) = references.get(name) {
            let indices: Vec<usize> = columns.iter().filter_map(|c| batch.schema().index_of(c).ok()).collect();
            let batch = batch.project(&indices).unwrap_or_else(|_| batch.clone());
            tables.push(JobTable::Supplied { name: name.clone(), batch });
        } else if let Some(table) = inputs.facts.table(name).or_else(|| derived.iter().find(|t| t.name == *name)) {
            tables.push(JobTable::Sealed {
                name: name.clone(),
                files: table.files.clone(),
                schema: Arc::clone(&table.schema),
                columns: columns.clone(),
            });
        } else if let Some(dataset) = schema::dataset(name) {
            // A reference dataset the pack does not fill is there and empty.
            tables.push(JobTable::Sealed {
                name: name.clone(),
                files: Vec::new(),
                schema: dataset.arrow_schema(),
                columns: columns.clone(),
            });
        }
    }
    tables
}

fn bound(inputs: &Inputs<'_>, policy: &Policy) -> Bound {
    let values: BTreeMap<String, ParamValue> = policy
        .params
        .iter()
        .map(|(name, p)| (name.clone(), inputs.profile.value(&policy.id, name, p).0.clone()))
        .collect();
    Bound::new(inputs.facts.moment().params(), values.iter())
}

fn settle(
    id: &str,
    result: Evaluated,
    judged: &mut BTreeMap<String, Judged>,
    matched: &mut BTreeMap<String, (u64, u64)>,
    spool_dir: &Path,
) -> Result<(), Error> {
    match result {
        Ok((outcome, desk)) => {
            note(&desk, matched);
            judged.insert(id.to_owned(), outcome);
        }
        Err(Fault::Interrupted(stop)) => return Err(stop.into()),
        Err(fault) => {
            judged.insert(id.to_owned(), unexamined(Outcome::NotEvaluated, fault.code(), fault.text(), spool_dir));
        }
    }
    Ok(())
}

fn note(desk: &Desk, matched: &mut BTreeMap<String, (u64, u64)>) {
    for (i, (waiver, _)) in desk.waivers.iter().enumerate() {
        let entry = matched.entry(waiver.id.clone()).or_default();
        entry.0 += desk.matched[i];
        entry.1 += desk.covered[i];
    }
}

fn judge_builtins(
    inputs: &Inputs<'_>,
    selected: &[String],
    all_waivers: &[(Waiver, Standing)],
    needs: &BTreeMap<String, Vec<Shortage>>,
    judged: &mut BTreeMap<String, Judged>,
    matched: &mut BTreeMap<String, (u64, u64)>,
    spool_dir: &Path,
) -> Result<(), Error> {
    let matches = matched.clone();
    let waivers: Vec<(Waiver, Standing, u64)> =
        all_waivers.iter().map(|(w, s)| (w.clone(), s.clone(), matches.get(&w.id).map_or(0, |m| m.0))).collect();
    let known = Knowledge { pack: inputs.pack, profile: inputs.profile, facts: inputs.facts, needs, waivers: &waivers };
    for id in selected {
        let Some(policy) = inputs.pack.policy(id) else { continue };
        let Kind::Builtin { name, siblings } = &policy.kind else { continue };
        let (population, findings) =
            builtin::evaluate(*name, siblings, policy, inputs.profile.severity(policy), &known);
        let mut desk = Desk::new(all_waivers, id);
        let mut tally = Tally::default();
        let mut spool = Spool::new(spool_dir);
        for mut finding in findings {
            desk.mark(&mut finding);
            tally.count(&finding);
            spool.push(finding)?;
        }
        note(&desk, matched);
        let outcome = outcome(population, tally.findings, tally.waived, false);
        judged.insert(
            id.clone(),
            Judged { outcome, why: nothing_examined(outcome), population: Some(population), tally, findings: spool },
        );
    }
    Ok(())
}

fn assemble(
    inputs: &Inputs<'_>,
    judged: BTreeMap<String, Judged>,
    derived: &[Table],
    all_waivers: &[(Waiver, Standing)],
    matched: &BTreeMap<String, (u64, u64)>,
    sink: &mut dyn FindingSink,
) -> Result<Assessment, Error> {
    let (pack, profile, facts) = (inputs.pack, inputs.profile, inputs.facts);
    let mut policies = Vec::new();
    let mut total = 0;
    for (id, judged) in judged {
        let Some(policy) = pack.policy(&id) else { continue };
        judged.findings.drain(|finding| {
            total += 1;
            sink.write(&finding)
        })?;
        policies.push(result(inputs, policy, judged.outcome, judged.why, judged.population, judged.tally));
    }
    let waivers = all_waivers
        .iter()
        .map(|(w, s)| waiver_use(w, s, matched.get(&w.id).copied().unwrap_or_default(), facts.decided_on));
    let mut datasets: Vec<DatasetUse> = facts
        .tables
        .iter()
        .chain(derived)
        .map(|t| DatasetUse {
            name: t.name.clone(),
            rows: t.rows,
            coverage: t.coverage.map(|(a, b)| (a.to_string(), b.to_string())),
        })
        .collect();
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Assessment {
        assessment_format: 1,
        tool_version: env!("CARGO_PKG_VERSION").into(),
        schema_version: schema::VERSION.into(),
        archive_id: facts.archive_id.clone(),
        archive_digest: facts.archive_digest,
        statement_hash: facts.statement_hash,
        verification: facts.verification.clone(),
        pack: format!("{} {}", pack.name(), pack.version()),
        pack_digest: pack.digest(),
        legal_review: pack.legal_review().map(str::to_owned),
        sets: profile.sets.clone(),
        role: profile.role.clone(),
        as_of: facts.as_of.with_timezone(&facts.zone).to_rfc3339(),
        window: (facts.window.0.to_string(), facts.window.1.to_string()),
        decided_on: facts.decided_on.to_string(),
        zone: facts.zone.to_string(),
        inputs: inputs.input_digests.clone(),
        profile_lines: profile.lines(),
        datasets,
        waivers: waivers.collect(),
        summary: Summary::of(&policies),
        policies,
        findings_csv: inputs.findings_csv.into(),
        findings_count: total,
    })
}

fn waiver_use(
    waiver: &Waiver,
    standing: &Standing,
    (matched, covered): (u64, u64),
    decided_on: NaiveDate,
) -> WaiverUse {
    let state = match standing {
        Standing::Valid if matched == 0 => "unused",
        Standing::Valid => "valid",
        Standing::Expired => "expired",
        Standing::NotWaivable | Standing::Refused(_) => "refused",
    };
    WaiverUse {
        id: waiver.id.clone(),
        policy: waiver.policy.clone(),
        why: waiver.why.clone(),
        owner: waiver.owner.clone(),
        approver: waiver.approver.clone(),
        expires_on: waiver.expires_on.to_string(),
        days_left: waiver.days_left(decided_on),
        covered,
        state: state.into(),
    }
}

fn result(
    inputs: &Inputs<'_>,
    policy: &Policy,
    outcome: Outcome,
    why: Option<(String, Bilingual)>,
    population: Option<u64>,
    tally: Tally,
) -> PolicyResult {
    let (pack, profile) = (inputs.pack, inputs.profile);
    let (why_code, why) = why.unzip();
    let reasons = tally.reasons.into_iter().map(|(code, count)| {
        let text = policy.reasons.get(&code).map(|r| r.text.clone()).unwrap_or_default();
        ReasonCount { code, text, count }
    });
    let parameters = policy.params.iter().map(|(name, param)| {
        let (value, origin) = profile.value(&policy.id, name, param);
        ParamUse { name: name.clone(), value: value.to_string(), origin: origin.word().into() }
    });
    PolicyResult {
        id: policy.id.clone(),
        revision: policy.revision,
        digest: policy.digest,
        title: policy.title.clone(),
        rationale: policy.rationale.clone(),
        severity: profile.severity(policy),
        tier: policy.tier,
        outcome,
        why_code,
        why,
        population,
        findings: tally.findings,
        waived: tally.waived,
        subject_kind: policy.subject_kind.clone(),
        reasons: reasons.collect(),
        first: tally.first,
        basis: policy.basis.iter().map(|c| laws::basis(&pack.laws, c, &profile.role)).collect(),
        conflicts: policy.conflicts.iter().filter_map(|id| pack.conflicts.get(id).cloned()).collect(),
        remedy: policy.remedy.clone(),
        parameters: parameters.collect(),
        datasets: policy.needs.keys().cloned().collect(),
    }
}
