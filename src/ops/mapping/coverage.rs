//! `mapping coverage`: what the mappings fill of what the policies need, and what each gap costs.
//!
//! A gap is a dataset nothing feeds, or a column of a fed dataset that nothing fills. For each gap two counts are
//! told: the rules that need it at all, and those for which it is the only gap, so that closing it alone makes them
//! evaluable. Completeness is the share of needed columns that are filled; what a mapping declares absent counts on
//! neither side. It has a threshold of its own (`--fail-under`), apart from the findings of `check`.
//!
//! Limit: for platform bills and canonical files the columns of their header count as filled, empty or not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::config::Case;
use crate::config::case::MappingRef;
use crate::mapping::filled;
use crate::model::{Exit, Lang};
use crate::ops::seal::plan::{Feed, Plan};
use crate::ops::table::table;
use crate::ops::{Answer, Env, Error, sources};
use crate::policy::{Pack, Policy, Status};
use crate::report::BLOCKERS;
use crate::schema::{self, Origin};
use crate::source::{self, canonical_files, register};

/// Columns that are filled, by dataset; a dataset without columns is fed and empty.
type Filled = BTreeMap<&'static str, BTreeSet<String>>;

/// Examines a case (a folder with `case.toml`) or one mapping against the built-in policies.
///
/// # Errors
/// Mistakes in the case or the mapping; a register or file that cannot be read.
pub fn coverage(env: &Env, target: &str, fail_under: Option<u8>) -> Result<Answer, Error> {
    let dir = Path::new(target);
    let (supply, absent, is_case) = if dir.join("case.toml").is_file() {
        let plan = Plan::of(&Case::load(dir)?)?;
        let supply = of_case(&plan)?;
        (supply, plan.absent, true)
    } else {
        let (mapping, _) = sources::load_mapping(&MappingRef::parse(target, Path::new("")))?;
        let mut supply = Filled::new();
        for part in mapping.parts() {
            supply.entry(part.dataset.name).or_default().extend(filled(part).into_iter().map(str::to_owned));
        }
        (supply, mapping.absent().clone(), false)
    };
    let pack = Pack::embedded()?;
    let policies: Vec<&Policy> = pack.policies().filter(|p| p.status == Status::Stable).collect();
    let coverage = Coverage::of(&policies, &supply, &absent, is_case);
    let exit = match fail_under {
        Some(percent) if coverage.percent() < f64::from(percent) => Exit::Incomplete,
        _ => Exit::Success,
    };
    Ok(Answer { text: coverage.text(env.lang, fail_under), json: coverage.json(fail_under), exit })
}

/// Stops reading a file once its header is known.
enum Stop {
    Enough,
    Source(source::Error),
}

impl From<source::Error> for Stop {
    fn from(error: source::Error) -> Self {
        Self::Source(error)
    }
}

fn of_case(plan: &Plan) -> Result<Filled, Error> {
    let mut out = Filled::new();
    for (name, feeds) in &plan.feeds {
        let columns = out.entry(name).or_default();
        for feed in feeds {
            match feed {
                Feed::Query { part, .. } => columns.extend(filled(part).into_iter().map(str::to_owned)),
                Feed::Register(file) => columns.extend(register::read(file)?.header),
                Feed::Project(row) => columns.extend(row.keys().cloned()),
                Feed::Bill(index) => columns.extend(plan.bills.get(*index).map(|b| b.row().header).unwrap_or_default()),
                Feed::File { file, .. } => {
                    let read = canonical_files::read::<Stop>(file, &mut |rows| {
                        columns.extend(rows.header);
                        Err(Stop::Enough)
                    });
                    finished(read.map(|_| ()))?;
                }
                Feed::BillLines(index) => {
                    let Some(bill) = plan.bills.get(*index) else { continue };
                    let read = bill.lines::<Stop>(&mut |rows| {
                        columns.extend(rows.header);
                        Err(Stop::Enough)
                    });
                    finished(read.map(|_| ()))?;
                }
            }
        }
        let twins: Vec<String> = schema::dataset(name)
            .into_iter()
            .flat_map(|d| &d.columns)
            .filter(|c| c.twin_of.is_some_and(|of| columns.contains(of)))
            .map(|c| c.name.to_owned())
            .collect();
        columns.extend(twins);
    }
    Ok(out)
}

