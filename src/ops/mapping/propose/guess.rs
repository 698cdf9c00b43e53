//! Guesses: which table feeds which dataset, which column fills which, and what its values mean. Every guess has its
//! reason; nothing here is certain.

use crate::mapping::Family;
use crate::model::Engine;
use crate::schema::{self, Class, ColumnType, Dataset};

use super::profile::{Care, Column, Table, has_word, tokens};
use super::words;

/// A column that fills a canonical one.
#[derive(Debug)]
pub(super) struct Filled<'p> {
    pub(super) target: &'static schema::Column,
    pub(super) source: &'p Column,
    /// `conv` as inline table, without the class; empty for none.
    pub(super) conversion: Vec<String>,
    /// Codes of an enum to be completed.
    pub(super) codes: Option<&'p [(String, u64)]>,
    pub(super) why: String,
}

/// A value that is the same in every row.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) column: &'static str,
    pub(super) value: &'static str,
    pub(super) why: &'static str,
}

/// A table that may feed a dataset.
#[derive(Debug)]
pub(super) struct Proposal<'p> {
    pub(super) dataset: &'static Dataset,
    pub(super) table: &'p Table,
    pub(super) why: String,
    pub(super) filled: Vec<Filled<'p>>,
    pub(super) constants: Vec<Constant>,
    score: usize,
}

impl Proposal<'_> {
    /// Whether the column of the table is used.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.filled.iter().any(|f| f.source.name == name)
    }
}

/// One proposal per dataset at most, in name order: the table whose name and columns fit best.
pub(super) fn propose(tables: &[Table], engine: Engine) -> Vec<Proposal<'_>> {
    let mut best: std::collections::BTreeMap<&str, Proposal<'_>> = std::collections::BTreeMap::new();
    for table in tables.iter().filter(|t| t.is_readable && is_writable(&t.name)) {
        let Some(proposal) = of_table(table, engine) else { continue };
        match best.get(proposal.dataset.name) {
            Some(other) if (other.score, other.table.rows) >= (proposal.score, table.rows) => {}
            _ => {
                best.insert(proposal.dataset.name, proposal);
            }
        }
    }
    best.into_values().collect()
}

/// Whether a name can be written into a mapping as it is.
pub(super) fn is_writable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['\'', '"', '`', '{', '}', '\\']) && !name.chars().any(char::is_control)
}

/// The dataset a table's name speaks of, with the number of words that say so.
pub(super) fn dataset_of(name: &str) -> Option<(&'static str, usize)> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut parts = tokens(last);
    while parts.len() > 1 && parts.first().is_some_and(|p| words::TABLE_PREFIXES.contains(&p.as_str())) {
        parts.remove(0);
    }
    while parts.len() > 1 && parts.last().is_some_and(|p| words::TABLE_SUFFIXES.contains(&p.as_str())) {
        parts.pop();
    }
    // orders → order, but not address → addres.
    for part in &mut parts {
        if part.len() > 3 && part.ends_with('s') && !part.ends_with("ss") && !part.ends_with("us") {
            part.pop();
        }
    }
    if parts.iter().any(|p| words::TABLE_NOT.contains(&p.as_str())) {
        return None;
    }
    let joined = parts.join("_");
    let fits = |pattern: &str| {
        if pattern.is_ascii() {
            joined == pattern || joined.ends_with(&format!("_{pattern}"))
        } else {
            joined.ends_with(pattern)
        }
    };
    let mut found: Option<(&'static str, usize)> = None;
    for entry in words::TABLES {
        for pattern in entry.names.iter().filter(|p| fits(p)) {
            let weight = if pattern.is_ascii() { pattern.split('_').count() } else { pattern.chars().count() };
            if found.is_none_or(|(_, w)| weight > w) {
                found = Some((entry.dataset, weight));
            }
        }
    }
    found
}

fn of_table(table: &Table, engine: Engine) -> Option<Proposal<'_>> {
    let (name, weight) = dataset_of(&table.name)?;
    let dataset = schema::dataset(name)?;
    let mut filled = Vec::new();
    for key in dataset.key {
        filled.push(key_column(table, dataset, key, &filled)?);
    }
    for is_exact in [true, false] {
        for target in dataset.own_columns() {
            if filled.iter().any(|f| f.target.name == target.name) {
                continue;
            }
            let found = candidates(table, target.name, is_exact).find_map(|source| {
                let is_free = !filled.iter().any(|f| f.source.name == source.name);
                if is_free { fill(target, source, engine) } else { None }
            });
            filled.extend(found);
        }
    }
    // A table that only has a key and one more column says too little.
    if filled.len() < dataset.key.len() + 2 {
        return None;
    }
    let deleted = table.columns.iter().find(|c| has_word(&c.name, words::DELETED) && is_zero_or_one(c));
    if let (Some(source), Some(target)) = (deleted, dataset.column("is_deleted")) {
        filled.push(Filled {
            target,
            source,
            conversion: vec![FLAG.into()],
            codes: None,
            why: "its name, and nothing but 0 and 1 in it".into(),
        });
    }
    let constants = constants(dataset, &mut filled);
    let score = weight * 100 + filled.len();
    let why = format!("its name, and {} columns that fit", filled.len());
    Some(Proposal { dataset, table, why, filled, constants, score })
}

