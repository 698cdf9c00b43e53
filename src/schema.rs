//! The canonical schema: every dataset and column, declared once.
//!
//! Responsible for the names, types, units, nullability, identity classes, keys and retention classes of all
//! datasets (schema 1.0). Parquet schemas, `schema.json`, the reference page, validation of mappings, registers
//! and policies, and the date twins are all derived from here. Not responsible for reading or converting rows.
//!
//! Limits: no nested types, no floating point, only key columns are NOT NULL (a rule that looks for a missing
//! value must be able to see it). Every instant `x_at` is followed by its local date twin `x_on`.

mod channels;
mod commerce;
mod compliance;
mod funds;
mod marketing;
mod migration;
pub mod page;
mod people;
mod raised;
mod tool;
mod trade;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use raised::Raised;

/// Version of the canonical schema, recorded in every archive.
pub const VERSION: &str = "1.0";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// 64-bit signed integer; money when the name ends in `_fen` (minor units) or `_e6` (millionths of the major unit).
    Int,
    /// Truth value.
    Bool,
    /// Local calendar date in the archive's business zone.
    Date,
    /// Instant, microseconds since 1970-01-01T00:00:00Z.
    Instant,
    /// Decimal of 18 digits with this many after the point; rates and quantities.
    Decimal(i8),
}

impl ColumnType {
    /// Arrow type of the column in memory and in Parquet.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal(scale) => DataType::Decimal128(18, scale),
        }
    }

    /// Name of the type in `schema.json` (archive format, section 4.1).
    pub fn schema_json_name(self) -> String {
        match self {
            Self::Text => "string".into(),
            Self::Int => "int64".into(),
            Self::Bool => "bool".into(),
            Self::Date => "date".into(),
            Self::Instant => "timestamp_us_utc".into(),
            Self::Decimal(scale) => format!("decimal(18,{scale})"),
        }
    }
}

/// Whose data a column holds; decides what pseudonymisation does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Amounts, counts, codes: kept.
    None,
    /// Order numbers, merchant numbers, stores: kept.
    BusinessId,
    /// Identifies a member of staff: always replaced by a keyed token.
    StaffId,
    /// Identifies a customer: replaced by a keyed token under another key.
    CustomerId,
    /// Phone, address, receiver: masked.
    Contact,
    /// IP address, device, user agent: kept for staff actions.
    Network,
    /// Remarks, sentences, dumps: redacted span by span.
    FreeText,
    /// Staff, customer or neither, by the value of the named column of the same row: `staff` is staff,
    /// `customer` and `promoter` are customers, a missing or unknown value is treated as staff,
    /// anything else is kept.
    PerRow(&'static str),
}

impl Class {
    /// Name used in `schema.json`, policy files and the reference page.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BusinessId => "business_id",
            Self::StaffId => "staff_id",
            Self::CustomerId => "customer_id",
            Self::Contact => "contact",
            Self::Network => "network",
            Self::FreeText => "free_text",
            Self::PerRow(_) => "per_row",
        }
    }

    /// How much of a value is taken away; a mapping may only go up.
    pub fn strength(self) -> u8 {
        match self {
            Self::None => 0,
            Self::BusinessId => 1,
            Self::Network => 2,
            Self::FreeText => 3,
            Self::Contact => 4,
            Self::CustomerId | Self::PerRow(_) => 5,
            Self::StaffId => 6,
        }
    }

    /// Whether values of the class never stand in an archive as they are.
    pub fn is_replaced(self) -> bool {
        !matches!(self, Self::None | Self::BusinessId | Self::Network)
    }
}

/// Whose identifier a value of class [`Class::PerRow`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A member of staff's, or nobody knows.
    Staff,
    /// A customer's.
    Customer,
    /// No person's.
    Nobody,
}

impl Whose {
    /// By the actor of the row. A word outside the vocabulary says nothing, so it counts as unknown.
    pub fn of(actor: Option<&str>, vocabulary: &[&str]) -> Self {
        match actor {
            Some("customer" | "promoter") => Self::Customer,
            None | Some("staff" | "unknown") => Self::Staff,
            Some(word) if vocabulary.contains(&word) => Self::Nobody,
            Some(_) => Self::Staff,
        }
    }
}

