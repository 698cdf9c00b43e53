//! What a run knows about the archive and the case, and what follows from it: context parameters, calendars,
//! sufficiency of data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Datelike as _, Days, Duration, Months, NaiveDate, NaiveTime, TimeZone as _, Utc, Weekday};
use chrono_tz::Tz;

use super::definition::{Policy, Span};
use super::derived::Derived;
use super::params::{ParamValue, day_before};
use crate::model::{Bilingual, Digest};
use crate::query::{Params, Value};
use crate::schema::{self, Origin};

/// One sealed table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Dataset name.
    pub name: String,
    /// Its Parquet files; none: the table is there and empty.
    pub files: Vec<PathBuf>,
    /// Columns it has.
    pub schema: SchemaRef,
    /// Rows in it.
    pub rows: u64,
    /// Covered local days, end excluded; `None`: nobody has said.
    pub coverage: Option<(NaiveDate, NaiveDate)>,
}

/// The archive and the case, as far as policies need them.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Tables of the archive, in any order.
    pub tables: Vec<Table>,
    /// Datasets a mapping declares absent, with its words.
    pub absent: BTreeMap<String, String>,
    /// First day of business; a lookback need not reach beyond it.
    pub opened_on: Option<NaiveDate>,
    /// Archive URN.
    pub archive_id: String,
    /// Archive digest.
    pub archive_digest: Digest,
    /// SHA-256 of the statement payload.
    pub statement_hash: Digest,
    /// First line of the verification.
    pub verification: String,
    /// The data is judged at this instant.
    pub as_of: DateTime<Utc>,
    /// Local dates under audit, end excluded.
    pub window: (NaiveDate, NaiveDate),
    /// Local date on which waivers and attestations must be in force.
    pub decided_on: NaiveDate,
    /// Business zone of the archive.
    pub zone: Tz,
}

/// Instants and local days every policy may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) as_of: DateTime<Utc>,
    pub(super) window: (NaiveDate, NaiveDate),
    pub(super) zone: Tz,
}

/// Names of the context parameters.
pub(super) const CONTEXT: [&str; 6] =
    ["as_of", "as_of_on", "window_from", "window_from_on", "window_to", "window_to_on"];

impl Moment {
    pub(super) fn as_of_on(&self) -> NaiveDate {
        self.as_of.with_timezone(&self.zone).date_naive()
    }

    /// Start of a local day; in zones that skip midnight, the first instant of the day.
    fn start(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        (0..24)
            .find_map(|hours| self.zone.from_local_datetime(&(midnight + Duration::hours(hours))).earliest())
            .map_or_else(|| midnight.and_utc(), |t| t.with_timezone(&Utc))
    }

    /// Day after the last one of which a part lies before `as_of`.
    fn data_end(&self) -> NaiveDate {
        let last = (self.as_of - Duration::microseconds(1)).with_timezone(&self.zone).date_naive();
        last.checked_add_days(Days::new(1)).unwrap_or(last)
    }

    /// Values of the context parameters.
    pub(super) fn params(&self) -> Params {
        Params::from([
            ("as_of".into(), Value::Instant(self.as_of)),
            ("as_of_on".into(), Value::Date(self.as_of_on())),
            ("window_from".into(), Value::Instant(self.start(self.window.0))),
            ("window_from_on".into(), Value::Date(self.window.0)),
            ("window_to".into(), Value::Instant(self.start(self.window.1))),
            ("window_to_on".into(), Value::Date(self.window.1)),
        ])
    }

    /// The calendar datasets: from 1 January 31 years before `as_of` to 31 December two years after it. Working
    /// days are Monday to Friday; public holidays are not known.
    pub(super) fn calendars(&self) -> Result<BTreeMap<String, RecordBatch>, String> {
        let year = self.as_of_on().year();
        let first = NaiveDate::from_ymd_opt(year - 31, 1, 1).unwrap_or(NaiveDate::MIN);
        let end = NaiveDate::from_ymd_opt(year + 3, 1, 1).unwrap_or(NaiveDate::MAX);
        let days: Vec<NaiveDate> = first.iter_days().take_while(|d| *d < end).collect();
        let work: BooleanArray =
            days.iter().map(|d| Some(!matches!(d.weekday(), Weekday::Sat | Weekday::Sun))).collect();
        let months: Vec<NaiveDate> = days.iter().copied().filter(|d| d.day() == 1).collect();
        let dates = |list: &[NaiveDate]| {
            Arc::new(list.iter().map(|d| Some(epoch_days(*d))).collect::<Date32Array>()) as ArrayRef
        };
        let batch = |name: &str, columns: Vec<ArrayRef>| {
            let dataset = schema::dataset(name).ok_or_else(|| format!("no dataset is called `{name}`"))?;
            RecordBatch::try_new(dataset.arrow_schema(), columns).map_err(|e| e.to_string())
        };
        Ok(BTreeMap::from([
            ("calendar_day".into(), batch("calendar_day", vec![dates(&days), Arc::new(work)])?),
            ("calendar_month".into(), batch("calendar_month", vec![dates(&months)])?),
        ]))
    }
}

