//! Runs the queries and turns rows into facts.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type, UInt64Type};
use chrono::{DateTime, NaiveDate, Utc};

use super::sql;
use super::{
    AppFact, BalanceFact, BillDay, BillSpan, ChangeMonth, CountFact, Facts, InventoryMonth, Leaver, MchFact, MonthFlow,
    NoticeFact, PermissionHolders, ReconDay, ReconDifference, ReconFacts, ReconSum, RefundFact, RoleCount, SignoffFact,
    SubmissionFact, TestFact, WithdrawalFact,
};
use crate::query::{Params, Session, Value};
use crate::report::error::Error;

/// Reads all facts. `tables` are the datasets registered in the session; `window` are local days, end excluded.
///
/// # Errors
/// [`Error::Query`] and [`Error::Shape`].
pub async fn facts(
    session: &Session,
    tables: &BTreeSet<String>,
    as_of: DateTime<Utc>,
    as_of_on: NaiveDate,
    window: (NaiveDate, NaiveDate),
) -> Result<Facts, Error> {
    let mut reader = Reader {
        session,
        tables,
        params: BTreeMap::from([
            ("as_of".to_owned(), Value::Instant(as_of)),
            ("as_of_on".to_owned(), Value::Date(as_of_on)),
            ("window_from_on".to_owned(), Value::Date(window.0)),
            ("window_to_on".to_owned(), Value::Date(window.1)),
        ]),
        missing: BTreeSet::new(),
    };
    let mut facts = Facts::default();
    trade_facts(&mut reader, &mut facts).await?;
    money_facts(&mut reader, &mut facts).await?;
    recon_facts(&mut reader, &mut facts).await?;
    register_facts(&mut reader, &mut facts).await?;
    people_facts(&mut reader, &mut facts).await?;
    facts.missing = reader.missing.into_iter().collect();
    Ok(facts)
}

async fn trade_facts(reader: &mut Reader<'_>, facts: &mut Facts) -> Result<(), Error> {
    facts.apps = reader
        .rows("apps", &["apps"], sql::APPS)
        .await?
        .into_iter()
        .map(|r| AppFact {
            app_ref: r.text(0),
            platform: r.text(1),
            platform_app_id: r.opt_text(2),
            name: r.opt_text(3),
            status: r.opt_text(4),
            icp_record_no: r.opt_text(5),
            icp_cancelled_on: r.opt_text(6),
            service_paused_on: r.opt_text(7),
            deregistered_on: r.opt_text(8),
        })
        .collect();
    let trade: BTreeMap<String, (Option<String>, Option<String>)> = reader
        .rows("last trade", &["payments", "refunds"], sql::LAST_TRADE)
        .await?
        .into_iter()
        .map(|r| (r.text(0), (r.opt_text(1), r.opt_text(2))))
        .collect();
    facts.mchs = reader
        .rows("merchant numbers", &["mch_accounts"], sql::MCHS)
        .await?
        .into_iter()
        .map(|r| {
            let (last_paid_on, last_trade_on) = trade.get(&r.text(0)).cloned().unwrap_or_default();
            MchFact {
                mch_id: r.text(0),
                platform: r.text(1),
                access_mode: r.opt_text(2),
                state: r.opt_text(3),
                closed_on: r.opt_text(4),
                last_paid_on,
                last_trade_on,
            }
        })
        .collect();
    let refunded: BTreeMap<(String, String), i64> = reader
        .rows("refunds by month", &["refunds"], sql::REFUND_MONTHS)
        .await?
        .into_iter()
        .map(|r| ((r.text(0), r.text(1)), r.int(2)))
        .collect();
    let paid: BTreeMap<(String, String), (u64, i64)> = reader
        .rows("payments by month", &["payments"], sql::PAID_MONTHS)
        .await?
        .into_iter()
        .map(|r| ((r.text(0), r.text(1)), (r.count(2), r.int(3))))
        .collect();
    let keys: BTreeSet<_> = refunded.keys().chain(paid.keys()).cloned().collect();
    facts.months = keys
        .into_iter()
        .map(|key| {
            let (payments, paid_fen) = paid.get(&key).copied().unwrap_or_default();
            let refunded_fen = refunded.get(&key).copied().unwrap_or_default();
            MonthFlow { month: key.0, platform: key.1, payments, paid_fen, refunded_fen }
        })
        .collect();
    facts.bills = reader
        .rows("bills", &["bills"], sql::BILLS)
        .await?
        .into_iter()
        .map(|r| BillSpan {
            platform: r.text(0),
            mch_id: r.opt_text(1),
            first_on: r.opt_text(2),
            last_on: r.opt_text(3),
            bills: r.count(4),
        })
        .collect();
    Ok(())
}

