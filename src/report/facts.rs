//! Facts read from the sealed tables by SQL: money, notices, permissions, inventory.
//!
//! A table the archive does not hold is listed in [`Facts::missing`] and its facts stay empty; nothing is guessed.
//! Only facts up to `as_of` count.

mod read;
mod sql;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use read::facts;

/// The one derived dataset that facts are read from.
pub const RECONCILIATION: &str = "recon_items";

/// Everything the report knows beside the assessment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Tables the report would have used and the archive does not hold.
    pub missing: Vec<String>,
    /// Mini-programs and apps.
    pub apps: Vec<AppFact>,
    /// Merchant numbers.
    pub mchs: Vec<MchFact>,
    /// Latest balance of every account, grouped.
    pub balances: Vec<BalanceFact>,
    /// Ledger sums of transit, pending and customer accounts, used where no balance was observed.
    pub ledger: Vec<BalanceFact>,
    /// Refunds not yet final.
    pub refunds_in_flight: Vec<RefundFact>,
    /// Merchant withdrawals under way.
    pub withdrawals: Vec<WithdrawalFact>,
    /// Paid and refunded per month and platform.
    pub months: Vec<MonthFlow>,
    /// First and last bill day per merchant number.
    pub bills: Vec<BillSpan>,
    /// Bills against our own payments and refunds; `None` when they could not be compared.
    pub reconciliation: Option<ReconFacts>,
    /// Notices.
    pub notices: Vec<NoticeFact>,
    /// Sign-offs.
    pub signoffs: Vec<SignoffFact>,
    /// Application materials.
    pub submissions: Vec<SubmissionFact>,
    /// Interfaces: all of them, and those still on.
    pub interfaces: Option<(u64, u64)>,
    /// Third-party bindings: all of them, and those still bound.
    pub bindings: Option<(u64, u64)>,
    /// Payment scenario tests.
    pub tests: Vec<TestFact>,
    /// Row counts and sums of source and target.
    pub counts: Vec<CountFact>,
    /// Which records exist.
    pub inventory: Vec<InventoryMonth>,
    /// Accounts per role and state.
    pub roles: Vec<RoleCount>,
    /// Holders per permission.
    pub holders: Vec<PermissionHolders>,
    /// Permission changes per month.
    pub changes: Vec<ChangeMonth>,
    /// People who left and whose accounts still open something; the first hundred.
    pub leavers: Vec<Leaver>,
    /// How many there are.
    pub leavers_total: u64,
}

macro_rules! fact {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }
    };
}

