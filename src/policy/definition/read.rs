//! Reading `policy.toml` key by key.

use std::collections::BTreeMap;

use super::{
    CHANNELS, Citation, FORCES, Kind, MARKS, MatchKind, Policy, Population, Question, ROLES, Reason, SEVERITIES, Span,
    Status, WaiverTerms,
};
use crate::config::Reader;
use crate::finding::{Remedy, Severity};
use crate::model::{Bilingual, Digest};
use crate::policy::builtin::Builtin;
use crate::policy::params::{Param, ParamType, parse_duration, parse_period};
use crate::schema::{self, Class, Origin};

pub(super) fn read_root(
    root: &Reader<'_>,
    folder: &str,
    digest: Digest,
    check: &mut dyn FnMut(&str) -> Option<String>,
) -> Option<Policy> {
    root.format_one();
    let head = root.table("policy");
    let applies = root.table("applies");
    let check_table = root.table("check");
    let (basis, mut conflicts) = read_basis(root);
    conflicts.extend(root.text_list("conflicts"));
    let needs = read_needs(root);
    let params = read_tables(root, "params").into_iter().filter_map(|(k, r)| Some((k, Param::read(&r)?))).collect();
    let reasons = read_reasons(root);
    let evidence = read_evidence(root);
    let remedy = root.table("remedy").map(|r| read_remedy(&r)).unwrap_or_default();
    let waiver = root.table("waiver").map(|r| read_waiver(&r));
    let nulls = read_nulls(root, &needs.0);
    let population = root.opt_table("population").map(|p| {
        let value = Population {
            sql: p.text("sql"),
            empty_is_not_evaluated: p.opt_one_of("on_empty", &["not-applicable", "not-evaluated"])
                == Some("not-evaluated"),
        };
        p.finish();
        value
    });
    let builtin = root.opt_table("builtin").map(|b| read_builtin(&b));
    let question = root.opt_table("attestation").map(|a| read_question(&a));
    let head = head?;
    let id = head.text("id");
    if head.has("id") && folder.rsplit('/').next() != Some(id.as_str()) {
        head.problem_at("id", format!("`id` is `{id}` but the folder is `{folder}`; they must agree"));
    }
    if head.has("id") && !is_policy_id(&id) {
        head.problem_at("id", format!("`{id}` is not of the form FAM-NNN"));
    }
    conflicts.extend(head.text_list("conflicts"));
    let (subject_kind, sql_file) = match &check_table {
        Some(c) => (c.text("subject"), c.opt_text("sql_file")),
        None => (String::new(), None),
    };
    let kind = match head.one_of("kind", &["sql", "builtin", "attestation"]) {
        "builtin" => {
            if builtin.is_none() {
                head.problem("a builtin policy needs a table [builtin]");
            }
            builtin.flatten().map(|(name, siblings)| Kind::Builtin { name, siblings })
        }
        "attestation" => {
            if question.is_none() {
                head.problem("an attestation policy needs a table [attestation]");
            }
            question.map(Kind::Attestation)
        }
        _ => {
            if population.is_none() {
                root.problem("missing key `population` (a table [population])");
            }
            let name = sql_file.clone().unwrap_or_else(|| "check.sql".into());
            let check = if name == "check.sql" { check(&name) } else { None };
            if check.is_none()
                && let Some(c) = &check_table
            {
                c.problem_at("sql_file", "`sql_file` must be \"check.sql\", and that file must exist in UTF-8");
            }
            check.map(|check| Kind::Sql { check, file: name })
        }
    };
    if let (Some(c), Some(Kind::Builtin { .. } | Kind::Attestation(_)), Some(_)) = (&check_table, &kind, &sql_file) {
        c.problem_at("sql_file", "`sql_file` belongs to policies of kind sql only");
    }
    for table in check_table.iter() {
        table.finish();
    }
    let policy = Policy {
        folder: folder.to_owned(),
        revision: u32::try_from(head.int("revision")).ok().filter(|r| *r > 0).unwrap_or_else(|| {
            head.problem_at("revision", "`revision` must be 1 or more");
            1
        }),
        status: match head.one_of("status", &["stable", "draft", "deprecated"]) {
            "draft" => Status::Draft,
            "deprecated" => Status::Deprecated,
            _ => Status::Stable,
        },
        kind: kind.or_else(|| {
            root.finish();
            None
        })?,
        severity: Severity::from_word(head.one_of("severity", &SEVERITIES)).unwrap_or(Severity::Critical),
        tier: u8::try_from(head.int("tier")).ok().filter(|t| (1..=3).contains(t)).unwrap_or_else(|| {
            head.problem_at("tier", "`tier` must be 1, 2 or 3");
            1
        }),
        sets: head.text_list("sets"),
        title: head.bilingual("title"),
        rationale: head.bilingual("rationale"),
        roles: applies.as_ref().map(|a| words(a, "roles", &ROLES)).unwrap_or_default(),
        channels: applies.as_ref().map(|a| words(a, "channels", &CHANNELS)).unwrap_or_default(),
        basis,
        conflicts,
        needs: needs.0,
        coverage: needs.1,
        params,
        nulls,
        population,
        subject_kind,
        reasons,
        evidence,
        remedy,
        waiver: waiver.unwrap_or(WaiverTerms {
            allowed: false,
            approver: String::new(),
            max: (0, 0),
            match_kind: MatchKind::Subject,
        }),
        digest,
        id,
    };
    head.opt_text("since");
    if head.opt_text("replaced_by").is_none() && policy.status == Status::Deprecated {
        head.problem("a deprecated policy names `replaced_by`");
    }
    same_placeholders(&head, "title", &policy.title);
    same_placeholders(&head, "rationale", &policy.rationale);
    check_severities(root, &policy);
    check_coverage(root, &policy);
    if let Kind::Builtin { name, .. } = &policy.kind {
        check_builtin(root, &policy, *name);
    }
    if matches!(policy.kind, Kind::Attestation(_)) {
        expect_exactly(root, "reasons", policy.reasons.keys().map(String::as_str), &["answered-no"]);
        expect_exactly(root, "evidence", policy.evidence.iter().map(|(c, _)| c.as_str()), &["answered_on", "role"]);
    }
    for table in applies.iter().chain([&head]) {
        table.finish();
    }
    root.finish();
    Some(policy)
}

