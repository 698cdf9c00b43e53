//! The keyring: which public keys are trusted for what. It always comes from outside the archive.
//!
//! The file `keyring.json` is the payload of archive format section 6.2. Signed envelopes of root keys may lie beside
//! it later; rotation is not evaluated here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::error::Error;
use super::json::{self, Members};
use super::layout;
use crate::crypto::{self, PublicKey};
use crate::fsio;
use crate::model::Digest;

const BYTES_MAX: u64 = 4 << 20;

/// What a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Statements, as the one who makes archives.
    Producer,
    /// Statements, as the second person.
    Custodian,
    /// Checkpoint notes.
    Checkpoint,
}

impl Role {
    /// Name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Custodian => "custodian",
            Self::Checkpoint => "checkpoint",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Producer, Self::Custodian, Self::Checkpoint].into_iter().find(|r| r.name() == name)
    }
}

/// Whether a key is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// In use.
    Active,
    /// No longer used; old signatures stand if they can be dated.
    Retired,
    /// Stolen or lost.
    Revoked,
}

impl KeyStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}

/// One key of the keyring.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// `ed25519` or `sm2`; decides how signatures are checked.
    pub alg: String,
    /// DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Who holds the private half: an organisation or a role.
    pub holder: String,
    /// What it may sign.
    pub roles: Vec<Role>,
    /// Not valid before this instant.
    pub not_before: Option<DateTime<Utc>>,
    /// Not valid after this instant; keys have none by default.
    pub not_after: Option<DateTime<Utc>>,
    /// Whether it is in use.
    pub status: KeyStatus,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Signatures from here on are worthless.
    pub invalid_since: Option<DateTime<Utc>>,
    /// Why it was revoked or retired.
    pub reason: Option<String>,
}

impl KeyRecord {
    /// The key, if it is one that may be used at all (archive format, section 6.3).
    ///
    /// # Errors
    /// As [`PublicKey::from_spki_der`]; other algorithms than Ed25519 are refused.
    pub fn admit(&self) -> Result<PublicKey, crypto::Error> {
        if self.alg != "ed25519" {
            return Err(crypto::Error::BadKey { expected: "an Ed25519 key (other algorithms are not supported yet)" });
        }
        PublicKey::from_spki_der(&self.spki)
    }
}

/// The trusted keys.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// Version, from 1.
    pub version: u64,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// Keys by key id.
    pub keys: BTreeMap<String, KeyRecord>,
    /// How many holders must sign in each role.
    pub thresholds: BTreeMap<Role, u64>,
    bytes: Vec<u8>,
}

impl Keyring {
    /// A keyring of one producer key and one checkpoint key, threshold 1 each.
    ///
    /// # Errors
    /// [`Error::Key`] when a key cannot be encoded; [`Error::Spec`] when both keys are the same.
    pub fn create(
        producer: &PublicKey,
        checkpoint: &PublicKey,
        holder: &str,
        issued_at: DateTime<Utc>,
    ) -> Result<Self, Error> {
        if producer == checkpoint {
            return Err(Error::Spec { problem: "the checkpoint key must differ from the producer key".into() });
        }
        let record = |key: &PublicKey, role| -> Result<(String, KeyRecord), Error> {
            let record = KeyRecord {
                alg: "ed25519".into(),
                spki: key.spki_der()?,
                holder: holder.into(),
                roles: vec![role],
                not_before: None,
                not_after: None,
                status: KeyStatus::Active,
                revoked_at: None,
                invalid_since: None,
                reason: None,
            };
            Ok((key.key_id(), record))
        };
        let mut ring = Self {
            version: 1,
            issued_at,
            keys: BTreeMap::from([record(producer, Role::Producer)?, record(checkpoint, Role::Checkpoint)?]),
            thresholds: BTreeMap::from([(Role::Producer, 1), (Role::Checkpoint, 1)]),
            bytes: Vec::new(),
        };
        ring.bytes = ring.encode();
        Ok(ring)
    }

