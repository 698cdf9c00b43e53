//! The statement of an archive: what is signed. Written from the seal's inputs, read strictly.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::chain::Previous;
use super::json::{self, Members};
use super::keyring::instant;
use super::layout::{self, TABLES_MAX};
use crate::model::Digest;

/// Type of every statement.
pub(crate) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub(crate) const LEAF_ENCODING: &str = "row-jcs-v1";
pub(crate) const TREE_HASH: &str = "rfc6962-sha256";

/// One table as the statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStatement {
    /// Table id.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Root of the row tree.
    pub root: Digest,
    /// Digest of the schema document.
    pub schema: Digest,
    /// Origin of the checkpoint note.
    pub checkpoint_origin: String,
}

/// The signed description of an archive.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Archive URN.
    pub archive_id: String,
    /// Stream of archives it belongs to.
    pub stream: String,
    /// Number in the stream, from 1.
    pub sequence: u64,
    /// The archive before it.
    pub previous: Option<Previous>,
    /// When the signer says it was made.
    pub created_at: DateTime<Utc>,
    /// First covered instant.
    pub covered_from: DateTime<Utc>,
    /// End of coverage, excluded.
    pub covered_to: DateTime<Utc>,
    /// Zone of its local dates.
    pub zone: Tz,
    /// Whether it is a draft, not meant as evidence.
    pub is_draft: bool,
    /// Bytes of the payload.
    pub payload_octets: u64,
    /// Files of the payload.
    pub payload_files: u64,
    /// Tables, in the statement's order.
    pub tables: Vec<TableStatement>,
    /// Digest of `tagmanifest-sha256.txt`: the archive digest.
    pub tagmanifest: Digest,
    /// The whole predicate, for members this version does not know.
    pub predicate: Map<String, Value>,
}

/// Why a statement was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadStatement {
    Type(String),
    Unsupported(String),
    Critical(String),
    Subject(String),
    Limit(String),
    Field(String),
}

/// Any in-toto statement: subjects and predicate.
pub(crate) struct Generic {
    pub(crate) predicate_type: String,
    pub(crate) subjects: Vec<(String, Map<String, Value>)>,
    pub(crate) predicate: Map<String, Value>,
}

impl Generic {
    pub(crate) fn from_bytes(payload: &[u8]) -> Result<Self, BadStatement> {
        let field = BadStatement::Field;
        let m = json::parse_object(payload).map_err(|e| field(e.to_string()))?;
        let ty = m.text("_type").map_err(field)?;
        if ty != STATEMENT_TYPE {
            return Err(BadStatement::Type(format!("`_type` is `{ty}`")));
        }
        let subjects = m
            .list("subject")
            .map_err(field)?
            .iter()
            .map(|s| {
                let s = s.as_object().ok_or("a subject is not an object")?;
                Ok((s.text("name")?.to_owned(), s.object("digest")?.clone()))
            })
            .collect::<Result<Vec<_>, String>>()
            .map_err(BadStatement::Subject)?;
        Ok(Self {
            predicate_type: m.text("predicateType").map_err(field)?.into(),
            subjects,
            predicate: m.object("predicate").map_err(field)?.clone(),
        })
    }

    /// SHA-256 of the one subject, which must have this name.
    pub(crate) fn sole_subject(&self, name: &str) -> Result<Digest, BadStatement> {
        let [(subject, digest)] = self.subjects.as_slice() else {
            return Err(BadStatement::Subject(format!(
                "the statement names {} subjects, not one",
                self.subjects.len()
            )));
        };
        if subject != name || digest.len() != 1 {
            return Err(BadStatement::Subject(format!("the subject is not `{name}` with `sha256` alone")));
        }
        sha256_of(digest).map_err(BadStatement::Subject)
    }

    /// Checks format version and critical members.
    pub(crate) fn check_version(&self) -> Result<(), BadStatement> {
        let version = self.predicate.text("formatVersion").map_err(BadStatement::Field)?;
        let minor = version.strip_prefix("1.").filter(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()));
        if minor.is_none() {
            return Err(BadStatement::Unsupported(format!("format version `{version}`")));
        }
        match self.predicate.list("critical").map_err(BadStatement::Field)?.first() {
            None => Ok(()),
            Some(Value::String(name)) if is_known(name) => Ok(()),
            Some(name) => Err(BadStatement::Critical(format!("{name} must be understood and is not"))),
        }
    }
}

fn is_known(member: &str) -> bool {
    const KNOWN: [&str; 18] = [
        "archiveId",
        "canonicalVersion",
        "controlTotals",
        "coverage",
        "createdAt",
        "critical",
        "custodian",
        "draft",
        "formatVersion",
        "keyring",
        "organisation",
        "payload",
        "previous",
        "producer",
        "pseudonymisation",
        "sequence",
        "stream",
        "tables",
    ];
    KNOWN.contains(&member)
}

fn sha256_of(digest: &Map<String, Value>) -> Result<Digest, String> {
    digest.text("sha256")?.parse().map_err(|_| "`sha256` is not 64 lower-case hex digits".to_owned())
}

