//! Checkpoint notes: origin, size and root of a table's tree in the C2SP signed-note form.

use data_encoding::BASE64;

use super::tree::Hash;
use crate::crypto::{PublicKey, SigningKey, sha256};

/// Signature type of plain Ed25519 in signed notes.
const ED25519: u8 = 0x01;

/// The text that is signed.
pub(crate) fn text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", BASE64.encode(root))
}

/// First four bytes of the digest over name, line feed, type and key.
fn key_hash(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut bytes = format!("{name}\n").into_bytes();
    bytes.push(ED25519);
    bytes.extend_from_slice(&key.raw());
    let digest = sha256(&bytes).0;
    [digest[0], digest[1], digest[2], digest[3]]
}

/// The whole note: text, blank line, signature line.
pub(crate) fn sign(origin: &str, size: u64, root: &Hash, key: &SigningKey) -> String {
    let text = text(origin, size, root);
    let mut raw = key_hash(origin, &key.public()).to_vec();
    raw.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {origin} {}\n", BASE64.encode(&raw))
}

/// What is wrong with a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadNote {
    /// The text is not the expected one.
    Text,
    /// No valid signature by a trusted key, or an invalid one under it.
    Signature,
}

/// Checks a note against the expected text and the trusted keys. Further signature lines (witnesses) are ignored.
pub(crate) fn check(note: &[u8], origin: &str, size: u64, root: &Hash, keys: &[&PublicKey]) -> Result<(), BadNote> {
    let text = text(origin, size, root);
    let rest = note.strip_prefix(text.as_bytes()).ok_or(BadNote::Text)?;
    let rest = std::str::from_utf8(rest).map_err(|_| BadNote::Signature)?;
    let lines = rest.strip_prefix('\n').and_then(|r| r.strip_suffix('\n')).ok_or(BadNote::Signature)?;
    let mut is_signed = false;
    for line in lines.split('\n') {
        let (name, raw) = line
            .strip_prefix("\u{2014} ")
            .and_then(|l| l.split_once(' '))
            .and_then(|(name, raw)| Some((name, BASE64.decode(raw.as_bytes()).ok()?)))
            .ok_or(BadNote::Signature)?;
        let Some((id, signature)) = raw.split_first_chunk::<4>() else { return Err(BadNote::Signature) };
        for key in keys {
            if name == origin && *id == key_hash(origin, key) {
                let signature: &[u8; 64] = signature.try_into().map_err(|_| BadNote::Signature)?;
                if !key.verify(text.as_bytes(), signature) {
                    return Err(BadNote::Signature);
                }
                is_signed = true;
            }
        }
    }
    if is_signed { Ok(()) } else { Err(BadNote::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "evidence.example/0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10/payments";
    const NOTE: &str = "evidence.example/0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10/payments\n5\n//rft+50hUcebKDY0Ru08BLNtjDlZgTR0Lon/lxUmSQ=\n\n\u{2014} evidence.example/0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10/payments DCbqSZqPjTFiva9XLgoXBOkBTb4+1stJg4zuap/ZkiWW0zB9OBhq/ghnkzgQjXE4jBrSoeljT8k6XiWOeWAvJDlPlAo=\n";

    /// Published vectors: verifier key, note and signature; each altered part is noticed.
    #[test]
    fn vector_note() {
        let key = SigningKey::from_seed(&sha256(b"TEST ONLY checkpoint").0);
        let public = key.public();
        assert_eq!(data_encoding::HEXLOWER.encode(&key_hash(ORIGIN, &public)), "0c26ea49");
        let mut vkey = vec![ED25519];
        vkey.extend_from_slice(&public.raw());
        assert_eq!(BASE64.encode(&vkey), "AWCLCptmv2iHQKWhcDzHzwpUb29+Tchbxqgoc4H/Z2t0");
        let root = "fffadfb7ee7485471e6ca0d8d11bb4f012cdb630e56604d1d0ba27fe5c549924"
            .parse::<crate::model::Digest>()
            .unwrap()
            .0;
        assert_eq!(sign(ORIGIN, 5, &root, &key), NOTE);
        assert_eq!(check(NOTE.as_bytes(), ORIGIN, 5, &root, &[&public]), Ok(()));
        assert_eq!(check(NOTE.as_bytes(), ORIGIN, 6, &root, &[&public]), Err(BadNote::Text));
        let other = SigningKey::from_seed(&[7; 32]);
        assert_eq!(check(NOTE.as_bytes(), ORIGIN, 5, &root, &[&other.public()]), Err(BadNote::Signature));
        let broken = NOTE.replace("DCbqSZqP", "DCbqSZqQ");
        assert_eq!(check(broken.as_bytes(), ORIGIN, 5, &root, &[&public]), Err(BadNote::Signature));
        let witnessed = format!("{NOTE}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(check(witnessed.as_bytes(), ORIGIN, 5, &root, &[&public]), Ok(()));
    }
}