async fn money_facts(reader: &mut Reader<'_>, facts: &mut Facts) -> Result<(), Error> {
    let balance = |r: Row| BalanceFact {
        mch_id: r.opt_text(0),
        platform: r.opt_text(1),
        kind: r.text(2),
        owner_kind: r.opt_text(3),
        accounts: r.count(4),
        available_fen: r.int(5),
        frozen_fen: r.int(6),
        observed_on: r.opt_text(7),
        unknown: r.count(8),
    };
    facts.balances = reader.rows("balances", &["balances"], sql::BALANCES).await?.into_iter().map(balance).collect();
    facts.ledger = reader.rows("ledger", &["fund_flows"], sql::LEDGER).await?.into_iter().map(balance).collect();
    facts.refunds_in_flight = reader
        .rows("refunds in flight", &["refunds"], sql::REFUNDS_IN_FLIGHT)
        .await?
        .into_iter()
        .map(|r| RefundFact {
            mch_id: r.opt_text(0),
            platform: r.opt_text(1),
            refunds: r.count(2),
            amount_fen: r.int(3),
        })
        .collect();
    facts.withdrawals = reader
        .rows("withdrawals", &["withdrawals"], sql::WITHDRAWALS)
        .await?
        .into_iter()
        .map(|r| WithdrawalFact {
            mch_id: r.opt_text(0),
            platform: r.opt_text(1),
            withdrawals: r.count(2),
            amount_fen: r.int(3),
        })
        .collect();
    Ok(())
}

async fn recon_facts(reader: &mut Reader<'_>, facts: &mut Facts) -> Result<(), Error> {
    if !reader.has(&[super::RECONCILIATION, "bills"]) {
        return Ok(());
    }
    let days = reader.rows("reconciliation by day", &[super::RECONCILIATION], sql::RECON_DAYS).await?;
    let bill_days = reader.rows("days with bills", &["bills"], sql::BILL_DAYS).await?;
    let sums = reader.rows("reconciliation sums", &[super::RECONCILIATION], sql::RECON_SUMS).await?;
    let differences = reader.rows("differences", &[super::RECONCILIATION], sql::RECON_DIFFERENCES).await?;
    facts.reconciliation = Some(ReconFacts {
        days: days
            .into_iter()
            .map(|r| ReconDay {
                platform: r.text(0),
                mch_id: r.opt_text(1),
                day: r.opt_text(2),
                matched: r.count(3),
                different: r.count(4),
                not_compared: r.count(5),
            })
            .collect(),
        bill_days: bill_days
            .into_iter()
            .map(|r| BillDay {
                platform: r.text(0),
                mch_id: r.opt_text(1),
                day: r.opt_text(2),
                is_damaged: r.int(3) > 0,
            })
            .collect(),
        sums: sums
            .into_iter()
            .map(|r| ReconSum {
                platform: r.text(0),
                mch_id: r.opt_text(1),
                about: r.text(2),
                kind: r.text(3),
                items: r.count(4),
                local_count: r.count(5),
                local_fen: r.int(6),
                platform_count: r.count(7),
                platform_fen: r.int(8),
            })
            .collect(),
        differences: differences
            .into_iter()
            .map(|r| ReconDifference {
                day: r.opt_text(0),
                kind: r.text(1),
                about: r.text(2),
                platform: r.opt_text(3),
                mch_id: r.opt_text(4),
                number: r.opt_text(5),
                local_ref: r.opt_text(6),
                local_fen: r.opt_int(7),
                platform_fen: r.opt_int(8),
                local_status: r.opt_text(9),
                platform_status: r.opt_text(10),
            })
            .collect(),
    });
    Ok(())
}

