//! Whether the newest instants lie where the declared zone says: what has happened cannot lie in the future, and a
//! shop that is open has something newer than eight hours.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::findings::{Findings, Mark, Topic};
use super::fit::is_refusal;
use super::{View, words};
use crate::mapping::{self, Part, latest, latest_sql};
use crate::model::Bilingual;
use crate::ops::Error;
use crate::source::RowSource;
use crate::source::database::Select;

/// Clocks of two machines differ by less.
const CLOCK: TimeDelta = TimeDelta::minutes(5);
/// What the newest instant is behind when a time of Asia/Shanghai was read as one of UTC … or the other way round.
const SHIFT_HOURS: f64 = 8.0;
/// How far from the shift still looks like it.
const SHIFT_WITHIN_HOURS: f64 = 0.5;

/// How the newest instant of a column lies against now.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Nothing to say.
    Plausible,
    /// So many hours ahead.
    Future(f64),
    /// About a zone's offset behind.
    Shifted(f64),
}

fn judge(newest: DateTime<Utc>, now: DateTime<Utc>) -> Verdict {
    let ahead = newest - now;
    let hours = ahead.num_seconds() as f64 / 3600.0;
    if ahead > CLOCK {
        Verdict::Future(hours)
    } else if (hours + SHIFT_HOURS).abs() <= SHIFT_WITHIN_HOURS {
        Verdict::Shifted(-hours)
    } else {
        Verdict::Plausible
    }
}

/// Asks every SELECT that prepares for its newest instants.
pub(super) async fn look(
    view: &View<'_>,
    parts: &[&Part],
    source: &mut dyn RowSource,
    findings: &mut Findings,
) -> Result<(), Error> {
    let View { env, case, database, .. } = view;
    let now = env.clock.now();
    let system = database.mapping.src_system();
    // Only the zone matters here; no secret is read.
    let context = mapping::Context {
        zone: case.zone,
        src_system: &system,
        fingerprint: std::sync::Arc::new(|_: &[u8]| String::new()),
    };
    let mut newest: Option<DateTime<Utc>> = None;
    let (mut asked, mut doubts) = (0, 0);
    for part in parts {
        env.cancel.check()?;
        view.task.label(part.dataset.name);
        let Some(query) = latest_sql(part) else { continue };
        let row = match source.first_row(Select { sql: &query.sql, values: &query.values }).await {
            Ok(row) => row,
            Err(e) if is_refusal(&e) => {
                let (dataset, words) = (part.dataset.name, words(&e));
                let text = Bilingual::new(
                    format!("数据集 {dataset} 的最新时间无法查询：{words}"),
                    format!("the newest instants of {dataset} cannot be asked for: {words}"),
                );
                findings.add(Mark::Note, Topic::Zone, Some(&database.name), text);
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        for (column, at) in latest(part, &query, &row, &context)? {
            asked += 1;
            let place = format!("{}.{}", part.dataset.name, column.name);
            let zone = database.mapping.zone().unwrap_or(case.zone);
            let shown = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let (text, hours) = match judge(at, now) {
                Verdict::Plausible => {
                    newest = newest.max(Some(at));
                    continue;
                }
                Verdict::Future(hours) => (
                    Bilingual::new(
                        format!(
                            "{place} 的最新值为 {shown}，比现在晚 {hours:.1} 小时：请核对时区（映射为 {zone}）与换算"
                        ),
                        format!(
                            "the newest {place} is {shown}, {hours:.1} hours in the future: check the zone (the mapping says {zone}) and the conversion"
                        ),
                    ),
                    hours,
                ),
                Verdict::Shifted(hours) => (
                    Bilingual::new(
                        format!(
                            "{place} 的最新值为 {shown}，比现在早 {hours:.1} 小时：若系统仍在营业，时区可能有误（映射为 {zone}）"
                        ),
                        format!(
                            "the newest {place} is {shown}, {hours:.1} hours behind now: if the shop is open, the zone may be wrong (the mapping says {zone})"
                        ),
                    ),
                    -hours,
                ),
            };
            doubts += 1;
            let facts = json!({ "column": place, "newest": shown, "hoursAhead": (hours * 10.0).round() / 10.0, "zone": zone.name() });
            findings.add(Mark::Note, Topic::Zone, Some(&database.name), text).facts(facts);
        }
    }
    if asked > 0 && doubts == 0 {
        let shown = newest.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let text = Bilingual::new(
            format!("{asked} 个时间列均不晚于现在，最新 {}", shown.as_deref().unwrap_or("–")),
            format!(
                "none of {asked} time columns lies in the future; the newest is {}",
                shown.as_deref().unwrap_or("–")
            ),
        );
        let facts = json!({ "columns": asked, "newest": shown.map_or(Value::Null, Value::String) });
        findings.add(Mark::Ok, Topic::Zone, Some(&database.name), text).facts(facts);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ahead of the clock, about a zone behind it, or neither.
    #[test]
    fn verdicts() {
        let now: DateTime<Utc> = "2026-10-01T00:00:00Z".parse().unwrap();
        let minutes = |m: i64| judge(now + TimeDelta::minutes(m), now);
        assert_eq!(minutes(0), Verdict::Plausible);
        assert_eq!(minutes(4), Verdict::Plausible);
        assert_eq!(minutes(480), Verdict::Future(8.0));
        assert_eq!(minutes(-480), Verdict::Shifted(8.0));
        assert_eq!(minutes(-420), Verdict::Plausible);
        assert_eq!(minutes(-60 * 24 * 30), Verdict::Plausible);
    }
}
