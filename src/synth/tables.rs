//! The application database of the sample merchant: its own table and column names, as a Chinese retail SaaS has them.
//!
//! Responsible for the table definitions and for collecting rows into batches of bound parameters. Writing the
//! batches is the job of `database`. Every mapped table feeds exactly one dataset, which is what makes the row
//! counts an oracle for the mapping.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use tokio::sync::mpsc;

use super::Error;
use super::local::{Local, yuan};

/// Bound parameters of one statement, at most.
const PARAMETERS_MAX: usize = 1_500;

/// One table of the application.
#[derive(Debug)]
pub(super) struct Table {
    /// Name in the database.
    pub(super) name: &'static str,
    /// Dataset its rows become; none for tables that the mapping leaves alone.
    pub(super) dataset: Option<&'static str>,
    /// Columns as declared.
    pub(super) columns: &'static [&'static str],
}

macro_rules! tables {
    ($($id:ident $name:literal $dataset:expr => [$($column:literal),+ $(,)?];)+) => {
        /// Tables of the application, in the order of [`TABLES`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum T { $($id),+ }
        /// All tables.
        pub(super) const TABLES: &[Table] = &[$(Table { name: $name, dataset: $dataset, columns: &[$($column),+] }),+];
    };
}

tables! {
    Company "t_company" Some("merchants") => ["id INTEGER PRIMARY KEY", "full_name TEXT", "credit_code TEXT", "biz_role TEXT", "contact TEXT", "contact_tel TEXT", "state INTEGER", "open_day TEXT"];
    Shop "t_shop" Some("stores") => ["id INTEGER PRIMARY KEY", "code TEXT", "company_id INTEGER", "shop_name TEXT", "area_code TEXT", "addr TEXT", "state INTEGER", "deleted INTEGER"];
    App "t_miniapp" Some("apps") => ["id INTEGER PRIMARY KEY", "company_id INTEGER", "plat INTEGER", "appid TEXT", "app_secret TEXT", "app_name TEXT", "subject_name TEXT", "icp_no TEXT", "state INTEGER"];
    Mch "t_mch" Some("mch_accounts") => ["mch_no TEXT", "plat INTEGER", "company_id INTEGER", "mode INTEGER", "provider_no TEXT", "state INTEGER", "open_day TEXT", "close_day TEXT", "account_name TEXT", "api_key TEXT", "fee_rate TEXT"];
    User "sys_user" Some("staff") => ["id INTEGER PRIMARY KEY", "emp_no TEXT", "login TEXT", "pwd_hash TEXT", "real_name TEXT", "mobile TEXT", "openid TEXT", "shop_code TEXT", "role_code TEXT", "lv INTEGER", "is_super INTEGER", "is_temp INTEGER", "state INTEGER", "valid_until TEXT", "create_time TEXT", "create_by INTEGER", "leave_time TEXT", "last_active TEXT", "last_ip TEXT", "successor_id INTEGER", "two_step INTEGER", "deleted INTEGER"];
    Grant "sys_role_grant" Some("grants") => ["id INTEGER PRIMARY KEY", "user_id INTEGER", "role_code TEXT", "role_name TEXT", "perm TEXT", "perm_type TEXT", "scope TEXT", "is_money INTEGER", "grant_time TEXT", "grant_by INTEGER", "revoke_time TEXT", "revoke_by INTEGER"];
    PermLog "sys_perm_log" Some("permission_changes") => ["id INTEGER PRIMARY KEY", "seq INTEGER", "effect_time TEXT", "apply_time TEXT", "act INTEGER", "op_id INTEGER", "op_name TEXT", "op_lv INTEGER", "target_id INTEGER", "target_lv INTEGER", "perm TEXT", "is_money INTEGER", "before_txt TEXT", "after_txt TEXT", "ip TEXT", "device TEXT", "ua TEXT", "way INTEGER", "second_factor TEXT", "approver_id INTEGER", "wo_no TEXT", "result INTEGER", "fail_msg TEXT", "row_hash TEXT", "prev_hash TEXT"];
    Verify "sys_verify" Some("verifications") => ["id INTEGER PRIMARY KEY", "log_id INTEGER", "method TEXT", "ok INTEGER", "verify_time TEXT"];
    WorkOrder "sys_work_order" Some("work_orders") => ["wo_no TEXT", "kind TEXT", "open_time TEXT", "open_by INTEGER", "target_id INTEGER", "state INTEGER", "decide_time TEXT", "decide_by INTEGER"];
    Token "t_token" Some("tokens") => ["id INTEGER PRIMARY KEY", "kind TEXT", "user_type INTEGER", "user_id INTEGER", "token TEXT", "issue_ts INTEGER", "expire_ts INTEGER", "revoke_ts INTEGER", "last_used_ts INTEGER"];
    Device "t_device" Some("devices") => ["id INTEGER PRIMARY KEY", "shop_code TEXT", "kind TEXT", "vendor TEXT", "sn TEXT", "user_id INTEGER", "bind_time TEXT", "unbind_time TEXT", "back_time TEXT", "last_trade_time TEXT", "state INTEGER", "deleted INTEGER"];
    Login "t_login" Some("logins") => ["id INTEGER PRIMARY KEY", "login_time TEXT", "user_id INTEGER", "login TEXT", "event INTEGER", "ok INTEGER", "ip TEXT", "ua TEXT", "device TEXT", "method TEXT"];
    OpLog "sys_oplog" Some("operation_logs") => ["id INTEGER PRIMARY KEY", "op_time TEXT", "user_id INTEGER", "user_name TEXT", "module TEXT", "action TEXT", "target TEXT", "ip TEXT", "ua TEXT", "ok INTEGER", "content TEXT"];
    Order "t_order" Some("trade_orders") => ["id INTEGER PRIMARY KEY", "order_sn TEXT", "company_id INTEGER", "shop_code TEXT", "appid TEXT", "member_id INTEGER", "biz_type INTEGER", "src INTEGER", "state INTEGER", "goods_amt DECIMAL(10,2)", "freight_amt DECIMAL(10,2)", "disc_amt DECIMAL(10,2)", "coupon_amt DECIMAL(10,2)", "pay_amt DECIMAL(10,2)", "paid_amt DECIMAL(10,2)", "refund_amt DECIMAL(10,2)", "item_num INTEGER", "act_id INTEGER", "group_id INTEGER", "cashier_id INTEGER", "create_time TEXT", "expire_time TEXT", "pay_time TEXT", "ship_time TEXT", "close_time TEXT", "close_type INTEGER", "recv_name TEXT", "recv_tel TEXT", "recv_addr TEXT", "remark TEXT", "deleted INTEGER"];
    OrderItem "t_order_item" Some("order_items") => ["id INTEGER PRIMARY KEY", "order_id INTEGER", "sku TEXT", "title TEXT", "qty DECIMAL(10,3)", "price DECIMAL(10,2)", "disc_amt DECIMAL(10,2)", "amt DECIMAL(10,2)", "refund_amt DECIMAL(10,2)"];
    OrderLog "t_order_log" Some("order_events") => ["id INTEGER PRIMARY KEY", "obj INTEGER", "obj_id INTEGER", "order_id INTEGER", "seq INTEGER", "log_time TEXT", "who INTEGER", "user_id INTEGER", "from_state TEXT", "to_state TEXT", "evidence TEXT", "plat INTEGER", "product TEXT", "comm_code TEXT", "biz_code TEXT", "trade_state TEXT", "memo TEXT"];
    Pay "t_pay" Some("payments") => ["id INTEGER PRIMARY KEY", "order_id INTEGER", "out_trade_no TEXT", "company_id INTEGER", "mch_no TEXT", "plat INTEGER", "appid TEXT", "amt DECIMAL(10,2)", "fee DECIMAL(10,2)", "refund_amt DECIMAL(10,2)", "state INTEGER", "create_time TEXT", "expire_time TEXT", "pay_time TEXT", "close_time TEXT", "notify_time TEXT", "multi INTEGER"];
    PayFlow "t_pay_flow" Some("payment_flows") => ["id INTEGER PRIMARY KEY", "pay_id INTEGER", "tender INTEGER", "amt TEXT", "state INTEGER", "channel_no TEXT", "channel_mch TEXT", "payer TEXT", "attempt INTEGER", "submit_time TEXT", "success_time TEXT", "err_code TEXT", "err_msg TEXT", "effective INTEGER"];
    Refund "t_refund" Some("refunds") => ["id INTEGER PRIMARY KEY", "out_refund_no TEXT", "pay_id INTEGER", "order_id INTEGER", "mch_no TEXT", "plat INTEGER", "amt DECIMAL(10,2)", "state INTEGER", "route INTEGER", "channel_refund_no TEXT", "reason TEXT", "apply_time TEXT", "approve_time TEXT", "success_time TEXT", "operator_id INTEGER", "err_code TEXT"];
    Invoice "t_invoice" Some("invoices") => ["id INTEGER PRIMARY KEY", "order_id INTEGER", "member_id INTEGER", "title TEXT", "title_type INTEGER", "tax_no TEXT", "kind INTEGER", "amt DECIMAL(10,2)", "inv_no TEXT", "red_of INTEGER", "state INTEGER", "apply_time TEXT", "issue_time TEXT"];
    Settle "t_settle" Some("settlements") => ["id INTEGER PRIMARY KEY", "mch_no TEXT", "plat INTEGER", "day_from TEXT", "day_to TEXT", "gross_amt DECIMAL(14,2)", "refund_amt DECIMAL(14,2)", "fee_amt DECIMAL(14,2)", "net_amt DECIMAL(14,2)", "state INTEGER", "settle_time TEXT", "operator_id INTEGER"];
    CashOut "t_cash_out" Some("withdrawals") => ["id INTEGER PRIMARY KEY", "mch_no TEXT", "plat INTEGER", "amt DECIMAL(14,2)", "fee DECIMAL(14,2)", "bank_account TEXT", "state INTEGER", "apply_time TEXT", "approve_time TEXT", "approve_by INTEGER", "success_time TEXT"];
    Recharge "t_recharge" Some("recharges") => ["id INTEGER PRIMARY KEY", "member_id INTEGER", "pay_amt DECIMAL(10,2)", "gift_amt DECIMAL(10,2)", "refund_amt DECIMAL(10,2)", "pay_id INTEGER", "state INTEGER", "pay_time TEXT"];
    Ledger "t_ledger" Some("fund_flows") => ["id INTEGER PRIMARY KEY", "acc_no TEXT", "acc_type INTEGER", "mch_no TEXT", "plat INTEGER", "contra_acc TEXT", "book_time TEXT", "amt_cent INTEGER", "biz TEXT", "balance_cent INTEGER", "about TEXT", "about_id TEXT", "operator_id INTEGER", "memo TEXT"];
    Balance "t_acc_snap" Some("balances") => ["id INTEGER PRIMARY KEY", "acc_no TEXT", "snap_time TEXT", "acc_type INTEGER", "mch_no TEXT", "plat INTEGER", "avail_amt DECIMAL(14,2)", "frozen_amt DECIMAL(14,2)"];
    Campaign "t_activity" Some("campaigns") => ["id INTEGER PRIMARY KEY", "kind INTEGER", "title TEXT", "start_time TEXT", "end_time TEXT", "close_time TEXT", "state INTEGER", "create_by INTEGER", "transfer_to INTEGER", "budget DECIMAL(14,2)", "deleted INTEGER"];
    Group "t_group" Some("group_buys") => ["id INTEGER PRIMARY KEY", "act_id INTEGER", "leader_id INTEGER", "need_num INTEGER", "join_num INTEGER", "state INTEGER", "start_time TEXT", "expire_time TEXT"];
    Coupon "t_coupon" Some("coupon_holdings") => ["id INTEGER PRIMARY KEY", "tpl_id INTEGER", "member_id INTEGER", "face_amt DECIMAL(10,2)", "state INTEGER", "get_time TEXT", "use_time TEXT", "order_id INTEGER"];
    Member "t_member" Some("customers") => ["id INTEGER PRIMARY KEY", "openid TEXT", "mobile TEXT", "nick TEXT", "lv TEXT", "points INTEGER", "balance DECIMAL(10,2)", "state INTEGER", "reg_time TEXT", "cancel_time TEXT"];
    Complaint "t_complaint" Some("complaints") => ["id INTEGER PRIMARY KEY", "plat INTEGER", "order_id INTEGER", "mch_no TEXT", "member_id INTEGER", "amt DECIMAL(10,2)", "open_time TEXT", "close_time TEXT", "state INTEGER", "handler_id INTEGER"];
    Cart "t_cart" None => ["id INTEGER PRIMARY KEY", "member_id INTEGER", "sku TEXT", "qty INTEGER", "add_time TEXT"];
    Setting "sys_config" None => ["cfg_key TEXT", "cfg_value TEXT", "update_time TEXT"];
}