fn is_policy_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(family, number)| {
        family.len() == 3
            && family.bytes().all(|b| b.is_ascii_uppercase())
            && number.len() == 3
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The named sub-tables of a table.
pub(in crate::policy) fn read_tables<'d>(root: &Reader<'d>, key: &str) -> Vec<(String, Reader<'d>)> {
    let Some(table) = root.opt_table(key) else { return Vec::new() };
    let named = table.keys().into_iter().filter_map(|name| Some((name.clone(), table.opt_table(&name)?))).collect();
    table.finish();
    named
}

/// A list of accepted words where `any` (alone) stands for no restriction.
fn words(table: &Reader<'_>, key: &str, accepted: &[&str]) -> Vec<String> {
    let list = table.text_list(key);
    if list.is_empty() {
        table.problem_at(key, format!("`{key}` must list `any` or some of {}", accepted.join(", ")));
    }
    if list == ["any"] {
        return Vec::new();
    }
    for word in &list {
        if !accepted.contains(&word.as_str()) {
            table.problem_at(key, format!("`{key}` names `{word}`; accepted: any, {}", accepted.join(", ")));
        }
    }
    list
}

fn read_basis(root: &Reader<'_>) -> (Vec<Citation>, Vec<String>) {
    let mut conflicts = Vec::new();
    let mut basis = Vec::new();
    for b in root.tables("basis") {
        basis.push(Citation {
            source: b.text("source"),
            place: b.text("place"),
            version: b.opt_date("version"),
            force: b.one_of("force", &FORCES).into(),
            addressee: b.opt_text("addressee"),
            mark: b.one_of("mark", &MARKS).into(),
            note: b.opt_text("note"),
        });
        // A `conflicts` line written below the last [[basis]] belongs, by the rules of TOML, to that table.
        conflicts.extend(b.text_list("conflicts"));
        b.finish();
    }
    if basis.is_empty() {
        root.problem("at least one [[basis]] is needed: every policy says where it comes from");
    }
    (basis, conflicts)
}

type Needs = (BTreeMap<String, Vec<String>>, BTreeMap<String, Span>);