fn finished(read: Result<(), Stop>) -> Result<(), Error> {
    match read {
        Ok(()) | Err(Stop::Enough) => Ok(()),
        Err(Stop::Source(e)) => Err(e.into()),
    }
}

/// A dataset nothing feeds, or a column nothing fills.
type Gap = (String, Option<String>);

#[derive(Debug, Default)]
struct Benefit {
    /// Rules that need it.
    needed_by: BTreeSet<String>,
    /// Rules for which it is the only gap.
    unlocks: BTreeSet<String>,
}

fn blockers(ids: &BTreeSet<String>) -> usize {
    ids.iter().filter(|id| BLOCKERS.iter().any(|b| b.id == id.as_str())).count()
}

struct Coverage {
    rules: usize,
    evaluable: usize,
    needed_columns: usize,
    filled_columns: usize,
    /// Needed and filled columns of each dataset that is fed.
    datasets: Vec<(String, usize, usize)>,
    /// The greatest benefit first.
    gaps: Vec<(Gap, Benefit)>,
    absent: BTreeMap<String, String>,
}

impl Coverage {
    fn of(policies: &[&Policy], supply: &Filled, absent: &BTreeMap<String, String>, is_case: bool) -> Self {
        let mut needed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut benefits: BTreeMap<Gap, Benefit> = BTreeMap::new();
        let mut evaluable = 0;
        for policy in policies {
            let mut gaps: BTreeSet<Gap> = BTreeSet::new();
            for (name, columns) in &policy.needs {
                // Made by this program, or kept by people: no mapping is missing.
                let is_given = schema::dataset(name).is_none_or(|d| match d.origin {
                    Origin::Reference | Origin::Sealed | Origin::Derived => true,
                    Origin::Register => !is_case && !supply.contains_key(d.name),
                    Origin::Mapped => false,
                });
                if is_given {
                    continue;
                }
                let own = columns.iter().map(String::as_str).filter(|c| !schema::is_envelope(c));
                let wanted = needed.entry(name).or_default();
                wanted.extend(own.clone());
                match supply.get(name.as_str()) {
                    None => {
                        gaps.insert((name.clone(), None));
                    }
                    // Fed without a row: the columns are there, empty.
                    Some(filled) if filled.is_empty() => {}
                    Some(filled) => {
                        gaps.extend(own.filter(|c| !filled.contains(*c)).map(|c| (name.clone(), Some(c.to_owned()))));
                    }
                }
            }
            if gaps.is_empty() {
                evaluable += 1;
            }
            let is_only = gaps.len() == 1;
            for gap in gaps {
                let benefit = benefits.entry(gap).or_default();
                benefit.needed_by.insert(policy.id.clone());
                if is_only {
                    benefit.unlocks.insert(policy.id.clone());
                }
            }
        }
        let mut datasets = Vec::new();
        let (mut needed_columns, mut filled_columns) = (0, 0);
        for (name, columns) in &needed {
            if absent.contains_key(*name) {
                continue;
            }
            let found = supply.get(name);
            let filled = found.map_or(0, |f| columns.iter().filter(|c| f.is_empty() || f.contains(**c)).count());
            needed_columns += columns.len();
            filled_columns += filled;
            if found.is_some() {
                datasets.push(((*name).to_owned(), filled, columns.len()));
            }
        }
        let mut gaps: Vec<(Gap, Benefit)> = benefits.into_iter().collect();
        gaps.sort_by_key(|(gap, b)| {
            let most = |n: usize| std::cmp::Reverse(n);
            let (unlocked, needing) = (blockers(&b.unlocks), blockers(&b.needed_by));
            (most(unlocked), most(b.unlocks.len()), most(needing), most(b.needed_by.len()), gap.clone())
        });
        let rules = policies.len();
        Self { rules, evaluable, needed_columns, filled_columns, datasets, gaps, absent: absent.clone() }
    }