/// Days since 1970-01-01.
pub(super) fn epoch_days(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

/// Why a policy's data does not suffice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortage {
    Dataset { dataset: String, declared: Option<String> },
    Column { dataset: String, column: String },
    Coverage { dataset: String, need: (NaiveDate, NaiveDate), have: Option<(NaiveDate, NaiveDate)> },
}

impl Shortage {
    pub(super) fn dataset(&self) -> &str {
        match self {
            Self::Dataset { dataset, .. } | Self::Column { dataset, .. } | Self::Coverage { dataset, .. } => dataset,
        }
    }

    /// Closed code: reason of DAT-001 and `why_code` of the policy.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Dataset { .. } => "dataset-missing",
            Self::Column { .. } => "column-missing",
            Self::Coverage { .. } => "coverage-gap",
        }
    }

    pub(super) fn text(&self) -> Bilingual {
        match self {
            Self::Dataset { dataset, declared } => {
                let note = declared.as_ref().map(|d| format!(" ({d})")).unwrap_or_default();
                Bilingual::new(
                    format!("档案中没有数据集 {dataset}{note}"),
                    format!("the archive has no dataset {dataset}{note}"),
                )
            }
            Self::Column { dataset, column } => Bilingual::new(
                format!("数据集 {dataset} 缺少列 {column}"),
                format!("dataset {dataset} lacks the column {column}"),
            ),
            Self::Coverage { dataset, need, have } => {
                let have = |none: &str| have.map_or_else(|| none.to_owned(), |(a, b)| format!("{a}..{b}"));
                Bilingual::new(
                    format!("数据集 {dataset} 需覆盖 {}..{}，实际为 {}", need.0, need.1, have("未说明")),
                    format!(
                        "dataset {dataset} must cover {}..{}, it covers {}",
                        need.0,
                        need.1,
                        have("an unstated period")
                    ),
                )
            }
        }
    }
}

impl Facts {
    pub(super) fn moment(&self) -> Moment {
        Moment { as_of: self.as_of, window: self.window, zone: self.zone }
    }

    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }

    /// Everything the data lacks for a policy with these parameter values; of a derived dataset, for its query.
    pub(super) fn shortages(
        &self,
        policy: &Policy,
        derived: &BTreeMap<String, Arc<Derived>>,
        value: &dyn Fn(&str) -> Option<ParamValue>,
    ) -> Vec<Shortage> {
        let mut list = self.lacks(&policy.needs, &policy.coverage, value);
        for name in policy.needs.keys().filter(|n| is_derived(n)) {
            match derived.get(name) {
                None => list.push(Shortage::Dataset { dataset: name.clone(), declared: None }),
                Some(d) => {
                    for shortage in self.lacks(&d.needs, &d.coverage, &|_| None) {
                        if !list.contains(&shortage) {
                            list.push(shortage);
                        }
                    }
                }
            }
        }
        list
    }

    fn lacks(
        &self,
        needs: &BTreeMap<String, Vec<String>>,
        coverage: &BTreeMap<String, Span>,
        value: &dyn Fn(&str) -> Option<ParamValue>,
    ) -> Vec<Shortage> {
        let mut list = Vec::new();
        for (name, columns) in needs {
            if is_derived(name) || schema::dataset(name).is_some_and(|d| d.origin == Origin::Reference) {
                continue;
            }
            let Some(table) = self.table(name) else {
                list.push(Shortage::Dataset { dataset: name.clone(), declared: self.absent.get(name).cloned() });
                continue;
            };
            for column in columns.iter().filter(|c| table.schema.field_with_name(c).is_err()) {
                list.push(Shortage::Column { dataset: name.clone(), column: column.clone() });
            }
            if let Some(span) = coverage.get(name) {
                let need = required(&self.moment(), span, self.opened_on, value);
                if !covers(table.coverage, need) {
                    list.push(Shortage::Coverage { dataset: name.clone(), need, have: table.coverage });
                }
            }
        }
        list
    }
}

