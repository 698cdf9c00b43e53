//! What a table holds: its columns, key and retention, and the schema document that travels with the rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::json::{self, Members};
use super::layout::{self, COLUMNS_MAX};
use crate::schema::{self, Class, ColumnType, Dataset, Raised};

/// Type of a column in format 1.0 (archive format, section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafType {
    /// UTF-8 text.
    String,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit unsigned integer.
    UInt64,
    /// Decimal of so many digits, so many of them after the point.
    Decimal(u8, i8),
    /// Truth value.
    Bool,
    /// Calendar date, years 1 to 9999.
    Date,
    /// Instant with microseconds.
    TimestampUtc,
    /// Date and time without zone, as a source table spelled it; only in `raw_` tables.
    DatetimeLocal,
    /// Bytes.
    Binary,
}

impl LeafType {
    /// Name in schema documents.
    pub fn name(self) -> String {
        match self {
            Self::String => "string".into(),
            Self::Int64 => "int64".into(),
            Self::UInt64 => "uint64".into(),
            Self::Decimal(p, s) => format!("decimal({p},{s})"),
            Self::Bool => "bool".into(),
            Self::Date => "date".into(),
            Self::TimestampUtc => "timestamp_us_utc".into(),
            Self::DatetimeLocal => "datetime_us_local".into(),
            Self::Binary => "binary".into(),
        }
    }

    /// Reads the name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "int64" => Self::Int64,
            "uint64" => Self::UInt64,
            "bool" => Self::Bool,
            "date" => Self::Date,
            "timestamp_us_utc" => Self::TimestampUtc,
            "datetime_us_local" => Self::DatetimeLocal,
            "binary" => Self::Binary,
            _ => {
                let (p, s) = name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
                let (p, s): (u8, i8) = (p.parse().ok()?, s.parse().ok()?);
                let decimal = Self::Decimal(p, s);
                let fits = (1..=38).contains(&p) && s >= 0 && s.unsigned_abs() <= p;
                return (fits && decimal.name() == name).then_some(decimal);
            }
        })
    }

    /// Arrow type of the column.
    pub fn arrow(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Int64 => DataType::Int64,
            Self::UInt64 => DataType::UInt64,
            Self::Decimal(p, s) => DataType::Decimal128(p, s),
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::DatetimeLocal => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Binary => DataType::Binary,
        }
    }
}

impl From<ColumnType> for LeafType {
    fn from(ty: ColumnType) -> Self {
        match ty {
            ColumnType::Text => Self::String,
            ColumnType::Int => Self::Int64,
            ColumnType::Bool => Self::Bool,
            ColumnType::Date => Self::Date,
            ColumnType::Instant => Self::TimestampUtc,
            ColumnType::Decimal(scale) => Self::Decimal(18, scale),
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: LeafType,
    /// Whether NULL occurs.
    pub nullable: bool,
    /// Identity class (canonical schema, section 2.5).
    pub class: String,
    /// For class `per_row`: the column that decides.
    pub class_by: Option<String>,
    /// Unit of a number.
    pub unit: Option<String>,
    /// Whether an amount may be negative.
    pub is_signed: bool,
    /// Closed vocabulary.
    pub vocabulary: Option<Vec<String>>,
    /// For a column of a raw table: its name and declared type in the source (the type may be empty).
    pub source: Option<(String, String)>,
}

/// One table as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Table id.
    pub name: String,
    /// Name as the source spells it; the id again for canonical tables.
    pub source_name: String,
    /// Version of the canonical schema; `None` for raw tables.
    pub canonical_version: Option<String>,
    /// Columns in archive order.
    pub columns: Vec<ColumnSpec>,
    /// Declared key.
    pub key: Vec<String>,
    /// Retention class and the column whose day starts the period.
    pub retention: Option<(String, Option<String>)>,
}

impl TableSpec {
    /// The table of a canonical dataset.
    pub fn of(dataset: &Dataset) -> Self {
        let columns = dataset
            .columns
            .iter()
            .map(|c| ColumnSpec {
                name: c.name.into(),
                ty: c.ty.into(),
                nullable: c.nullable,
                class: c.class.name().into(),
                class_by: match c.class {
                    Class::PerRow(by) => Some(by.into()),
                    _ => None,
                },
                unit: c.unit().map(Into::into),
                is_signed: c.is_signed(),
                vocabulary: c.vocabulary.map(|v| v.iter().map(|w| (*w).to_owned()).collect()),
                source: None,
            })
            .collect();
        Self {
            name: dataset.name.into(),
            source_name: dataset.name.into(),
            canonical_version: Some(schema::VERSION.into()),
            columns,
            key: dataset.key.iter().map(|k| (*k).to_owned()).collect(),
            retention: Some((dataset.retention.into(), dataset.anchor.map(Into::into))),
        }
    }