    fn percent(&self) -> f64 {
        match self.needed_columns {
            0 => 100.0,
            n => 100.0 * self.filled_columns as f64 / n as f64,
        }
    }

    fn is_absent(&self, gap: &Gap) -> Option<&str> {
        gap.1.is_none().then(|| self.absent.get(&gap.0).map(String::as_str)).flatten()
    }

    fn text(&self, lang: Lang, fail_under: Option<u8>) -> String {
        let (filled, needed, percent) = (self.filled_columns, self.needed_columns, self.percent());
        let (evaluable, rules) = (self.evaluable, self.rules);
        let mut text = match lang {
            Lang::Zh => {
                format!("规则所需的列已填 {filled}/{needed}（{percent:.1}%）；数据齐备的规则 {evaluable}/{rules}\n\n")
            }
            Lang::En => format!(
                "{filled} of {needed} columns that rules need are filled ({percent:.1} %); {evaluable} of {rules} rules have their data\n\n"
            ),
        };
        let rows: Vec<Vec<String>> = self
            .datasets
            .iter()
            .map(|(name, filled, needed)| vec![name.clone(), format!("{filled}/{needed}")])
            .collect();
        text.push_str(&table(
            &[lang.pick("已映射的数据集", "dataset mapped"), lang.pick("所需列", "needed columns")],
            &rows,
        ));
        text.push('\n');
        let rows: Vec<Vec<String>> = self
            .gaps
            .iter()
            .filter(|(gap, _)| self.is_absent(gap).is_none())
            .map(|(gap, benefit)| {
                vec![
                    place(gap),
                    way(gap).get(lang).to_owned(),
                    benefit.unlocks.len().to_string(),
                    blockers(&benefit.unlocks).to_string(),
                    benefit.needed_by.len().to_string(),
                    blockers(&benefit.needed_by).to_string(),
                ]
            })
            .collect();
        if rows.is_empty() {
            text.push_str(lang.pick("没有缺口\n", "no gaps\n"));
        } else {
            let head = [
                lang.pick("缺少", "missing"),
                lang.pick("来自", "from"),
                lang.pick("补上即可检查的规则", "rules it alone unlocks"),
                lang.pick("其中阻断项", "blockers"),
                lang.pick("需要它的规则", "rules that need it"),
                lang.pick("其中阻断项", "blockers"),
            ];
            text.push_str(&table(&head, &rows));
        }
        if !self.absent.is_empty() {
            text.push('\n');
        }
        for (name, why) in &self.absent {
            let count =
                self.gaps.iter().find(|(g, _)| g.0 == *name && g.1.is_none()).map_or(0, |(_, b)| b.needed_by.len());
            text.push_str(&match lang {
                Lang::Zh => format!("{name}：声明不存在（{why}）；{count} 条规则因此无法检查\n"),
                Lang::En => format!("{name}: declared absent ({why}); {count} rules cannot be evaluated for it\n"),
            });
        }
        if let Some(limit) = fail_under.filter(|l| percent < f64::from(*l)) {
            text.push_str(&match lang {
                Lang::Zh => format!("\n完整度低于 --fail-under {limit}\n"),
                Lang::En => format!("\ncompleteness is below --fail-under {limit}\n"),
            });
        }
        text
    }