impl T {
    /// The definition.
    pub(super) fn table(self) -> &'static Table {
        &TABLES[self as usize]
    }
}

/// One value to bind.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    /// NULL.
    Null,
    /// Integer.
    Int(i64),
    /// Yuan with two decimals in a DECIMAL column (SQLite keeps it as a number).
    Yuan(i64),
    /// Text made for this row.
    Text(String),
    /// Text known at compile time.
    Word(&'static str),
    /// Local time as the application stores it.
    Time(Local),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<&'static str> for Cell {
    fn from(value: &'static str) -> Self {
        Self::Word(value)
    }
}
impl From<Local> for Cell {
    fn from(value: Local) -> Self {
        Self::Time(value)
    }
}
impl<X: Into<Cell>> From<Option<X>> for Cell {
    fn from(value: Option<X>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Builds the cells of a row from values of different types.
macro_rules! cells {
    ($($value:expr),+ $(,)?) => { [$($crate::synth::tables::Cell::from($value)),+] };
}
pub(super) use cells;

/// Rows ready to be inserted.
pub(super) struct Batch {
    /// Into which table.
    pub(super) table: T,
    /// How many rows.
    pub(super) rows: usize,
    /// Their values, row after row.
    pub(super) values: Vec<Value>,
    /// Orders finished since the last batch, for the progress display.
    pub(super) orders: u64,
}

/// Where generators put rows; hands full batches to the writer.
pub(super) struct Sink {
    sender: mpsc::Sender<Batch>,
    open: Vec<(usize, Vec<Value>)>,
    counts: Vec<u64>,
    /// Orders not yet reported to the progress display.
    pub(super) orders: u64,
}

impl Sink {
    /// An empty sink.
    pub(super) fn new(sender: mpsc::Sender<Batch>) -> Self {
        Self {
            sender,
            open: TABLES.iter().map(|_| Default::default()).collect(),
            counts: vec![0; TABLES.len()],
            orders: 0,
        }
    }

    /// The id that the next row of the table should get: 1 for the first.
    pub(super) fn next_id(&self, table: T) -> i64 {
        self.counts[table as usize] as i64 + 1
    }

    /// Adds one row; the cells are in the order of the columns.
    pub(super) fn push<const N: usize>(&mut self, table: T, row: [Cell; N]) -> Result<(), Error> {
        debug_assert_eq!(N, table.table().columns.len(), "row of {}", table.table().name);
        let (rows, values) = &mut self.open[table as usize];
        if *rows == 0 {
            values.reserve(PARAMETERS_MAX);
        }
        for cell in row {
            values.push(match cell {
                Cell::Null => Value::Null,
                Cell::Int(i) => Value::Integer(i),
                Cell::Yuan(fen) if fen % 100 == 0 => Value::Integer(fen / 100),
                Cell::Yuan(fen) => Value::Real(fen as f64 / 100.0),
                Cell::Text(text) => Value::Text(text),
                Cell::Word(text) => Value::Text(text.into()),
                Cell::Time(time) => Value::Text(time.text()),
            });
        }
        *rows += 1;
        self.counts[table as usize] += 1;
        if *rows * N + N > PARAMETERS_MAX {
            self.flush(table)?;
        }
        Ok(())
    }

    fn flush(&mut self, table: T) -> Result<(), Error> {
        let (rows, values) = std::mem::take(&mut self.open[table as usize]);
        if rows == 0 {
            return Ok(());
        }
        let batch = Batch { table, rows, values, orders: std::mem::take(&mut self.orders) };
        // The receiver is gone only when the writer failed or was interrupted; its error is the one to report.
        self.sender.blocking_send(batch).map_err(|_| Error::WriterGone)
    }

    /// Hands over what is left; returns the rows per dataset that the mapping must yield.
    pub(super) fn finish(mut self) -> Result<BTreeMap<String, u64>, Error> {
        let all = [
            T::Company,
            T::Shop,
            T::App,
            T::Mch,
            T::User,
            T::Grant,
            T::PermLog,
            T::Verify,
            T::WorkOrder,
            T::Token,
            T::Device,
            T::Login,
            T::OpLog,
            T::Order,
            T::OrderItem,
            T::OrderLog,
            T::Pay,
            T::PayFlow,
            T::Refund,
            T::Invoice,
            T::Settle,
            T::CashOut,
            T::Recharge,
            T::Ledger,
            T::Balance,
            T::Campaign,
            T::Group,
            T::Coupon,
            T::Member,
            T::Complaint,
            T::Cart,
            T::Setting,
        ];
        for table in all {
            self.flush(table)?;
        }
        Ok(TABLES.iter().zip(&self.counts).filter_map(|(t, n)| t.dataset.map(|d| (d.to_owned(), *n))).collect())
    }
}

/// An amount in a TEXT column: `12.30`.
pub(super) fn yuan_text(fen: i64) -> Cell {
    Cell::Text(yuan(fen))
}
