//! One policy of a run: its own session, its population and findings, its waivers, its answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;

use crate::finding::{FIRST_FINDINGS_MAX, Finding, Outcome, Severity};
use crate::model::Bilingual;
use crate::policy::attestations::{Attestations, Reply};
use crate::policy::definition::{Kind, Policy, Question};
use crate::policy::evaluate::{self, Bound, Fault};
use crate::policy::spool::Spool;
use crate::policy::waivers::{Standing, Waiver};
use crate::progress::Cancel;
use crate::query::Session;

/// What became of one policy, before it is printed.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) why: Option<(String, Bilingual)>,
    pub(super) population: Option<u64>,
    pub(super) tally: Tally,
    pub(super) findings: Spool,
}

/// Counts kept while findings stream by.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) findings: u64,
    pub(super) waived: u64,
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) first: Vec<Finding>,
}

/// Waivers of one policy and what they covered so far.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) waivers: Vec<(Waiver, Standing)>,
    pub(super) covered: Vec<u64>,
    pub(super) matched: Vec<u64>,
}

impl Desk {
    pub(super) fn new(all: &[(Waiver, Standing)], policy: &str) -> Self {
        let waivers: Vec<_> = all.iter().filter(|(w, _)| w.policy == policy).cloned().collect();
        let zeros = vec![0; waivers.len()];
        Self { waivers, covered: zeros.clone(), matched: zeros }
    }

    /// Marks the finding with the first valid waiver that still has room.
    pub(super) fn mark(&mut self, finding: &mut Finding) {
        for (i, (waiver, standing)) in self.waivers.iter().enumerate() {
            if !waiver.covers(finding) {
                continue;
            }
            self.matched[i] += 1;
            if finding.waiver.is_none() && *standing == Standing::Valid && self.covered[i] < waiver.findings_max {
                self.covered[i] += 1;
                finding.waiver = Some(waiver.id.clone());
            }
        }
    }
}

impl Tally {
    pub(super) fn count(&mut self, finding: &Finding) {
        self.findings += 1;
        self.waived += u64::from(finding.waiver.is_some());
        *self.reasons.entry(finding.reason.clone()).or_default() += 1;
        if self.first.len() < FIRST_FINDINGS_MAX {
            self.first.push(finding.clone());
        }
    }
}

/// The outcome of a policy whose data sufficed (policy format, section 7).
pub(in crate::policy) fn outcome(population: u64, findings: u64, waived: u64, empty_is_not_evaluated: bool) -> Outcome {
    match (findings, population) {
        (f, _) if f > waived => Outcome::Fail,
        (f, _) if f > 0 => Outcome::Waived,
        (_, 0) if empty_is_not_evaluated => Outcome::NotEvaluated,
        (_, 0) => Outcome::NotApplicable,
        _ => Outcome::Pass,
    }
}

/// How one evaluation ended.
pub(super) type Evaluated = Result<(Judged, Desk), Fault>;

/// Everything one evaluation needs, owned, so that it can run on any thread.
pub(super) struct Job {
    pub(super) policy: Arc<Policy>,
    pub(super) severity: Severity,
    pub(super) base: Arc<Session>,
    pub(super) tables: Vec<JobTable>,
    pub(super) bound: Bound,
    pub(super) desk: Desk,
    pub(super) spool_dir: PathBuf,
    pub(super) cancel: Cancel,
    pub(super) limits: (Option<u64>, usize),
    pub(super) answers: Answers,
}

pub(super) enum JobTable {
    Sealed { name: String, files: Vec<PathBuf>, schema: SchemaRef, columns: Vec<String> },
    Supplied { name: String, batch: RecordBatch },
}

/// What an attestation policy looks its answers up in.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) attestations: Arc<Attestations>,
    pub(super) evidence_dir: Option<PathBuf>,
    pub(super) decided_on: NaiveDate,
}