/// Whether the pack, not the archive, has the dataset.
pub(super) fn is_derived(name: &str) -> bool {
    schema::dataset(name).is_some_and(|d| d.origin == Origin::Derived)
}

/// Local days a span asks for, end excluded.
fn required(
    moment: &Moment,
    span: &Span,
    opened_on: Option<NaiveDate>,
    value: &dyn Fn(&str) -> Option<ParamValue>,
) -> (NaiveDate, NaiveDate) {
    let end = moment.data_end();
    let yesterday = end.checked_sub_days(Days::new(1)).unwrap_or(end);
    match span {
        Span::Window => moment.window,
        Span::WindowToAsOf => (moment.window.0.min(end), end),
        Span::AsOf => (yesterday, end),
        Span::Lookback(name) => {
            let from = match value(name) {
                Some(ParamValue::Period(_, months, days)) => day_before(moment.as_of_on(), months, days),
                Some(ParamValue::Duration(_, seconds)) => {
                    (moment.as_of - Duration::seconds(seconds)).with_timezone(&moment.zone).date_naive()
                }
                _ => moment.as_of_on().checked_sub_months(Months::new(1)).unwrap_or(yesterday),
            };
            (opened_on.map_or(from, |o| o.max(from)).min(end), end)
        }
    }
}

/// Whether a covered period holds a needed one.
fn covers(have: Option<(NaiveDate, NaiveDate)>, need: (NaiveDate, NaiveDate)) -> bool {
    need.0 >= need.1 || have.is_some_and(|(from, to)| from <= need.0 && to >= need.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("date")
    }

    fn moment(as_of: &str) -> Moment {
        Moment {
            as_of: as_of.parse().expect("instant"),
            window: (day("2026-07-01"), day("2026-10-01")),
            zone: Tz::Asia__Shanghai,
        }
    }

    /// Spans become local days; midnight ends the day before, any later instant needs its own day.
    #[test]
    fn spans() {
        let period = |_: &str| Some(ParamValue::Period("5 years".into(), 60, 0));
        let at_midnight = moment("2026-10-01T00:00:00+08:00");
        let later = moment("2026-10-01T09:00:00+08:00");
        for (moment, span, opened, expected) in [
            (at_midnight, Span::Window, None, ("2026-07-01", "2026-10-01")),
            (at_midnight, Span::WindowToAsOf, None, ("2026-07-01", "2026-10-01")),
            (later, Span::WindowToAsOf, None, ("2026-07-01", "2026-10-02")),
            (at_midnight, Span::AsOf, None, ("2026-09-30", "2026-10-01")),
            (later, Span::AsOf, None, ("2026-10-01", "2026-10-02")),
            (at_midnight, Span::Lookback("p".into()), None, ("2021-10-01", "2026-10-01")),
            (at_midnight, Span::Lookback("p".into()), Some(day("2025-04-01")), ("2025-04-01", "2026-10-01")),
            (at_midnight, Span::Lookback("p".into()), Some(day("2019-04-01")), ("2021-10-01", "2026-10-01")),
        ] {
            let (from, to) = expected;
            assert_eq!(required(&moment, &span, opened, &period), (day(from), day(to)), "{span:?}");
        }
    }

    /// Days and zones: the window starts at local midnight.
    #[test]
    fn context_parameters() {
        let params = moment("2026-10-01T00:00:00+08:00").params();
        assert_eq!(params.get("window_from"), Some(&Value::Instant("2026-06-30T16:00:00Z".parse().expect("instant"))));
        assert_eq!(params.get("as_of_on"), Some(&Value::Date(day("2026-10-01"))));
        assert!(CONTEXT.iter().all(|name| params.contains_key(*name)) && params.len() == CONTEXT.len());
    }

    proptest! {
        /// A period covers another exactly when every day of the other is in it.
        #[test]
        fn coverage_is_inclusion(a in 0i64..40, b in 0i64..40, c in 0i64..40, d in 0i64..40) {
            let at = |n: i64| NaiveDate::default() + Duration::days(n);
            let inside = (c..d).all(|x| a <= x && x < b);
            prop_assert_eq!(covers(Some((at(a), at(b))), (at(c), at(d))), inside);
            prop_assert_eq!(covers(None, (at(c), at(d))), c >= d);
        }
    }
}
