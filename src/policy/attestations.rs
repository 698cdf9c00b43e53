//! `attestations.toml`: recorded answers where no data can decide.

use std::path::{Component, Path};

use chrono::{Days, Months, NaiveDate};

use super::definition::{Kind, Question};
use super::pack::Pack;
use crate::config::document::LoadError;
use crate::config::{Document, Problems, Reader};
use crate::crypto;
use crate::model::Digest;

/// What a person answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Yes,
    No,
    NotApplicable,
}

/// One recorded answer.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// Policy that asks.
    pub policy: String,
    /// What the question is about.
    pub subject: String,
    pub(super) reply: Reply,
    /// Role of the person.
    pub role: String,
    /// Day of the answer.
    pub on: NaiveDate,
    /// Last day it counts.
    pub valid_until: NaiveDate,
    evidence: Option<(String, Digest)>,
}

/// All answers of a merchant.
#[derive(Debug, Clone, Default)]
pub struct Attestations(Vec<Attestation>);

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    Missing,
    NotInForce,
    WrongRole,
    EvidenceMissing,
    EvidenceDiffers,
}

impl Lack {
    pub(super) fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => ("没有回答", "no answer"),
            Self::NotInForce => ("回答尚未生效或已过期", "the answer is not in force"),
            Self::WrongRole => ("回答人角色不符", "answered by a role that may not"),
            Self::EvidenceMissing => ("缺少证明文件", "the supporting file is missing"),
            Self::EvidenceDiffers => ("证明文件与摘要不符", "the supporting file does not match its digest"),
        }
    }
}

impl Attestations {
    /// Loads a file of answers and checks it against the pack.
    ///
    /// # Errors
    /// An unreadable file, or every mistake in it.
    pub fn load(path: &Path, pack: &Pack) -> Result<Self, LoadError> {
        Ok(Self::read(Document::load(path)?, pack)?)
    }

    /// Reads answers from text; `file` is the name used in messages.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(file: &str, text: &str, pack: &Pack) -> Result<Self, Problems> {
        Self::read(Document::parse(file, text)?, pack)
    }

    fn read(document: Document, pack: &Pack) -> Result<Self, Problems> {
        let root = document.root();
        root.format_one();
        let mut list: Vec<Attestation> = Vec::new();
        for a in root.tables("attestation") {
            let answer = read_one(&a, pack);
            if list.iter().any(|o| o.policy == answer.policy && o.subject == answer.subject && o.on == answer.on) {
                a.problem("the same question is answered twice on one day");
            }
            list.push(answer);
        }
        root.finish();
        document.into_problems().or(Self(list))
    }

    /// The newest answer that counts, or why none does.
    pub(super) fn answer(
        &self,
        policy: &str,
        question: &Question,
        subject: &str,
        decided_on: NaiveDate,
        evidence_dir: Option<&Path>,
    ) -> Result<&Attestation, Lack> {
        let mut answers: Vec<&Attestation> =
            self.0.iter().filter(|a| a.policy == policy && a.subject == subject).collect();
        answers.sort_by_key(|a| a.on);
        let mut lack = Lack::Missing;
        for answer in answers.into_iter().rev() {
            match answer.judge(question, decided_on, evidence_dir) {
                Ok(()) => return Ok(answer),
                // The newest answer says what is wrong; older ones may still count.
                Err(l) if lack == Lack::Missing => lack = l,
                Err(_) => {}
            }
        }
        Err(lack)
    }
}

impl Attestation {
    fn judge(&self, question: &Question, decided_on: NaiveDate, evidence_dir: Option<&Path>) -> Result<(), Lack> {
        let (months, days) = question.valid;
        let last = u32::try_from(months)
            .ok()
            .and_then(|m| self.on.checked_add_months(Months::new(m)))
            .and_then(|d| d.checked_add_days(Days::new(u64::try_from(days).unwrap_or(0))))
            .map_or(self.valid_until, |d| d.min(self.valid_until));
        if decided_on < self.on || decided_on > last {
            return Err(Lack::NotInForce);
        }
        if !question.roles.contains(&self.role) {
            return Err(Lack::WrongRole);
        }
        match (&self.evidence, evidence_dir) {
            (None, _) if question.evidence_required => Err(Lack::EvidenceMissing),
            (None, _) => Ok(()),
            (Some(_), None) => Err(Lack::EvidenceMissing),
            (Some((file, expected)), Some(dir)) => match crypto::sha256_file(&dir.join(file)) {
                Ok((found, _)) if found == *expected => Ok(()),
                Ok(_) => Err(Lack::EvidenceDiffers),
                Err(_) => Err(Lack::EvidenceMissing),
            },
        }
    }
}

fn read_one(a: &Reader<'_>, pack: &Pack) -> Attestation {
    let policy = a.text("policy");
    match pack.policy(&policy).map(|p| &p.kind) {
        Some(Kind::Attestation(_)) => {}
        Some(_) => a.problem_at("policy", format!("{policy} asks no question")),
        None if a.has("policy") => a.problem_at("policy", format!("no policy is called `{policy}`")),
        None => {}
    }
    let reply = match a.one_of("answer", &["yes", "no", "not-applicable"]) {
        "no" => Reply::No,
        "not-applicable" => Reply::NotApplicable,
        _ => Reply::Yes,
    };
    if a.opt_text("why").is_none_or(|w| w.trim().is_empty()) && reply == Reply::NotApplicable {
        a.problem("`answer = \"not-applicable\"` needs `why`");
    }
    let evidence = a.opt_table("evidence").and_then(|e| {
        let (file, digest) = (e.text("file"), e.text("sha256"));
        let is_inside = !file.is_empty() && Path::new(&file).components().all(|c| matches!(c, Component::Normal(_)));
        if !is_inside && e.has("file") {
            e.problem_at("file", "`file` must be a path inside the evidence folder");
        }
        let parsed: Option<Digest> = digest.parse().ok();
        if parsed.is_none() && e.has("sha256") {
            e.problem_at("sha256", "`sha256` must be 64 lower-case hex digits");
        }
        e.finish();
        Some((file, parsed?))
    });
    a.text("by");
    let answer = Attestation {
        policy,
        subject: a.text("subject"),
        reply,
        role: a.text("role"),
        on: a.date("on"),
        valid_until: a.date("valid_until"),
        evidence,
    };
    a.finish();
    answer
}