async fn register_facts(reader: &mut Reader<'_>, facts: &mut Facts) -> Result<(), Error> {
    facts.notices = reader
        .rows("notices", &["notices"], sql::NOTICES)
        .await?
        .into_iter()
        .map(|r| NoticeFact {
            notice_ref: r.text(0),
            channel: r.text(1),
            published_on: r.opt_text(2),
            withdrawn_on: r.opt_text(3),
        })
        .collect();
    facts.signoffs = reader
        .rows("sign-offs", &["signoffs"], sql::SIGNOFFS)
        .await?
        .into_iter()
        .map(|r| SignoffFact { dept: r.text(0), signed_on: r.opt_text(1) })
        .collect();
    facts.submissions = reader
        .rows("submissions", &["submissions"], sql::SUBMISSIONS)
        .await?
        .into_iter()
        .map(|r| SubmissionFact {
            material_code: r.text(0),
            title: r.opt_text(1),
            is_required: r.opt_bool(2),
            submitted_on: r.opt_text(3),
            accepted_on: r.opt_text(4),
        })
        .collect();
    let pair = |rows: Vec<Row>| rows.first().map(|r| (r.count(0), r.count(1)));
    if reader.has(&["interface_status"]) {
        facts.interfaces = pair(reader.rows("interfaces", &["interface_status"], sql::INTERFACES).await?);
    }
    if reader.has(&["third_party_bindings"]) {
        facts.bindings = pair(reader.rows("bindings", &["third_party_bindings"], sql::BINDINGS).await?);
    }
    facts.tests = reader
        .rows("scenario tests", &["scenario_tests"], sql::TESTS)
        .await?
        .into_iter()
        .map(|r| TestFact {
            platform: r.text(0),
            mch_id: r.opt_text(1),
            scenario: r.text(2),
            environment: r.opt_text(3),
            outcome: r.opt_text(4),
            run_on: r.opt_text(5),
        })
        .collect();
    facts.counts = reader
        .rows("migration counts", &["migration_counts"], sql::COUNTS)
        .await?
        .into_iter()
        .map(|r| CountFact {
            dataset_name: r.text(0),
            partitions: r.count(1),
            differing: r.count(2),
            source_count: r.int(3),
            target_count: r.int(4),
            source_fen: r.int(5),
            target_fen: r.int(6),
        })
        .collect();
    facts.inventory = reader
        .rows("inventory", &["record_inventory"], sql::INVENTORY)
        .await?
        .into_iter()
        .map(|r| InventoryMonth {
            data_class: r.text(0),
            month_on: r.text(1),
            records: r.int(2),
            anchor_on: r.opt_text(3),
            has_pi: r.int(4) > 0,
            is_deleted: r.int(5) == 0,
            is_restricted: r.int(6) == 0,
        })
        .collect();
    Ok(())
}

async fn people_facts(reader: &mut Reader<'_>, facts: &mut Facts) -> Result<(), Error> {
    facts.roles = reader
        .rows("roles", &["staff"], sql::ROLES)
        .await?
        .into_iter()
        .map(|r| RoleCount { role: r.text(0), state: r.text(1), accounts: r.count(2) })
        .collect();
    let mut holders: BTreeMap<(String, bool), Vec<(String, u64)>> = BTreeMap::new();
    for r in reader.rows("permissions", &["grants", "staff"], sql::HOLDERS).await? {
        holders.entry((r.text(0), r.opt_bool(1).unwrap_or(false))).or_default().push((r.text(2), r.count(3)));
    }
    facts.holders = holders
        .into_iter()
        .map(|((permission, is_money_related), roles)| PermissionHolders {
            permission,
            is_money_related,
            accounts: roles.iter().map(|(_, n)| n).sum(),
            roles,
        })
        .collect();
    facts.changes = reader
        .rows("permission changes", &["permission_changes"], sql::CHANGES)
        .await?
        .into_iter()
        .map(|r| ChangeMonth {
            month: r.text(0),
            granted: r.count(1),
            revoked: r.count(2),
            removed: r.count(3),
            other: r.count(4),
            unsuccessful: r.count(5),
        })
        .collect();
    if reader.has(&["people", "staff", "grants", "tokens", "devices"]) {
        let leavers = reader.rows("leavers", &["people", "staff"], sql::LEAVERS).await?;
        facts.leavers_total = leavers.len() as u64;
        facts.leavers = leavers
            .into_iter()
            .take(LEAVERS_SHOWN_MAX)
            .map(|r| Leaver {
                staff_ref: r.text(0),
                role: r.opt_text(1),
                departed_on: r.opt_text(2),
                state: r.opt_text(3),
                grants: r.count(4),
                tokens: r.count(5),
                devices: r.count(6),
            })
            .collect();
    }
    Ok(())
}