const FLAG: &str = "flag = { true = [\"1\"], false = [\"0\"], null = false }";

fn is_zero_or_one(column: &Column) -> bool {
    let shape = &column.shape;
    let numbers = shape.ints > 0 && shape.ints == shape.cells && shape.int_min >= 0 && shape.int_max <= 1;
    let codes =
        column.codes.as_ref().is_some_and(|c| !c.is_empty() && c.iter().all(|(code, _)| code == "0" || code == "1"));
    numbers || codes
}

/// Columns whose name is (or, in the second round, holds) one of the words for a canonical column, the surest first.
fn candidates<'p>(table: &'p Table, target: &str, is_exact: bool) -> impl Iterator<Item = &'p Column> {
    let entries: Vec<&'static str> =
        words::COLUMNS.iter().filter(|w| w.column == target).flat_map(|w| w.names.iter().copied()).collect();
    entries.into_iter().flat_map(move |word| {
        table.columns.iter().filter(move |c| {
            let joined = tokens(&c.name).join("_");
            if is_exact || joined == word {
                return is_exact && joined == word;
            }
            let is_long = word.contains('_') || !word.is_ascii();
            is_long && has_word(&c.name, &[word])
        })
    })
}

/// The column that may be a key: called so, else named like one and without a repeated value.
fn key_column<'p>(
    table: &'p Table,
    dataset: &'static Dataset,
    key: &'static str,
    taken: &[Filled<'p>],
) -> Option<Filled<'p>> {
    let target = dataset.column(key)?;
    let is_free = |c: &&Column| !taken.iter().any(|f| f.source.name == c.name) && is_writable(&c.name) && is_text(c);
    let is_unique = |c: &&Column| c.shape.cells == 0 || c.shape.distinct == c.shape.cells;
    let last = |c: &&Column| tokens(&c.name).pop().unwrap_or_default();
    let free = || table.columns.iter().filter(is_free);
    let owner = dataset.key.len() > 1 && *dataset.key.first()? == key;
    let named = if owner {
        // The first of two keys names the owner: an order of items.
        candidates(table, key, true).find(|c| is_free(c))
    } else {
        free()
            .find(|c| words::KEYS.contains(&tokens(&c.name).join("_").as_str()) && is_unique(c))
            .or_else(|| free().find(|c| is_unique(c) && words::KEY_ENDS.contains(&last(c).as_str())))
            .or_else(|| free().find(|c| is_unique(c) && (c.name.ends_with('号') || c.name.ends_with("编号"))))
    };
    let source = named?;
    let why = if owner { "its name" } else { "its name, and no value repeats in the rows looked at" };
    Some(Filled { target, source, conversion: raised(target, source), codes: None, why: why.into() })
}

fn is_text(column: &Column) -> bool {
    column.care != Care::Secret
        && matches!(column.family, Family::Integer | Family::Text | Family::Decimal | Family::Unknown)
        && column.shape.reals == 0
}