    /// The same table with the classes that a mapping made stronger.
    pub fn raised(mut self, raised: &Raised) -> Self {
        for (name, class) in raised.iter() {
            if let Some(column) = self.columns.iter_mut().find(|c| c.name == name) {
                column.class = class.name().into();
                column.class_by = None;
            }
        }
        self
    }

    /// Arrow schema, without metadata.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(|c| Field::new(&c.name, c.ty.arrow(), c.nullable)).collect();
        Arc::new(Schema::new(fields))
    }

    /// Positions of the key columns.
    pub(crate) fn key_indices(&self) -> Vec<usize> {
        self.key.iter().filter_map(|k| self.columns.iter().position(|c| c.name == *k)).collect()
    }

    /// Checks names and limits.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let name = |name: &str, what| {
            if layout::is_identifier(name) { Ok(()) } else { Err(Error::Name { name: name.into(), what }) }
        };
        name(&self.name, "table id")?;
        if self.columns.is_empty() || self.columns.len() > COLUMNS_MAX {
            return Err(Error::Limit {
                what: format!("column count of table `{}`", self.name),
                limit: COLUMNS_MAX as u64,
            });
        }
        let mut seen = std::collections::BTreeSet::new();
        for c in &self.columns {
            name(&c.name, "column name")?;
            if !seen.insert(&c.name) {
                return Err(Error::Twice { name: c.name.clone() });
            }
            if c.ty == LeafType::DatetimeLocal && !self.name.starts_with(layout::RAW_PREFIX) {
                return Err(Error::Name { name: c.name.clone(), what: "local time column (only in raw tables)" });
            }
        }
        match self.key.iter().find(|k| !seen.contains(k)) {
            Some(missing) => Err(Error::Name { name: missing.clone(), what: "key column" }),
            None => Ok(()),
        }
    }
}

/// In which order the rows of a table stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// As the source delivered them.
    Source,
    /// Strictly ascending by key: integers by value, text by bytes.
    Key,
}

impl RowOrder {
    fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Key => "key",
        }
    }
}

/// The schema document of a table: what was declared, and what the sealer proved about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// What was declared.
    pub spec: TableSpec,
    /// Whether the key was proved to be unique.
    pub is_key_unique: bool,
    /// Order of the rows.
    pub order: RowOrder,
}