/// One column of a dataset.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Canonical name.
    pub name: &'static str,
    /// What it holds.
    pub ty: ColumnType,
    /// Identity class.
    pub class: Class,
    /// False only for key columns.
    pub nullable: bool,
    /// Closed vocabulary, if the column has one.
    pub vocabulary: Option<&'static [&'static str]>,
    /// One line of meaning; empty where the name says it all.
    pub doc: &'static str,
    /// For a date twin `x_on`: the instant `x_at` it is derived from.
    pub twin_of: Option<&'static str>,
}

impl Column {
    /// Unit of a number, as in Parquet field metadata: `CNY/100` for `_fen`, `CNY/1000000` for `_e6`.
    pub fn unit(&self) -> Option<&'static str> {
        if self.name.ends_with("_fen") {
            Some("CNY/100")
        } else if self.name.ends_with("_e6") {
            Some("CNY/1000000")
        } else {
            None
        }
    }

    /// Whether the column may hold a negative amount.
    pub fn is_signed(&self) -> bool {
        matches!(self.name, "signed_fen" | "adjust_fen" | "fee_e6" | "difference_fen" | "stated_fee_e6")
    }

    const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}

const fn column(name: &'static str, ty: ColumnType, class: Class) -> Column {
    Column { name, ty, class, nullable: true, vocabulary: None, doc: "", twin_of: None }
}
const fn business(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::BusinessId)
}
const fn staff(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::StaffId)
}
const fn customer(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::CustomerId)
}
const fn contact(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::Contact)
}
const fn network(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::Network)
}
const fn free_text(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::FreeText)
}
const fn by_actor(name: &'static str, actor_column: &'static str) -> Column {
    column(name, ColumnType::Text, Class::PerRow(actor_column))
}
const fn text(name: &'static str) -> Column {
    column(name, ColumnType::Text, Class::None)
}
const fn word(name: &'static str, vocabulary: &'static [&'static str]) -> Column {
    let mut c = column(name, ColumnType::Text, Class::None);
    c.vocabulary = Some(vocabulary);
    c
}
const fn int(name: &'static str) -> Column {
    column(name, ColumnType::Int, Class::None)
}
const fn fen(name: &'static str) -> Column {
    column(name, ColumnType::Int, Class::None)
}
const fn flag(name: &'static str) -> Column {
    column(name, ColumnType::Bool, Class::None)
}
const fn date(name: &'static str) -> Column {
    column(name, ColumnType::Date, Class::None)
}
const fn instant(name: &'static str) -> Column {
    column(name, ColumnType::Instant, Class::None)
}
const fn decimal(name: &'static str, scale: i8) -> Column {
    column(name, ColumnType::Decimal(scale), Class::None)
}

/// Where the rows of a dataset come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Mapped from a merchant database, a platform file or an export.
    Mapped,
    /// A register kept by people: `registers/<dataset>.csv` with canonical column names (a mapping may fill it too).
    Register,
    /// Made by this program while sealing.
    Sealed,
    /// Supplied by this program when policies run (calendars, schedule, code maps); never in an archive.
    Reference,
    /// Computed from other datasets by a query of the pack when policies run; never in an archive.
    Derived,
}

/// A dataset as declared in its file, before twins and the envelope are added.
struct Declared {
    name: &'static str,
    title_zh: &'static str,
    title_en: &'static str,
    origin: Origin,
    retention: &'static str,
    anchor: Option<&'static str>,
    key: &'static [&'static str],
    columns: &'static [Column],
}

/// One dataset of the canonical schema.
#[derive(Debug)]
pub struct Dataset {
    /// Canonical name; also the table id in archives and in policies.
    pub name: &'static str,
    /// Chinese title.
    pub title_zh: &'static str,
    /// English title.
    pub title_en: &'static str,
    /// Where its rows come from.
    pub origin: Origin,
    /// Retention class: a `data_class` of the pack's `schedule.toml`.
    pub retention: &'static str,
    /// Column whose day starts the retention period.
    pub anchor: Option<&'static str>,
    /// Names of the key columns, in order.
    pub key: &'static [&'static str],
    /// All columns in archive order: declared columns, each instant followed by its twin, then the envelope.
    /// Reference and derived datasets have no envelope.
    pub columns: Vec<Column>,
    arrow: SchemaRef,
}

