//! V2 and V3: envelopes, and whether trusted holders signed them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::SignerInfo;
use super::VerifyOptions;
use super::codes::{Check, Code, fail};
use super::structure::Listing;
use crate::archive::dsse::{BadEnvelope, Envelope, PAYLOAD_TYPE, pae};
use crate::archive::json::{self, Members};
use crate::archive::keyring::{KeyRecord, KeyStatus, Keyring, Role, instant};
use crate::archive::layout;
use crate::crypto;
use crate::fsio;

/// V2: reads all envelopes; their payloads must be equal.
pub(super) fn envelopes(root: &Path, listing: &Listing) -> Check<Vec<(String, Envelope)>> {
    let mut envelopes: Vec<(String, Envelope)> = Vec::new();
    for path in listing.envelopes() {
        let bytes = fsio::read_bounded(&root.join(&path), layout::ENVELOPE_BYTES_MAX)?;
        let envelope = match Envelope::from_bytes(&bytes) {
            Ok(envelope) => envelope,
            Err(BadEnvelope::DuplicateMember) => {
                return fail(Code::DupMember, format!("`{path}`: a member occurs twice"));
            }
            Err(BadEnvelope::Shape(why)) => return fail(Code::Envelope, format!("`{path}`: {why}")),
            Err(BadEnvelope::PayloadType) => {
                return fail(Code::PayloadType, format!("`{path}`: the payload is not `{PAYLOAD_TYPE}`"));
            }
            Err(BadEnvelope::Base64(what)) => {
                return fail(Code::Base64, format!("`{path}`: `{what}` is not strict base64"));
            }
            Err(BadEnvelope::KeyId) => return fail(Code::KeyId, format!("`{path}`: the key id is not 64 hex digits")),
        };
        if envelopes.first().is_some_and(|(_, first)| first.payload != envelope.payload) {
            return fail(Code::PayloadMismatch, format!("`{path}` signs another payload than the first envelope"));
        }
        envelopes.push((path, envelope));
    }
    Ok(envelopes)
}

/// V3: checks every signature by a known key and counts holders per role.
pub(super) fn signatures(
    envelopes: &[(String, Envelope)],
    keyring: &Keyring,
    options: &VerifyOptions,
    signers: &mut Vec<SignerInfo>,
) -> Check<()> {
    if envelopes.is_empty() {
        return fail(Code::NoStatement, "there is no signed statement");
    }
    let mut valid: Vec<(&String, &KeyRecord)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, envelope) in envelopes {
        let name = path.rsplit('/').next().unwrap_or(path);
        if layout::envelope_name(&envelope.key_id) != name {
            return fail(Code::KeyId, format!("`{path}` does not bear the name of its key"));
        }
        let Some(record) = keyring.keys.get(&envelope.key_id) else {
            signers.push(SignerInfo::unknown(&envelope.key_id));
            continue;
        };
        let key = match record.admit() {
            Ok(key) => key,
            Err(e) => return fail(Code::KeyWeak, format!("key {}: {e}", envelope.key_id)),
        };
        if crypto::sha256(&record.spki).to_string() != envelope.key_id {
            return fail(Code::KeyId, format!("the keyring files another key under {}", envelope.key_id));
        }
        let signed = pae(PAYLOAD_TYPE, &envelope.payload);
        let good = <&[u8; 64]>::try_from(envelope.signature.as_slice()).is_ok_and(|s| key.verify(&signed, s));
        if !good {
            return fail(Code::Signature, format!("`{path}`: the signature by a trusted key is wrong"));
        }
        signers.push(SignerInfo::trusted(&envelope.key_id, record));
        if seen.insert(&envelope.key_id) {
            valid.push((&envelope.key_id, record));
        }
    }
    // From here on the payload is covered by a trusted signature and may be looked into.
    let asserted = match (valid.first(), envelopes.first()) {
        (Some(_), Some((_, envelope))) => asserted_time(&envelope.payload),
        _ => None,
    };
    for (id, record) in &valid {
        check_validity(id, record, asserted, options)?;
    }
    for (role, threshold) in keyring.thresholds.iter().filter(|(r, _)| **r != Role::Checkpoint) {
        let holders: BTreeSet<&str> =
            valid.iter().filter(|(_, k)| k.roles.contains(role)).map(|(_, k)| k.holder.as_str()).collect();
        if (holders.len() as u64) < *threshold {
            return fail(
                Code::Threshold,
                format!("{} of {threshold} trusted holders signed as {}", holders.len(), role.name()),
            );
        }
    }
    Ok(())
}

fn asserted_time(payload: &[u8]) -> Option<DateTime<Utc>> {
    let statement = json::parse_object(payload).ok()?;
    instant(statement.object("predicate").ok()?.text("createdAt").ok()?).ok()
}

/// Without an independent time, only a key that is in use today is good, unless the caller accepts the signer's word.
fn check_validity(id: &str, record: &KeyRecord, asserted: Option<DateTime<Utc>>, options: &VerifyOptions) -> Check<()> {
    let accepted = if options.accept_asserted_time { asserted } else { None };
    if record.status == KeyStatus::Revoked {
        return fail(
            Code::KeyRevoked,
            format!("key {id} is revoked, and no independent time shows that it signed before"),
        );
    }
    if let (Some(start), Some(at)) = (record.not_before, asserted)
        && at < start
    {
        return fail(Code::KeyExpired, format!("key {id} was not valid yet at the stated time"));
    }
    let has_ended = record.status == KeyStatus::Retired || record.not_after.is_some_and(|end| options.now >= end);
    let was_in_time = accepted.is_some_and(|at| record.not_after.is_none_or(|end| at < end));
    if has_ended && !was_in_time {
        return fail(
            Code::KeyExpired,
            format!("key {id} is no longer valid, and no time-stamp shows that it signed before"),
        );
    }
    Ok(())
}

/// The trusted checkpoint keys.
pub(super) fn checkpoint_keys(keyring: &Keyring) -> Check<Vec<crypto::PublicKey>> {
    let mut keys = BTreeMap::new();
    for (id, record) in keyring.keys.iter().filter(|(_, k)| k.roles.contains(&Role::Checkpoint)) {
        if record.status != KeyStatus::Active {
            continue;
        }
        match record.admit() {
            Ok(key) if key.key_id() == *id => keys.insert(id, key),
            Ok(_) => return fail(Code::KeyId, format!("the keyring files another key under {id}")),
            Err(e) => return fail(Code::KeyWeak, format!("key {id}: {e}")),
        };
    }
    Ok(keys.into_values().collect())
}