impl TableSchema {
    /// The document's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let spec = &self.spec;
        let columns: Vec<Value> = spec
            .columns
            .iter()
            .map(|c| {
                let mut m = Map::new();
                m.insert("name".into(), json!(c.name));
                m.insert("type".into(), json!(c.ty.name()));
                m.insert("nullable".into(), json!(c.nullable));
                m.insert("class".into(), json!(c.class));
                if let Some(by) = &c.class_by {
                    m.insert("classBy".into(), json!(by));
                }
                if let Some(unit) = &c.unit {
                    m.insert("unit".into(), json!(unit));
                }
                if c.is_signed {
                    m.insert("signed".into(), json!(true));
                }
                if let Some(words) = &c.vocabulary {
                    m.insert("vocabulary".into(), json!(words));
                }
                if let Some((name, ty)) = &c.source {
                    m.insert("sourceName".into(), json!(name));
                    m.insert("sourceType".into(), json!(ty));
                }
                Value::Object(m)
            })
            .collect();
        let mut m = Map::new();
        m.insert("name".into(), json!(spec.name));
        m.insert("sourceName".into(), json!(spec.source_name));
        m.insert("columns".into(), Value::Array(columns));
        m.insert("key".into(), json!(spec.key));
        m.insert("order".into(), json!(self.order.name()));
        if self.is_key_unique {
            m.insert("primaryKey".into(), json!(spec.key));
        }
        if let Some(version) = &spec.canonical_version {
            m.insert("canonicalVersion".into(), json!(version));
        }
        if let Some((class, anchor)) = &spec.retention {
            m.insert("retention".into(), json!({"class": class, "anchor": anchor}));
        }
        json::canonical(&Value::Object(m))
    }

    /// Reads a schema document; unknown members are ignored.
    ///
    /// # Errors
    /// What is wrong, as text.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let m = json::parse_object(bytes).map_err(|e| e.to_string())?;
        let columns = m
            .list("columns")?
            .iter()
            .map(|c| column_from(c.as_object().ok_or("a column is not an object")?))
            .collect::<Result<Vec<_>, String>>()?;
        let order = match m.text("order")? {
            "source" => RowOrder::Source,
            "key" => RowOrder::Key,
            _ => return Err("`order` is neither `source` nor `key`".into()),
        };
        let key = texts(m.list("key")?)?;
        let is_key_unique = match m.get("primaryKey") {
            None => false,
            Some(Value::Array(list)) if texts(list)? == key && !key.is_empty() => true,
            Some(_) => return Err("`primaryKey` is not the declared key".into()),
        };
        if order == RowOrder::Key && !is_key_unique {
            return Err("`order` is `key` but no `primaryKey` is claimed".into());
        }
        let retention = match m.get("retention") {
            None => None,
            Some(Value::Object(r)) => {
                Some((r.text("class")?.to_owned(), r.text_or_null("anchor")?.map(ToOwned::to_owned)))
            }
            Some(_) => return Err("`retention` is not an object".into()),
        };
        let spec = TableSpec {
            name: m.text("name")?.into(),
            source_name: m.text("sourceName")?.into(),
            canonical_version: m.text_or_null("canonicalVersion")?.map(Into::into),
            columns,
            key,
            retention,
        };
        spec.validate().map_err(|e| e.to_string())?;
        Ok(Self { spec, is_key_unique, order })
    }
}

fn texts(list: &[Value]) -> Result<Vec<String>, String> {
    list.iter()
        .map(|v| v.as_str().map(ToOwned::to_owned).ok_or_else(|| "a list holds something that is not text".into()))
        .collect()
}

fn column_from(m: &Map<String, Value>) -> Result<ColumnSpec, String> {
    let ty = m.text("type")?;
    Ok(ColumnSpec {
        name: m.text("name")?.into(),
        ty: LeafType::from_name(ty).ok_or_else(|| format!("type `{ty}` is not one of the format's"))?,
        nullable: m.get("nullable").and_then(Value::as_bool).ok_or("`nullable` is not true or false")?,
        class: m.text("class")?.into(),
        class_by: m.text_or_null("classBy")?.map(Into::into),
        unit: m.text_or_null("unit")?.map(Into::into),
        is_signed: m.get("signed").is_some_and(|v| v == &Value::Bool(true)),
        vocabulary: match m.get("vocabulary") {
            None => None,
            Some(Value::Array(list)) => Some(texts(list)?),
            Some(_) => return Err("`vocabulary` is not a list".into()),
        },
        source: match m.text_or_null("sourceName")? {
            None => None,
            Some(name) => Some((name.into(), m.text_or_null("sourceType")?.unwrap_or_default().into())),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every canonical dataset's document reads back as it was written.
    #[test]
    fn documents_round_trip() {
        for dataset in schema::datasets() {
            let schema = TableSchema { spec: TableSpec::of(dataset), is_key_unique: true, order: RowOrder::Key };
            assert_eq!(TableSchema::from_bytes(&schema.to_bytes()).unwrap(), schema, "{}", dataset.name);
            assert_eq!(schema.spec.arrow_schema(), dataset.arrow_schema());
        }
        assert_eq!(LeafType::from_name("decimal(38,10)"), Some(LeafType::Decimal(38, 10)));
        for bad in ["decimal(39,0)", "decimal(5,6)", "decimal(05,2)", "double", ""] {
            assert_eq!(LeafType::from_name(bad), None, "{bad}");
        }
    }
}