impl Statement {
    /// Reads the payload of an archive's statement.
    pub(crate) fn from_bytes(payload: &[u8]) -> Result<Self, BadStatement> {
        let generic = Generic::from_bytes(payload)?;
        if generic.predicate_type != super::BAG_PREDICATE {
            let prefix = super::BAG_PREDICATE.trim_end_matches('1');
            return Err(if generic.predicate_type.starts_with(prefix) {
                BadStatement::Unsupported(format!("predicate type `{}`", generic.predicate_type))
            } else {
                BadStatement::Type(format!("predicate type `{}`", generic.predicate_type))
            });
        }
        generic.check_version()?;
        let tagmanifest = generic.sole_subject(layout::TAGMANIFEST)?;
        let p = generic.predicate;
        if p.list("tables").map_err(BadStatement::Field)?.len() > TABLES_MAX {
            return Err(BadStatement::Limit(format!("more than {TABLES_MAX} tables")));
        }
        let statement = Self::from_predicate(p, tagmanifest)?;
        Ok(statement)
    }

    fn from_predicate(p: Map<String, Value>, tagmanifest: Digest) -> Result<Self, BadStatement> {
        let field = BadStatement::Field;
        let archive_id = p.text("archiveId").map_err(field)?.to_owned();
        if layout::uuid_of(&archive_id).is_none() {
            return Err(field(format!("`archiveId` is `{archive_id}`, not a UUID URN")));
        }
        let mut names = BTreeSet::new();
        let mut tables = Vec::new();
        for t in p.list("tables").map_err(field)? {
            let table = table_from(t, &archive_id)?;
            if !names.insert(table.name.clone()) {
                return Err(field(format!("table `{}` occurs twice", table.name)));
            }
            tables.push(table);
        }
        let read = || -> Result<Self, String> {
            let coverage = p.object("coverage")?;
            let (covered_from, covered_to) = (instant(coverage.text("from")?)?, instant(coverage.text("to")?)?);
            if covered_from >= covered_to {
                return Err("coverage ends before it begins".into());
            }
            let zone = coverage.text("businessTimeZone")?;
            let stream = p.text("stream")?;
            let is_draft = match p.get("draft") {
                None | Some(Value::Bool(false)) => false,
                Some(Value::Bool(true)) => true,
                Some(_) => return Err("`draft` is not true or false".into()),
            };
            if stream.is_empty() || stream.ends_with(".draft") != is_draft {
                return Err(format!("stream `{stream}` and the draft mark contradict each other"));
            }
            let sequence = p.integer("sequence")?;
            let previous = match p.get("previous") {
                Some(Value::Null) => None,
                Some(Value::Object(m)) => Some(Previous {
                    archive_id: m.text("archiveId")?.into(),
                    statement_sha256: m
                        .text("statementSha256")?
                        .parse()
                        .map_err(|_| "`statementSha256` is not a digest")?,
                }),
                _ => return Err("`previous` is neither an object nor null".into()),
            };
            if sequence == 0 || (sequence == 1) != previous.is_none() {
                return Err("`sequence` and `previous` contradict each other".into());
            }
            let payload = p.object("payload")?;
            for member in ["pseudonymisation", "producer", "keyring"] {
                p.object(member)?;
            }
            Ok(Self {
                stream: stream.into(),
                sequence,
                previous,
                created_at: instant(p.text("createdAt")?)?,
                covered_from,
                covered_to,
                zone: zone.parse().map_err(|_| format!("`{zone}` is not a known time zone"))?,
                is_draft,
                payload_octets: payload.integer("octets")?,
                payload_files: payload.integer("files")?,
                archive_id: archive_id.clone(),
                tables: Vec::new(),
                tagmanifest,
                predicate: Map::new(),
            })
        };
        let mut statement = read().map_err(field)?;
        statement.tables = tables;
        statement.predicate = p;
        Ok(statement)
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&TableStatement> {
        self.tables.iter().find(|t| t.name == name)
    }
}

fn table_from(value: &Value, archive_id: &str) -> Result<TableStatement, BadStatement> {
    let field = BadStatement::Field;
    let m = value.as_object().ok_or_else(|| field("a table is not an object".into()))?;
    let name = m.text("name").map_err(field)?;
    if !layout::is_identifier(name) {
        return Err(field(format!("`{name}` is not a table id")));
    }
    for (member, known) in [("leafEncoding", LEAF_ENCODING), ("treeHash", TREE_HASH)] {
        let value = m.text(member).map_err(field)?;
        if value != known {
            return Err(BadStatement::Unsupported(format!("table `{name}`: `{member}` is `{value}`")));
        }
    }
    let read = || -> Result<TableStatement, String> {
        let schema = m.object("schema")?;
        if schema.text("name")? != layout::schema_path(name) {
            return Err(format!("table `{name}`: the schema document is not `{}`", layout::schema_path(name)));
        }
        let origin = m.text("checkpointOrigin")?;
        if origin != layout::checkpoint_origin(archive_id, name) {
            return Err(format!("table `{name}`: the checkpoint origin does not name this archive and table"));
        }
        Ok(TableStatement {
            name: name.into(),
            rows: m.integer("rows")?,
            root: m.text("rootHash")?.parse().map_err(|_| "`rootHash` is not 64 lower-case hex digits")?,
            schema: sha256_of(schema.object("digest")?)?,
            checkpoint_origin: origin.into(),
        })
    };
    read().map_err(field)
}