/// Leavers listed one by one; the total always stands beside them.
const LEAVERS_SHOWN_MAX: usize = 100;

struct Reader<'a> {
    session: &'a Session,
    tables: &'a BTreeSet<String>,
    params: Params,
    missing: BTreeSet<String>,
}

impl Reader<'_> {
    fn has(&mut self, needed: &[&str]) -> bool {
        let absent: Vec<&str> = needed.iter().copied().filter(|t| !self.tables.contains(*t)).collect();
        self.missing.extend(absent.iter().map(|t| (*t).to_owned()));
        absent.is_empty()
    }

    async fn rows(&mut self, fact: &'static str, needed: &[&str], sql: &str) -> Result<Vec<Row>, Error> {
        if !self.has(needed) {
            return Ok(Vec::new());
        }
        let used: Params =
            self.params.iter().filter(|(k, _)| uses(sql, k)).map(|(k, v)| (k.clone(), v.clone())).collect();
        let batches = self.session.collect(sql, &used).await.map_err(|source| Error::Query { fact, source })?;
        let mut rows = Vec::new();
        for batch in &batches {
            for i in 0..batch.num_rows() {
                rows.push(Row::read(batch, i, fact)?);
            }
        }
        Ok(rows)
    }
}

/// Whether the SQL has the parameter `$name` itself, not only a longer one that begins like it.
pub(super) fn uses(sql: &str, name: &str) -> bool {
    let mark = format!("${name}");
    sql.match_indices(&mark)
        .any(|(i, _)| !sql[i + mark.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

enum Cell {
    Null,
    Int(i128),
    Bool(bool),
    Text(String),
}

struct Row(Vec<Cell>);

impl Row {
    fn read(batch: &RecordBatch, row: usize, fact: &'static str) -> Result<Self, Error> {
        let mut cells = Vec::with_capacity(batch.num_columns());
        for (i, column) in batch.columns().iter().enumerate() {
            let cell = if column.is_null(row) {
                Cell::Null
            } else {
                match column.data_type() {
                    DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row).into()),
                    DataType::Int32 => Cell::Int(column.as_primitive::<Int32Type>().value(row).into()),
                    DataType::UInt64 => Cell::Int(column.as_primitive::<UInt64Type>().value(row).into()),
                    DataType::Decimal128(_, 0) => Cell::Int(column.as_primitive::<Decimal128Type>().value(row)),
                    DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
                    DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
                    DataType::LargeUtf8 => Cell::Text(column.as_string::<i64>().value(row).to_owned()),
                    DataType::Utf8View => Cell::Text(column.as_string_view().value(row).to_owned()),
                    _ => return Err(Error::Shape { fact, column_number: i + 1 }),
                }
            };
            cells.push(cell);
        }
        Ok(Self(cells))
    }

    fn opt_text(&self, i: usize) -> Option<String> {
        match self.0.get(i) {
            Some(Cell::Text(s)) => Some(s.clone()),
            _ => None,
        }
    }

    fn text(&self, i: usize) -> String {
        self.opt_text(i).unwrap_or_default()
    }

    fn opt_bool(&self, i: usize) -> Option<bool> {
        match self.0.get(i) {
            Some(Cell::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    /// The number, where there is one.
    fn opt_int(&self, i: usize) -> Option<i64> {
        matches!(self.0.get(i), Some(Cell::Int(_))).then(|| self.int(i))
    }

    /// The number, limited to what 64 bits hold; a sum beyond is shown as the limit, never wrapped.
    fn int(&self, i: usize) -> i64 {
        match self.0.get(i) {
            Some(Cell::Int(n)) => i64::try_from(*n).unwrap_or(if *n < 0 { i64::MIN } else { i64::MAX }),
            _ => 0,
        }
    }

    fn count(&self, i: usize) -> u64 {
        u64::try_from(self.int(i)).unwrap_or(0)
    }
}
