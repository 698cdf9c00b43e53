//! DSSE envelopes: one signature over the pre-authentication encoding of a payload that is kept as bytes.

use data_encoding::BASE64;
use serde_json::json;

use super::json::{self, Members, Refused};
use super::layout;
use crate::crypto::SigningKey;

/// Payload type of every statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Payload type of a signed keyring; a statement under this type is refused.
pub const KEYRING_TYPE: &str = "application/vnd.evidence-keyring.v1+json";

/// The bytes that are signed (DSSE 1.0.2).
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// One envelope with its one signature.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) payload: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) signature: Vec<u8>,
}

/// Why an envelope was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadEnvelope {
    DuplicateMember,
    Shape(String),
    PayloadType,
    Base64(&'static str),
    KeyId,
}

impl Envelope {
    /// Signs a payload.
    pub(crate) fn sign(payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload)).to_vec();
        Self { payload, key_id: key.public().key_id(), signature }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        json::canonical(&json!({
            "payload": BASE64.encode(&self.payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.key_id, "sig": BASE64.encode(&self.signature)}],
        }))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        let shape = |e: String| BadEnvelope::Shape(e);
        let m = json::parse_object(bytes).map_err(|e| match e {
            Refused::DuplicateMember => BadEnvelope::DuplicateMember,
            other => BadEnvelope::Shape(other.to_string()),
        })?;
        if m.len() != 3 {
            return Err(shape("an envelope has exactly `payload`, `payloadType` and `signatures`".into()));
        }
        let payload_type = m.text("payloadType").map_err(shape)?;
        let payload = m.text("payload").map_err(shape)?;
        let [signature] = m.list("signatures").map_err(shape)? else {
            return Err(shape("an envelope has exactly one signature".into()));
        };
        let signature = signature.as_object().ok_or_else(|| shape("the signature is not an object".into()))?;
        if signature.len() != 2 {
            return Err(shape("a signature has exactly `keyid` and `sig`".into()));
        }
        let key_id = signature.text("keyid").map_err(shape)?;
        let sig = signature.text("sig").map_err(shape)?;
        if payload_type != PAYLOAD_TYPE {
            return Err(BadEnvelope::PayloadType);
        }
        let payload = BASE64.decode(payload.as_bytes()).map_err(|_| BadEnvelope::Base64("payload"))?;
        let sig = BASE64.decode(sig.as_bytes()).map_err(|_| BadEnvelope::Base64("sig"))?;
        if !layout::is_hex(key_id, 64) {
            return Err(BadEnvelope::KeyId);
        }
        Ok(Self { payload, key_id: key_id.to_owned(), signature: sig })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{PublicKey, sha256};

    const PAYLOAD: &str = r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"archiveId":"urn:uuid:0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10","coverage":{"businessTimeZone":"Asia/Shanghai","from":"2024-02-29T16:00:00Z","to":"2024-03-31T16:00:00Z"},"createdAt":"2026-01-05T02:03:04Z","critical":[],"formatVersion":"1.0","payload":{"files":4,"octets":4867},"previous":null,"sequence":1,"tables":[{"checkpointOrigin":"evidence.example/0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10/payments","leafEncoding":"row-jcs-v1","name":"payments","rootHash":"fffadfb7ee7485471e6ca0d8d11bb4f012cdb630e56604d1d0ba27fe5c549924","rows":5,"schema":{"digest":{"sha256":"3b3bc539f7c51bbd59d7e2765bca9fc1e96959c10ff48a5c4b889abe8940539d"},"name":"data/schema/payments.schema.json"},"treeHash":"rfc6962-sha256"}]},"predicateType":"https://evidence.example/evidence-bag/v1","subject":[{"digest":{"sha256":"8e597976f7e3d1ee1ca6222fa87a6509f59c80a52a49fcdb86d18f5f8fc70890"},"name":"tagmanifest-sha256.txt"}]}"#;

    fn key(name: &str) -> SigningKey {
        SigningKey::from_seed(&sha256(format!("TEST ONLY {name}").as_bytes()).0)
    }

    /// Published vectors: key ids, PAE digest, both signatures.
    #[test]
    fn vector_statement() {
        let (producer, custodian) = (key("producer"), key("custodian"));
        assert_eq!(producer.public().key_id(), "d929da8af7796b37f6f5a45b5cee1ed075ecaf90c7ed34849349bd0cf05cd6ab");
        assert_eq!(custodian.public().key_id(), "a4dee4814d5ce7dc4c60c88954f235619cd9c3bcfbf075851c558aacaa7e1d9e");
        let spki = "MCowBQYDK2VwAyEAgPuQ4m3nIMvXG5u2klHuo1hMPGOImjDOqYRDWKVUgKk=";
        assert_eq!(BASE64.encode(&producer.public().spki_der().unwrap()), spki);
        assert_eq!(PublicKey::from_spki_der(&BASE64.decode(spki.as_bytes()).unwrap()).unwrap(), producer.public());
        assert_eq!(PAYLOAD.len(), 949);
        let bytes = pae(PAYLOAD_TYPE, PAYLOAD.as_bytes());
        assert_eq!(bytes.len(), 992);
        assert_eq!(sha256(&bytes).to_string(), "de5aae73f8b698b10199750afb75200267d4ee333fc7924c0ae34e404fcf21b2");
        let sign = |key: &SigningKey| BASE64.encode(&Envelope::sign(PAYLOAD.into(), key).signature);
        assert_eq!(
            sign(&producer),
            "+z5ViTNc5AQxYb09h01OGgXvoM14dFx7KYOxGcz6nHCzjX9ZuBnfI1LtrJOtCNfHWIGCbssckbtC3W7gGIINCw=="
        );
        assert_eq!(
            sign(&custodian),
            "nEHYD3XgK9RSzK9ZVXulhP6xgpbMcLsfds5lWYhxHYvZGyKIBjUfuCHwSiWboYAS/AJisfJJHp01YgoL/av9AA=="
        );
        let envelope = Envelope::sign(PAYLOAD.into(), &producer);
        let back = Envelope::from_bytes(&envelope.to_bytes()).unwrap();
        assert_eq!((back.payload, back.key_id), (envelope.payload, envelope.key_id));
    }

    /// The canonical writer spells the published payload exactly.
    #[test]
    fn vector_payload_is_canonical() {
        let value = json::parse_object(PAYLOAD.as_bytes()).unwrap();
        assert_eq!(json::canonical(&value.into()), PAYLOAD.as_bytes());
    }

    /// The same signature under another payload type does not verify: the type is part of what is signed.
    #[test]
    fn type_is_signed() {
        let key = key("producer");
        let signature = key.sign(&pae(KEYRING_TYPE, b"{}"));
        assert!(!key.public().verify(&pae(PAYLOAD_TYPE, b"{}"), &signature));
    }
}