impl Job {
    pub(super) async fn run(&self) -> Evaluated {
        let session = self.base.fork().with_query_limits(self.limits.0, self.limits.1);
        for table in &self.tables {
            match table {
                JobTable::Sealed { name, files, schema, columns } => {
                    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                    session.add_parquet(name, files, Arc::clone(schema), Some(&columns)).await?;
                }
                JobTable::Supplied { name, batch } => session.add_rows(name, batch.clone()).await?,
            }
        }
        self.bound.add_lists(&session).await?;
        self.cancel.check()?;
        match &self.policy.kind {
            Kind::Attestation(question) => self.ask(&session, question).await,
            _ => self.examine(&session).await,
        }
    }

    async fn examine(&self, session: &Session) -> Evaluated {
        let Some(population) = &self.policy.population else {
            return Err(Fault::Contract("the policy has no population".into()));
        };
        let count = evaluate::population(session, &population.sql, &self.bound.params).await?;
        let mut desk = self.desk.clone();
        let mut tally = Tally::default();
        let mut spool = Spool::new(&self.spool_dir);
        let mut sink = |mut finding: Finding| {
            desk.mark(&mut finding);
            tally.count(&finding);
            spool.push(finding)
        };
        evaluate::findings(&self.policy, self.severity, session, &self.bound.params, &self.cancel, &mut sink).await?;
        let outcome = outcome(count, tally.findings, tally.waived, population.empty_is_not_evaluated);
        let why = nothing_examined(outcome);
        Ok((Judged { outcome, why, population: Some(count), tally, findings: spool }, desk))
    }

    async fn ask(&self, session: &Session, question: &Question) -> Evaluated {
        let subjects = evaluate::subjects(session, question, &self.bound.params).await?;
        let mut desk = self.desk.clone();
        let mut tally = Tally::default();
        let mut spool = Spool::new(&self.spool_dir);
        let (mut unanswered, mut applicable) = (Vec::new(), 0);
        for subject in &subjects {
            let a = &self.answers;
            let answer =
                a.attestations.answer(&self.policy.id, question, subject, a.decided_on, a.evidence_dir.as_deref());
            match answer {
                Err(lack) => unanswered.push((subject, lack)),
                Ok(answer) => match answer.reply {
                    Reply::NotApplicable => {}
                    Reply::Yes => applicable += 1,
                    Reply::No => {
                        applicable += 1;
                        let severity = self.policy.reasons.get("answered-no").and_then(|r| r.severity);
                        let severity = severity.map_or(self.severity, |s| s.min(self.severity));
                        let evidence = BTreeMap::from([
                            ("answered_on".to_owned(), Some(answer.on.to_string())),
                            ("role".to_owned(), Some(answer.role.clone())),
                        ]);
                        let mut finding = evaluate::finding(
                            &self.policy,
                            subject,
                            "answered-no",
                            severity,
                            Some(answer.on.to_string()),
                            evidence,
                        );
                        desk.mark(&mut finding);
                        tally.count(&finding);
                        spool.push(finding)?;
                    }
                },
            }
        }
        let mut result = outcome(applicable, tally.findings, tally.waived, false);
        let mut why = nothing_examined(result);
        if let Some((subject, lack)) = unanswered.first()
            && result != Outcome::Fail
        {
            result = Outcome::NotEvaluated;
            let (zh, en) = lack.text();
            let more = unanswered.len();
            why = Some((
                "needs-attestation".into(),
                Bilingual::new(
                    format!("{more} 项待确认，首项 {subject}：{zh}"),
                    format!("{more} to be attested, first {subject}: {en}"),
                ),
            ));
        }
        let judged = Judged { outcome: result, why, population: Some(subjects.len() as u64), tally, findings: spool };
        Ok((judged, desk))
    }
}

pub(super) fn nothing_examined(outcome: Outcome) -> Option<(String, Bilingual)> {
    let empty = matches!(outcome, Outcome::NotApplicable | Outcome::NotEvaluated);
    empty.then(|| ("empty-population".into(), Bilingual::new("没有可核查的对象", "there was nothing to examine")))
}

pub(super) fn unexamined(outcome: Outcome, code: &str, text: Bilingual, spool_dir: &Path) -> Judged {
    Judged {
        outcome,
        why: Some((code.to_owned(), text)),
        population: None,
        tally: Tally::default(),
        findings: Spool::new(spool_dir),
    }
}
