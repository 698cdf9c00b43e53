//! Digests, keyed hashes, signatures and secret values; the only module that knows the cryptographic crates.

use std::fmt;
use std::io::Read;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding,
};
use ed25519_dalek::{Signer as _, SigningKey as DalekSigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::clock::{NoRandomness, Random};
use crate::fsio;
use crate::hint::Hint;
use crate::model::{Digest, Exit, Lang};

/// A key or signature could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not a key of the expected kind.
    #[error("not {expected}")]
    BadKey {
        /// What was expected.
        expected: &'static str,
    },
    /// The public key is one that makes forgeries possible (archive format, section 6.3).
    #[error("public key {key_id} is weak (small order or non-canonical)")]
    WeakKey {
        /// Which key.
        key_id: String,
    },
    /// No random bytes to be had.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] fsio::Error),
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        match self {
            Self::BadKey { .. } => Some(
                lang.pick("密钥文件应由 `sealport keys new` 生成。", "Key files are made by `sealport keys new`.")
                    .into(),
            ),
            Self::File(e) => e.hint(lang),
            Self::WeakKey { .. } | Self::NoRandomness(_) => None,
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::BadKey { .. } => Exit::Invalid,
            Self::WeakKey { .. } => Exit::Trust,
            Self::NoRandomness(_) => Exit::Io,
            Self::File(e) => e.exit(),
        }
    }
}

/// SHA-256 of some bytes (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// A running SHA-256.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    /// The digest of everything taken in.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// SHA-256 of a file, read in pieces of 1 MiB; also its length in bytes.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<(Digest, u64), fsio::Error> {
    let mut file = std::fs::File::open(path).map_err(|e| fsio::Error::io("open", path, e))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut length = 0;
    loop {
        let n = file.read(&mut buffer).map_err(|e| fsio::Error::io("read", path, e))?;
        if n == 0 {
            return Ok((hasher.finish(), length));
        }
        hasher.update(&buffer[..n]);
        length += n as u64;
    }
}

/// SHA-1, lower-case hex. Only to confirm digests that a platform publishes; never as evidence of our own.
pub fn sha1_hex(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    HEXLOWER.encode(&sha1::Sha1::digest(bytes))
}

/// A running SHA-1, for files too large to hold; same use as [`sha1_hex`].
#[derive(Debug, Clone, Default)]
pub struct Sha1Hasher(sha1::Sha1);

impl Sha1Hasher {
    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        sha1::Digest::update(&mut self.0, bytes);
    }
    /// The digest of everything taken in, lower-case hex.
    pub fn finish_hex(self) -> String {
        HEXLOWER.encode(&sha1::Digest::finalize(self.0))
    }
}

/// Bytes that are wiped when dropped and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
    /// 32 fresh random bytes.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn random(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut bytes = vec![0_u8; 32];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// HMAC-SHA-256 (RFC 2104) with its two pad states prepared once.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// Prepares the key; any length is accepted.
    pub fn new(key: &[u8]) -> Self {
        // HMAC accepts keys of every length, so this cannot fail; an empty key is still a key.
        Self(Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default())))
    }

    /// Whether this is the code of the concatenated parts; compared in constant time.
    pub fn verifies(&self, parts: &[&[u8]], code: &[u8]) -> bool {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(code).is_ok()
    }

    /// The code of the concatenated parts.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// An Ed25519 private key (RFC 8032).
#[derive(Clone)]
pub struct SigningKey(DalekSigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[private key of {}]", self.public().key_id())
    }
}

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        random.fill(seed.as_mut_slice())?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(DalekSigningKey::from_bytes(seed))
    }

    /// Reads a PKCS#8 PEM private key.
    ///
    /// # Errors
    /// [`Error::BadKey`].
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        DalekSigningKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|_| Error::BadKey { expected: "an Ed25519 private key in PKCS#8 PEM" })
    }

    /// Writes the key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it cannot be encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        // Version 1 of PKCS#8 (no public key inside), which every OpenSSL reads.
        let bytes = ed25519_dalek::pkcs8::KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| Error::BadKey { expected: "an encodable private key" })
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }
}

/// An Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo and admits it (archive format, section 6.3).
    ///
    /// # Errors
    /// [`Error::BadKey`] for other bytes or algorithms, [`Error::WeakKey`] for keys that make forgeries possible.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        let key = VerifyingKey::from_public_key_der(der)
            .map_err(|_| Error::BadKey { expected: "an Ed25519 public key (SubjectPublicKeyInfo)" })?;
        let key = Self(key);
        let canonical = key.spki_der()? == der;
        if key.0.is_weak() || !canonical || !is_canonical_point(key.0.as_bytes()) {
            return Err(Error::WeakKey { key_id: HEXLOWER.encode(&sha256(der).0) });
        }
        Ok(key)
    }

    /// Reads a PEM public key and admits it.
    ///
    /// # Errors
    /// As [`PublicKey::from_spki_der`].
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let body: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
        let der =
            BASE64.decode(body.trim().as_bytes()).map_err(|_| Error::BadKey { expected: "a public key in PEM" })?;
        Self::from_spki_der(&der)
    }

    /// DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it cannot be encoded.
    pub fn spki_der(&self) -> Result<Vec<u8>, Error> {
        self.0
            .to_public_key_der()
            .map(|d| d.as_bytes().to_vec())
            .map_err(|_| Error::BadKey { expected: "an encodable public key" })
    }

    /// PEM SubjectPublicKeyInfo, as openssl reads it.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it cannot be encoded.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| Error::BadKey { expected: "an encodable public key" })
    }

    /// The 32 raw bytes.
    pub fn raw(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Key id: lower-case hex SHA-256 of the DER SubjectPublicKeyInfo (archive format, section 5.2).
    pub fn key_id(&self) -> String {
        let mut der = Vec::from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]);
        der.extend_from_slice(self.0.as_bytes());
        sha256(&der).to_string()
    }

    /// Strict verification: refuses S ≥ L and small-order A or R.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

/// Whether the y coordinate is below 2^255 - 19, i.e. the encoding is the only one of its point.
fn is_canonical_point(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    let all_ones = y[1..31].iter().all(|b| *b == 0xff) && y[31] == 0x7f;
    !(all_ones && y[0] >= 0xed)
}