fact! {
    /// A mini-program or app.
    AppFact {
        /// Reference.
        app_ref: String,
        /// Platform word.
        platform: String,
        /// The platform's app id.
        platform_app_id: Option<String>,
        /// Its name.
        name: Option<String>,
        /// State word.
        status: Option<String>,
        /// Filing number.
        icp_record_no: Option<String>,
        /// Day the filing was cancelled.
        icp_cancelled_on: Option<String>,
        /// Day the service was paused.
        service_paused_on: Option<String>,
        /// Day it was closed.
        deregistered_on: Option<String>,
    }
}
fact! {
    /// A merchant number.
    MchFact {
        /// Number.
        mch_id: String,
        /// Platform word.
        platform: String,
        /// Direct or service provider.
        access_mode: Option<String>,
        /// State word.
        state: Option<String>,
        /// Day it was closed.
        closed_on: Option<String>,
        /// Last day with a paid payment.
        last_paid_on: Option<String>,
        /// Last day with a payment or refund.
        last_trade_on: Option<String>,
    }
}
fact! {
    /// Money on accounts of one kind.
    BalanceFact {
        /// Merchant number, where the account has one.
        mch_id: Option<String>,
        /// Platform word.
        platform: Option<String>,
        /// Account kind.
        kind: String,
        /// Whose account.
        owner_kind: Option<String>,
        /// Accounts.
        accounts: u64,
        /// Usable.
        available_fen: i64,
        /// Frozen by the platform, as observed.
        frozen_fen: i64,
        /// Accounts whose amount was not obtained; they count as nothing above.
        unknown: u64,
        /// Day of the latest observation.
        observed_on: Option<String>,
    }
}
fact! {
    /// Refunds not yet final.
    RefundFact {
        /// Merchant number.
        mch_id: Option<String>,
        /// Platform word.
        platform: Option<String>,
        /// How many.
        refunds: u64,
        /// How much.
        amount_fen: i64,
    }
}
fact! {
    /// Merchant withdrawals not yet final.
    WithdrawalFact {
        /// Merchant number.
        mch_id: Option<String>,
        /// Platform word.
        platform: Option<String>,
        /// How many.
        withdrawals: u64,
        /// How much.
        amount_fen: i64,
    }
}
fact! {
    /// One month of one platform.
    MonthFlow {
        /// `2026-07`.
        month: String,
        /// Platform word.
        platform: String,
        /// Paid payments.
        payments: u64,
        /// Paid.
        paid_fen: i64,
        /// Refunded.
        refunded_fen: i64,
    }
}
fact! {
    /// Bills of one merchant number.
    BillSpan {
        /// Platform word.
        platform: String,
        /// Merchant number.
        mch_id: Option<String>,
        /// First bill day.
        first_on: Option<String>,
        /// Last bill day.
        last_on: Option<String>,
        /// Bill files.
        bills: u64,
    }
}
fact! {
    /// What comparing bills with our own records gave, over the window.
    ReconFacts {
        /// Items per day and merchant number.
        days: Vec<ReconDay>,
        /// Days with a trade bill, per merchant number.
        bill_days: Vec<BillDay>,
        /// Sums per merchant number, side and kind.
        sums: Vec<ReconSum>,
        /// The first differences, by day.
        differences: Vec<ReconDifference>,
    }
}
fact! {
    /// Items of one day and merchant number.
    ReconDay {
        /// Platform word.
        platform: String,
        /// Number under which the platform files its bills.
        mch_id: Option<String>,
        /// Day; `None`: not known.
        day: Option<String>,
        /// Items on both sides without a difference.
        matched: u64,
        /// Items with a difference, or on one side only.
        different: u64,
        /// Items for which there was no bill.
        not_compared: u64,
    }
}
fact! {
    /// A day with a bill.
    BillDay {
        /// Platform word.
        platform: String,
        /// Merchant number.
        mch_id: Option<String>,
        /// Day.
        day: Option<String>,
        /// A bill of that day disagrees with its own summary or digest.
        is_damaged: bool,
    }
}
fact! {
    /// Items of one kind.
    ReconSum {
        /// Platform word.
        platform: String,
        /// Merchant number of the bills.
        mch_id: Option<String>,
        /// `payment` or `refund`.
        about: String,
        /// Kind word.
        kind: String,
        /// Items.
        items: u64,
        /// Records of ours among them.
        local_count: u64,
        /// Their amount.
        local_fen: i64,
        /// Bill lines among them.
        platform_count: u64,
        /// Their amount.
        platform_fen: i64,
    }
}
fact! {
    /// One item that is not matched.
    ReconDifference {
        /// Day.
        day: Option<String>,
        /// Kind word.
        kind: String,
        /// `payment` or `refund`.
        about: String,
        /// Platform word.
        platform: Option<String>,
        /// Merchant number the trade belongs to.
        mch_id: Option<String>,
        /// The platform's number, else our own.
        number: Option<String>,
        /// Our record.
        local_ref: Option<String>,
        /// Our amount.
        local_fen: Option<i64>,
        /// The platform's amount.
        platform_fen: Option<i64>,
        /// Our state.
        local_status: Option<String>,
        /// The platform's state.
        platform_status: Option<String>,
    }
}
fact! {
    /// A notice to users.
    NoticeFact {
        /// Reference.
        notice_ref: String,
        /// Channel word.
        channel: String,
        /// Published on.
        published_on: Option<String>,
        /// Withdrawn on.
        withdrawn_on: Option<String>,
    }
}
fact! {
    /// A department's sign-off.
    SignoffFact {
        /// Department word.
        dept: String,
        /// Signed on.
        signed_on: Option<String>,
    }
}
fact! {
    /// A document the platform or authority asks for.
    SubmissionFact {
        /// Code.
        material_code: String,
        /// Title.
        title: Option<String>,
        /// Whether it is required.
        is_required: Option<bool>,
        /// Handed in on.
        submitted_on: Option<String>,
        /// Accepted on.
        accepted_on: Option<String>,
    }
}
fact! {
    /// The latest run of a payment scenario.
    TestFact {
        /// Platform word.
        platform: String,
        /// Merchant number.
        mch_id: Option<String>,
        /// Scenario word.
        scenario: String,
        /// Environment word.
        environment: Option<String>,
        /// Outcome word.
        outcome: Option<String>,
        /// Run on.
        run_on: Option<String>,
    }
}
fact! {
    /// Counts of source and target, as declared.
    CountFact {
        /// Dataset.
        dataset_name: String,
        /// Partitions compared.
        partitions: u64,
        /// Partitions that differ.
        differing: u64,
        /// Rows at the source.
        source_count: i64,
        /// Rows at the target.
        target_count: i64,
        /// Sum at the source.
        source_fen: i64,
        /// Sum at the target.
        target_fen: i64,
    }
}
fact! {
    /// Records of one class and month.
    InventoryMonth {
        /// Class.
        data_class: String,
        /// First day of the month.
        month_on: String,
        /// Records held.
        records: i64,
        /// Latest stated start of the retention period.
        anchor_on: Option<String>,
        /// Whether any partition holds personal data.
        has_pi: bool,
        /// Whether all partitions are deleted.
        is_deleted: bool,
        /// Whether processing is restricted everywhere.
        is_restricted: bool,
    }
}
fact! {
    /// Accounts of one role.
    RoleCount {
        /// Role word.
        role: String,
        /// State word.
        state: String,
        /// Accounts.
        accounts: u64,
    }
}
fact! {
    /// Who holds a permission now.
    PermissionHolders {
        /// Permission.
        permission: String,
        /// Touches money.
        is_money_related: bool,
        /// Accounts per role word.
        roles: Vec<(String, u64)>,
        /// Accounts altogether.
        accounts: u64,
    }
}
fact! {
    /// Permission changes of a month.
    ChangeMonth {
        /// `2026-07`.
        month: String,
        /// Grants.
        granted: u64,
        /// Revocations.
        revoked: u64,
        /// Accounts removed.
        removed: u64,
        /// Other changes.
        other: u64,
        /// Changes that did not succeed.
        unsuccessful: u64,
    }
}
fact! {
    /// A person who left and whose account still opens something.
    Leaver {
        /// Pseudonym of the account.
        staff_ref: String,
        /// Role word.
        role: Option<String>,
        /// Left on.
        departed_on: Option<String>,
        /// Account state.
        state: Option<String>,
        /// Live grants.
        grants: u64,
        /// Live tokens.
        tokens: u64,
        /// Bound devices.
        devices: u64,
    }
}