    /// Reads `keyring.json`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fsio::read_bounded(path, BYTES_MAX)?;
        Self::from_bytes(&bytes).map_err(|problem| Error::Malformed { path: path.into(), problem })
    }

    /// Reads the file's bytes.
    ///
    /// # Errors
    /// What is wrong, as text.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let m = json::parse_object(bytes.trim_ascii_end()).map_err(|e| e.to_string())?;
        let mut keys = BTreeMap::new();
        for (id, record) in m.object("keys")? {
            if !layout::is_hex(id, 64) {
                return Err(format!("`{id}` is not a key id"));
            }
            let record = record.as_object().ok_or("a key is not an object")?;
            keys.insert(id.clone(), record_from(record)?);
        }
        let mut thresholds = BTreeMap::new();
        for (name, role) in m.object("roles")? {
            let role_name = Role::from_name(name).ok_or_else(|| format!("role `{name}` is unknown"))?;
            let threshold = role.as_object().ok_or("a role is not an object")?.integer("threshold")?;
            if threshold == 0 {
                return Err(format!("the threshold of role `{name}` is 0"));
            }
            thresholds.insert(role_name, threshold);
        }
        if !thresholds.contains_key(&Role::Producer) || !thresholds.contains_key(&Role::Checkpoint) {
            return Err("roles `producer` and `checkpoint` are missing".into());
        }
        let version = m.integer("version")?;
        let issued_at = instant(m.text("issuedAt")?)?;
        Ok(Self { version, issued_at, keys, thresholds, bytes: bytes.to_vec() })
    }

    /// The file's bytes, as read or as created.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the file, named in every statement.
    pub fn digest(&self) -> Digest {
        crypto::sha256(&self.bytes)
    }

    /// Writes `keyring.json`, and PEM copies `<key id>.pem` per statement key and `checkpoint.pem`, for verification
    /// without this program.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Key`].
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        fs::create_dir_all(dir).map_err(|e| fsio::Error::io("create", dir, e))?;
        for (id, record) in &self.keys {
            let name =
                if record.roles.contains(&Role::Checkpoint) { "checkpoint.pem".into() } else { format!("{id}.pem") };
            fsio::write_atomic(&dir.join(name), record.admit()?.to_pem()?.as_bytes())?;
        }
        fsio::write_atomic(&dir.join("keyring.json"), &self.bytes)?;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let keys: Map<String, Value> = self
            .keys
            .iter()
            .map(|(id, k)| {
                let roles: Vec<&str> = k.roles.iter().map(|r| r.name()).collect();
                let record = json!({
                    "alg": k.alg, "spki": BASE64.encode(&k.spki), "holder": k.holder, "roles": roles,
                    "notBefore": optional(k.not_before), "notAfter": optional(k.not_after), "status": k.status.name(),
                    "revokedAt": optional(k.revoked_at), "invalidSince": optional(k.invalid_since), "reason": k.reason,
                });
                (id.clone(), record)
            })
            .collect();
        let roles: Map<String, Value> =
            self.thresholds.iter().map(|(role, n)| (role.name().to_owned(), json!({"threshold": n}))).collect();
        let mut bytes = json::canonical(&json!({
            "version": self.version, "issuedAt": spell(self.issued_at), "rootThreshold": 0, "rootKeys": [],
            "keys": keys, "roles": roles, "tsaRoots": [],
        }));
        bytes.push(b'\n');
        bytes
    }
}

fn record_from(m: &Map<String, Value>) -> Result<KeyRecord, String> {
    let time = |name: &str| m.text_or_null(name)?.map(instant).transpose();
    let roles = m
        .list("roles")?
        .iter()
        .map(|r| r.as_str().and_then(Role::from_name).ok_or_else(|| "a role is unknown".to_owned()))
        .collect::<Result<_, _>>()?;
    Ok(KeyRecord {
        alg: m.text("alg")?.into(),
        spki: BASE64.decode(m.text("spki")?.as_bytes()).map_err(|_| "`spki` is not base64")?,
        holder: m.text("holder")?.into(),
        roles,
        not_before: time("notBefore")?,
        not_after: time("notAfter")?,
        status: match m.text("status")? {
            "active" => KeyStatus::Active,
            "retired" => KeyStatus::Retired,
            "revoked" => KeyStatus::Revoked,
            other => return Err(format!("status `{other}` is unknown")),
        },
        revoked_at: time("revokedAt")?,
        invalid_since: time("invalidSince")?,
        reason: m.text_or_null("reason")?.map(Into::into),
    })
}

fn optional(at: Option<DateTime<Utc>>) -> Option<String> {
    at.map(spell)
}

/// RFC 3339 in UTC with whole seconds.
pub(crate) fn spell(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads `YYYY-MM-DDTHH:MM:SSZ` and nothing else.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|t| t.with_timezone(&Utc))
        .ok()
        .filter(|t| spell(*t) == text)
        .ok_or_else(|| format!("`{text}` is not an instant in UTC with whole seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    /// What is saved reads back with the same digest, and PEM copies lie beside it.
    #[test]
    fn round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let key = |n| SigningKey::from_seed(&[n; 32]).public();
        let at = instant("2026-11-21T08:00:00Z").unwrap();
        let ring = Keyring::create(&key(1), &key(2), "Example Ltd", at).unwrap();
        ring.save(dir.path()).unwrap();
        let back = Keyring::load(&dir.path().join("keyring.json")).unwrap();
        assert_eq!(back.digest(), ring.digest());
        assert_eq!(back.encode(), ring.bytes());
        let pem = fs::read_to_string(dir.path().join(format!("{}.pem", key(1).key_id()))).unwrap();
        assert_eq!(PublicKey::from_pem(&pem).unwrap(), key(1));
        assert!(dir.path().join("checkpoint.pem").exists());
        assert!(Keyring::create(&key(1), &key(1), "x", at).is_err());
    }

    /// Weak keys are kept in the file but never admitted.
    #[test]
    fn weak_keys_are_not_admitted() {
        let at = instant("2026-11-21T08:00:00Z").unwrap();
        let key = |n| SigningKey::from_seed(&[n; 32]).public();
        let ring = Keyring::create(&key(1), &key(2), "Example Ltd", at).unwrap();
        let mut record = ring.keys.values().next().unwrap().clone();
        let small_order: [[u8; 32]; 2] = [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }];
        for point in small_order {
            record.spki.truncate(12);
            record.spki.extend_from_slice(&point);
            assert!(matches!(record.admit(), Err(crypto::Error::WeakKey { .. })));
        }
        record.alg = "sm2".into();
        assert!(record.admit().is_err());
    }
}