/// `[needs]`: columns per dataset, and the periods the datasets must cover.
pub(in crate::policy) fn read_needs(root: &Reader<'_>) -> Needs {
    let mut columns = BTreeMap::new();
    let mut coverage = BTreeMap::new();
    let Some(needs) = root.opt_table("needs") else { return (columns, coverage) };
    if let Some(table) = needs.opt_table("columns") {
        for name in table.keys() {
            let list = table.text_list(&name);
            match schema::dataset(&name) {
                None => table.problem_at(&name, format!("no dataset is called `{name}`")),
                Some(dataset) => {
                    for column in list.iter().filter(|c| dataset.column(c).is_none()) {
                        table.problem_at(&name, format!("dataset `{name}` has no column `{column}`"));
                    }
                }
            }
            let mut unique = list.clone();
            unique.sort();
            unique.dedup();
            if unique.len() != list.len() {
                table.problem_at(&name, format!("`{name}` lists a column twice"));
            }
            if list.is_empty() {
                table.problem_at(&name, format!("`{name}` lists no column"));
            }
            columns.insert(name, unique);
        }
        table.finish();
    }
    if let Some(table) = needs.opt_table("coverage") {
        for name in table.keys() {
            let word = table.text(&name);
            let span = match word.as_str() {
                "window" => Some(Span::Window),
                "window..as_of" => Some(Span::WindowToAsOf),
                "as_of" => Some(Span::AsOf),
                other => other.strip_prefix("lookback:").map(|p| Span::Lookback(p.to_owned())),
            };
            if !columns.contains_key(&name) {
                table.problem_at(&name, format!("`{name}` stands in [needs.coverage] but not in [needs.columns]"));
            }
            if schema::dataset(&name).is_some_and(|d| matches!(d.origin, Origin::Reference | Origin::Derived)) {
                table.problem_at(&name, format!("`{name}` is supplied by this program and needs no coverage"));
            }
            match span {
                Some(span) => {
                    coverage.insert(name, span);
                }
                None => {
                    table.problem_at(&name, format!("`{word}`; accepted: window, window..as_of, as_of, lookback:PARAM"))
                }
            }
        }
        table.finish();
    }
    needs.finish();
    (columns, coverage)
}

fn check_coverage(root: &Reader<'_>, policy: &Policy) {
    for span in policy.coverage.values() {
        if let Span::Lookback(name) = span
            && !policy.params.get(name).is_some_and(|p| matches!(p.ty, ParamType::Period | ParamType::Duration))
        {
            root.problem_at("needs", format!("`lookback:{name}` names no parameter of type period or duration"));
        }
    }
}

/// `[nulls]`: what a missing value does, for columns that are read.
pub(in crate::policy) fn read_nulls(
    root: &Reader<'_>,
    needs: &BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, String> {
    let mut nulls = BTreeMap::new();
    let Some(table) = root.opt_table("nulls") else { return nulls };
    for key in table.keys() {
        let is_read =
            key.split_once('.').is_some_and(|(d, c)| needs.get(d).is_some_and(|list| list.iter().any(|x| x == c)));
        if !is_read {
            table.problem_at(&key, format!("`{key}` is not a dataset.column listed in [needs.columns]"));
        }
        let text = table.text(&key);
        nulls.insert(key, text);
    }
    table.finish();
    nulls
}

fn read_reasons(root: &Reader<'_>) -> BTreeMap<String, Reason> {
    let mut reasons = BTreeMap::new();
    for (code, r) in read_tables(root, "reasons") {
        if code.is_empty() || !code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            r.problem(format!("reason `{code}` must be lower-case words joined by dashes"));
        }
        let text = r.bilingual("text");
        same_placeholders(&r, "text", &text);
        let severity = r.opt_one_of("severity", &SEVERITIES).and_then(Severity::from_word);
        r.finish();
        reasons.insert(code, Reason { text, severity });
    }
    if reasons.is_empty() {
        root.problem("at least one [reasons.CODE] is needed");
    }
    reasons
}

fn read_evidence(root: &Reader<'_>) -> Vec<(String, String)> {
    let mut evidence = Vec::new();
    let Some(table) = root.opt_table("evidence") else { return evidence };
    let shown = [Class::None, Class::BusinessId, Class::StaffId, Class::CustomerId, Class::Network].map(Class::name);
    for column in table.keys() {
        let class = table.one_of(&column, &shown);
        if ["finding_ref", "finding_reason", "finding_at", "finding_on"].contains(&column.as_str()) {
            table.problem_at(&column, format!("`{column}` is a fixed column, not evidence"));
        }
        evidence.push((column, class.to_owned()));
    }
    table.finish();
    evidence
}

fn read_remedy(r: &Reader<'_>) -> Remedy {
    let remedy =
        Remedy { text: Bilingual { zh: r.text("zh"), en: r.text("en") }, owner: r.text("owner"), due: r.text("due") };
    if r.has("due") && parse_period(&remedy.due).is_none() && parse_duration(&remedy.due).is_none() {
        r.problem_at("due", "`due` must be a period or duration such as \"3 days\" or \"24 hours\"");
    }
    r.finish();
    remedy
}