/// A class where the values need more care than the canonical column takes.
fn raised(target: &schema::Column, source: &Column) -> Vec<String> {
    let class = match source.care {
        Care::Contact | Care::Name => Class::Contact,
        Care::Customer => Class::CustomerId,
        Care::Sentence => Class::FreeText,
        Care::Secret | Care::None => return Vec::new(),
    };
    let is_reference = target.class == Class::BusinessId && source.care == Care::Name;
    let raises = target.ty == ColumnType::Text
        && target.vocabulary.is_none()
        && class.strength() > target.class.strength()
        // What the schema keeps in the clear by its meaning: names of shops, goods and modules.
        && !(target.class == Class::None && matches!(source.care, Care::Name | Care::Sentence))
        && !is_reference;
    if raises { vec![format!("class = \"{}\"", class.name())] } else { Vec::new() }
}

/// How a column fills a canonical one; `None` when what is in it does not fit.
fn fill<'p>(target: &'static schema::Column, source: &'p Column, engine: Engine) -> Option<Filled<'p>> {
    if !is_writable(&source.name) || source.care == Care::Secret {
        return None;
    }
    let plain = |conversion: Vec<String>, why: String| Some(Filled { target, source, conversion, codes: None, why });
    if target.unit().is_some() {
        let (conversion, why) = money(source)?;
        return plain(vec![format!("money = \"{conversion}\"")], why);
    }
    match target.ty {
        ColumnType::Instant => {
            let (conversion, why) = time(source, engine)?;
            plain(vec![conversion], why)
        }
        ColumnType::Date => {
            let is_day = source.family == Family::Date || source.shape.all(source.shape.days);
            if is_day {
                return plain(vec!["time = \"date\"".into()], "days".into());
            }
            let (conversion, why) = time(source, engine)?;
            plain(vec![conversion], why)
        }
        ColumnType::Bool => is_zero_or_one(source)
            .then_some(())
            .and_then(|()| plain(vec![FLAG.into()], "nothing but 0 and 1 in it".into())),
        ColumnType::Int => {
            let fits = source.family == Family::Integer && source.shape.reals + source.shape.texts == 0;
            if fits { plain(Vec::new(), "whole numbers".into()) } else { None }
        }
        ColumnType::Decimal(_) if target.name == "quantity" => {
            let fits = matches!(source.family, Family::Integer | Family::Decimal)
                && source.shape.texts == source.shape.decimals;
            if fits { plain(Vec::new(), "numbers".into()) } else { None }
        }
        ColumnType::Decimal(_) => None,
        ColumnType::Text if target.vocabulary.is_some() => {
            let codes = source.codes.as_deref().filter(|c| !c.is_empty())?;
            let why = format!("{} distinct codes in the whole table", codes.len());
            Some(Filled { target, source, conversion: Vec::new(), codes: Some(codes), why })
        }
        ColumnType::Text => {
            let is_time = source.shape.texts > 0 && source.shape.texts == source.shape.times + source.shape.zoned_times;
            if !is_text(source) || is_time {
                return None;
            }
            plain(raised(target, source), "its name".into())
        }
    }
}

fn money(source: &Column) -> Option<(&'static str, String)> {
    let shape = &source.shape;
    if has_word(&source.name, &["fen", "cent", "cents", "分"]) && shape.ints == shape.cells {
        return Some(("fen", "its name says so, and it holds whole numbers".into()));
    }
    match source.family {
        Family::Decimal | Family::Float => Some(("yuan", format!("decimal numbers ({})", source.type_name))),
        Family::Text if shape.all(shape.decimals + shape.digits) => {
            Some(("text_yuan", "texts that are decimals".into()))
        }
        // SQLite stores whole decimals as integers, whatever the column says.
        _ if shape.reals > 0 => Some(("yuan", "numbers with fractions".into())),
        Family::Integer | Family::Unknown if shape.ints == shape.cells && !is_epoch(source, 1) => {
            let digits = shape.int_max.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
            let why = format!(
                "whole numbers of up to {digits} digits; fen is usual, but whole yuan exist: compare one with a receipt"
            );
            Some(("fen", why))
        }
        _ => None,
    }
}

/// Whether whole numbers lie where seconds (or their multiple) between 2001 and 2100 lie.
fn is_epoch(source: &Column, factor: i64) -> bool {
    let shape = &source.shape;
    let least = if shape.int_min == 0 { 0 } else { 1_000_000_000 * factor };
    shape.ints > 0
        && shape.int_min >= least
        && shape.int_max >= 1_000_000_000 * factor
        && shape.int_max < 4_102_444_800 * factor
}