impl Dataset {
    fn new(declared: &Declared) -> Self {
        let mut columns = Vec::new();
        for c in declared.columns {
            let mut c = *c;
            c.nullable = !declared.key.contains(&c.name);
            columns.push(c);
            if c.ty == ColumnType::Instant
                && let Some(name) = twin_name(c.name)
            {
                let mut twin = column(name, ColumnType::Date, Class::None);
                twin.twin_of = Some(c.name);
                columns.push(twin);
            }
        }
        if !matches!(declared.origin, Origin::Reference | Origin::Derived) {
            columns.extend(ENVELOPE.iter().copied());
        }
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(c.name, c.ty.arrow(), c.nullable)).collect();
        Self {
            name: declared.name,
            title_zh: declared.title_zh,
            title_en: declared.title_en,
            origin: declared.origin,
            retention: declared.retention,
            anchor: declared.anchor,
            key: declared.key,
            columns,
            arrow: Arc::new(Schema::new(fields)),
        }
    }

    /// Arrow schema of the dataset, in archive order, without metadata.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    /// Looks a column up by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Position of a column in archive order.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Columns of the dataset itself: neither twins nor envelope.
    pub fn own_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.twin_of.is_none() && !is_envelope(c.name))
    }

    /// Columns a mapping, register or file may supply: its own, and what only a source can know of the envelope.
    pub fn fillable_columns(&self) -> impl Iterator<Item = &Column> {
        let of_source = |name: &str| matches!(name, "tenant_ref" | "is_deleted");
        self.columns.iter().filter(move |c| c.twin_of.is_none() && (!is_envelope(c.name) || of_source(c.name)))
    }
}

/// Columns every archived row carries (canonical schema, section 3). `src_key` is a compact JSON array of the
/// key's texts, each element under the class of its key column.
pub const ENVELOPE: &[Column] = &[
    envelope("src_system", Class::None, ColumnType::Text, false),
    envelope("src_table", Class::None, ColumnType::Text, false),
    envelope("src_key", Class::BusinessId, ColumnType::Text, false),
    envelope("tenant_ref", Class::BusinessId, ColumnType::Text, true),
    envelope("evidence", Class::None, ColumnType::Text, false),
    envelope("is_deleted", Class::None, ColumnType::Bool, false),
];

const fn envelope(name: &'static str, class: Class, ty: ColumnType, nullable: bool) -> Column {
    let mut c = column(name, ty, class);
    c.nullable = nullable;
    c
}

/// Whether the name is one of the envelope's.
pub fn is_envelope(name: &str) -> bool {
    ENVELOPE.iter().any(|c| c.name == name)
}

static TWINS: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let mut twins = BTreeMap::new();
    for declared in declared() {
        for c in declared.columns.iter().filter(|c| c.ty == ColumnType::Instant) {
            if let Some(stem) = c.name.strip_suffix("_at") {
                // One leak per distinct instant name of the schema, once per process.
                let twin: &'static str = Box::leak(format!("{stem}_on").into_boxed_str());
                twins.entry(c.name).or_insert(twin);
            }
        }
    }
    twins
});

fn twin_name(instant: &str) -> Option<&'static str> {
    TWINS.get(instant).copied()
}

fn declared() -> impl Iterator<Item = &'static Declared> {
    [
        commerce::DATASETS,
        channels::DATASETS,
        people::DATASETS,
        trade::DATASETS,
        funds::DATASETS,
        marketing::DATASETS,
        compliance::DATASETS,
        migration::DATASETS,
        tool::DATASETS,
    ]
    .into_iter()
    .flatten()
}

static ALL: LazyLock<BTreeMap<&'static str, Dataset>> =
    LazyLock::new(|| declared().map(|d| (d.name, Dataset::new(d))).collect());

/// All datasets, in name order.
pub fn datasets() -> impl Iterator<Item = &'static Dataset> {
    ALL.values()
}

/// Looks a dataset up by name.
pub fn dataset(name: &str) -> Option<&'static Dataset> {
    ALL.get(name)
}