fn read_waiver(r: &Reader<'_>) -> WaiverTerms {
    let allowed = r.opt_bool("allowed").unwrap_or_else(|| {
        r.problem("missing key `allowed` (true or false)");
        false
    });
    let max = r.opt_text("max");
    let terms = WaiverTerms {
        allowed,
        approver: if allowed { r.text("approver") } else { r.opt_text("approver").unwrap_or_default() },
        max: max.as_deref().and_then(parse_period).unwrap_or_else(|| {
            if allowed || max.is_some() {
                r.problem_at("max", "`max` must be a period such as \"90 days\"");
            }
            (0, 0)
        }),
        match_kind: match r.opt_one_of("match", &["subject", "pattern", "all"]) {
            Some("all") => MatchKind::All,
            Some("pattern") => MatchKind::Pattern,
            _ => MatchKind::Subject,
        },
    };
    r.finish();
    terms
}

fn read_builtin(b: &Reader<'_>) -> Option<(Builtin, Vec<(String, String)>)> {
    let name = Builtin::from_word(b.one_of("name", &Builtin::WORDS));
    let mut siblings = Vec::new();
    if let Some(args) = b.opt_table("args") {
        for pair in args.text_list("siblings") {
            match pair.split_once('>') {
                Some((a, c)) if schema::dataset(a).is_some() && schema::dataset(c).is_some() => {
                    siblings.push((a.into(), c.into()))
                }
                _ => args.problem_at("siblings", format!("`{pair}` is not of the form dataset>dataset")),
            }
        }
        args.finish();
    }
    b.finish();
    Some((name?, siblings))
}

fn read_question(a: &Reader<'_>) -> Question {
    let question = Question {
        text: a.bilingual("question"),
        roles: a.text_list("roles"),
        valid: parse_period(&a.text("valid")).unwrap_or_else(|| {
            a.problem_at("valid", "`valid` must be a period such as \"90 days\"");
            (0, 0)
        }),
        evidence_required: a.opt_bool("evidence_required").unwrap_or(true),
        subject_from: a.text("subject_from"),
    };
    if question.roles.is_empty() {
        a.problem_at("roles", "`roles` must name who may answer");
    }
    a.finish();
    question
}

fn check_severities(root: &Reader<'_>, policy: &Policy) {
    for (code, reason) in &policy.reasons {
        if reason.severity.is_some_and(|s| s > policy.severity) {
            root.problem_at(
                "reasons",
                format!("reason `{code}` is more severe than the policy; a reason may only lower it"),
            );
        }
    }
    for (code, reason) in &policy.reasons {
        for name in placeholders(&reason.text.en) {
            if !policy.evidence.iter().any(|(c, _)| *c == name) {
                root.problem_at(
                    "reasons",
                    format!("reason `{code}` names `{{{name}}}`, which is not an evidence column"),
                );
            }
        }
    }
}

fn check_builtin(root: &Reader<'_>, policy: &Policy, name: Builtin) {
    expect_exactly(root, "reasons", policy.reasons.keys().map(String::as_str), name.reasons());
    expect_exactly(root, "evidence", policy.evidence.iter().map(|(c, _)| c.as_str()), name.evidence());
    if policy.subject_kind != name.subject_kind() {
        root.problem_at("check", format!("the subject of `{}` is `{}`", name.word(), name.subject_kind()));
    }
    if !policy.needs.is_empty() || policy.population.is_some() {
        root.problem_at("builtin", "a builtin that looks at the run has neither [needs] nor [population]");
    }
}

fn expect_exactly<'a>(root: &Reader<'_>, key: &str, found: impl Iterator<Item = &'a str>, expected: &[&str]) {
    let mut found: Vec<&str> = found.collect();
    let mut wanted = expected.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    if found != wanted {
        root.problem_at(key, format!("[{key}] must declare exactly {}; found {}", wanted.join(", "), found.join(", ")));
    }
}

fn same_placeholders(reader: &Reader<'_>, key: &str, text: &Bilingual) {
    let (mut zh, mut en) = (placeholders(&text.zh), placeholders(&text.en));
    zh.sort();
    en.sort();
    if zh != en {
        reader.problem_at(key, format!("`{key}` must use the same placeholders in zh and en"));
    }
}

/// Names in `{…}`.
fn placeholders(text: &str) -> Vec<String> {
    text.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name.to_owned())).collect()
}