fn time(source: &Column, engine: Engine) -> Option<(String, String)> {
    let shape = &source.shape;
    let say = |word: &str, why: &str| Some((format!("time = \"{word}\""), why.to_owned()));
    match source.family {
        Family::Instant if engine == Engine::MySql => {
            return say("session", "TIMESTAMP follows the session's zone, which is UTC while sealing");
        }
        Family::Instant => return say("utc", "the type carries a zone"),
        Family::Date => return say("local", "days without a time"),
        Family::LocalTime if engine != Engine::Sqlite => return say("local", "the type carries no zone"),
        Family::Bytes | Family::Bool | Family::TimeOfDay | Family::Float => return None,
        _ => {}
    }
    if shape.ints > 0 && shape.texts == 0 {
        return if is_epoch(source, 1_000) {
            say("epoch_ms", "whole numbers in the range of milliseconds since 1970")
        } else if is_epoch(source, 1) {
            say("epoch_s", "whole numbers in the range of seconds since 1970")
        } else {
            None
        };
    }
    if shape.all(shape.zoned_times) {
        say("utc", "texts with an offset")
    } else if shape.all(shape.times + shape.days) {
        say("local", "texts of local dates and times")
    } else if shape.all(shape.ten_digits) {
        say("epoch_s_text", "texts of ten digits: seconds since 1970")
    } else if shape.all(shape.fourteen_digits) {
        Some(("time = \"pattern\", pattern = \"yyyyMMddHHmmss\"".into(), "texts of fourteen digits".into()))
    } else if shape.cells == 0 && source.family == Family::LocalTime {
        say("local", "its type; there is no value to look at")
    } else {
        None
    }
}

/// What the dataset wants and no column gives: a currency, and whose identifiers the rows hold.
fn constants(dataset: &'static Dataset, filled: &mut Vec<Filled<'_>>) -> Vec<Constant> {
    let mut out = Vec::new();
    let has = |filled: &[Filled<'_>], name: &str| filled.iter().any(|f| f.target.name == name);
    if dataset.column("currency").is_some() {
        out.push(Constant { column: "currency", value: "CNY", why: "no column was recognised as a currency" });
    }
    let mut actors: Vec<&'static str> = Vec::new();
    for f in filled.iter() {
        if let Class::PerRow(actor) = f.target.class
            && !has(filled, actor)
            && !actors.contains(&actor)
        {
            actors.push(actor);
        }
    }
    for actor in actors {
        let words = dataset.column(actor).and_then(|c| c.vocabulary).unwrap_or_default();
        if words.contains(&"staff") {
            out.push(Constant {
                column: actor,
                value: "staff",
                why: "nobody is left unprotected: whoever it is counts as staff until you say otherwise",
            });
        } else {
            filled.retain(|f| f.target.class != Class::PerRow(actor));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of tables, as different systems write them, lead to the dataset a person would say.
    #[test]
    fn tables_by_name() {
        for (name, expected) in [
            ("t_order", Some("trade_orders")),
            ("litemall_order", Some("trade_orders")),
            ("shop_orders", Some("trade_orders")),
            ("order_goods", Some("order_items")),
            ("t_refund_order", Some("refunds")),
            ("order_refund", Some("refunds")),
            ("pay_order", Some("payments")),
            ("public.payments", Some("payments")),
            ("dingdan", Some("trade_orders")),
            ("订单", Some("trade_orders")),
            ("会员表", Some("customers")),
            ("sys_user", Some("staff")),
            ("member_user", Some("customers")),
            ("user_address", None),
            ("sys_config", None),
            ("goods", None),
        ] {
            assert_eq!(dataset_of(name).map(|(d, _)| d), expected, "{name}");
        }
    }

    /// Every word names a dataset or column of the schema.
    #[test]
    fn words_name_the_schema() {
        for entry in words::TABLES {
            assert!(schema::dataset(entry.dataset).is_some(), "{}", entry.dataset);
        }
        for entry in words::COLUMNS {
            assert!(schema::datasets().any(|d| d.column(entry.column).is_some()), "{}", entry.column);
        }
    }
}