    fn json(&self, fail_under: Option<u8>) -> Value {
        let gaps: Vec<Value> = self
            .gaps
            .iter()
            .map(|(gap, b)| {
                json!({
                    "dataset": gap.0,
                    "column": gap.1,
                    "from": way(gap).en,
                    "absent": self.is_absent(gap),
                    "unlocks": b.unlocks,
                    "unlocksBlockers": blockers(&b.unlocks),
                    "neededBy": b.needed_by,
                    "neededByBlockers": blockers(&b.needed_by),
                })
            })
            .collect();
        let datasets: Vec<Value> = self
            .datasets
            .iter()
            .map(|(name, filled, needed)| json!({ "dataset": name, "filled": filled, "needed": needed }))
            .collect();
        json!({
            "percent": (self.percent() * 10.0).round() / 10.0,
            "failUnder": fail_under,
            "columns": { "filled": self.filled_columns, "needed": self.needed_columns },
            "rules": { "evaluable": self.evaluable, "total": self.rules },
            "datasets": datasets,
            "gaps": gaps,
            "absent": self.absent,
        })
    }
}

fn place((dataset, column): &Gap) -> String {
    column.as_ref().map_or_else(|| dataset.clone(), |c| format!("{dataset}.{c}"))
}

/// How a gap is closed.
fn way((dataset, _): &Gap) -> crate::model::Bilingual {
    match schema::dataset(dataset).map(|d| (d.name, d.origin)) {
        Some(("bills" | "bill_lines", _)) => crate::model::Bilingual::new("平台账单", "platform bills"),
        Some(("dereg_projects" | "migration_projects", _)) => crate::model::Bilingual::new("case.toml", "case.toml"),
        Some((_, Origin::Register)) => crate::model::Bilingual::new("登记表", "register"),
        _ => crate::model::Bilingual::new("映射", "mapping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gap that is the only one of a rule unlocks it; one of two does not; absent datasets leave the percentage.
    #[test]
    fn benefits_are_counted() {
        let pack = Pack::embedded().unwrap();
        let policies: Vec<&Policy> = pack.policies().filter(|p| p.status == Status::Stable).collect();
        let all: Filled =
            schema::datasets().map(|d| (d.name, d.columns.iter().map(|c| c.name.to_owned()).collect())).collect();
        let full = Coverage::of(&policies, &all, &BTreeMap::new(), true);
        assert_eq!((full.percent(), full.evaluable, full.gaps.len()), (100.0, policies.len(), 0));

        let mut without = all.clone();
        without.get_mut("refunds").unwrap().remove("route");
        let less = Coverage::of(&policies, &without, &BTreeMap::new(), true);
        let needing: BTreeSet<String> = policies
            .iter()
            .filter(|p| p.needs.get("refunds").is_some_and(|c| c.iter().any(|c| c == "route")))
            .map(|p| p.id.clone())
            .collect();
        assert!(!needing.is_empty());
        let (gap, benefit) = &less.gaps[0];
        assert_eq!(place(gap), "refunds.route");
        assert_eq!((&benefit.unlocks, &benefit.needed_by), (&needing, &needing));
        assert_eq!(less.evaluable, policies.len() - needing.len());
        assert!(less.percent() < 100.0);

        let mut two = without.clone();
        two.remove("payments");
        let two = Coverage::of(&policies, &two, &BTreeMap::new(), true);
        let of = |name: &str| two.gaps.iter().find(|(g, _)| place(g) == name).map(|(_, b)| b).unwrap();
        assert!(of("refunds.route").unlocks.len() <= needing.len());
        assert!(
            of("payments").needed_by.len() > of("payments").unlocks.len() || of("refunds.route").unlocks == needing
        );

        let mut gone = all.clone();
        gone.remove("refunds");
        let absent = BTreeMap::from([("refunds".to_owned(), "no refunds".to_owned())]);
        assert_eq!(Coverage::of(&policies, &gone, &absent, true).percent(), 100.0);
        assert!(Coverage::of(&policies, &gone, &BTreeMap::new(), true).percent() < 100.0);
    }
}
