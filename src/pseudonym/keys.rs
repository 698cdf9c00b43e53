//! The three keys of a merchant: staff, customers, fingerprints of secrets.

use std::fmt;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::Error;
use super::token::{self, TokenKind};
use crate::clock::Random;
use crate::crypto::{self, MacKey, Secret};
use crate::fsio;

/// Names of the key files in the secrets folder: staff, customer, fingerprint.
pub const KEY_FILES: [&str; 3] = ["staff.key", "customer.key", "fingerprint.key"];
/// Bytes of a key file, at most.
const KEY_FILE_BYTES_MAX: u64 = 4_096;
/// What codes of our own files are made of besides the file.
const OWN_FILE: &[u8] = b"sealport/v1 own file\0";
/// Marks keys that anybody can derive.
const TEST_ONLY_MARK: &str = "# TEST-ONLY";

#[derive(Clone)]
struct Key {
    secret: Secret,
    mac: MacKey,
}

impl Key {
    fn new(secret: Secret) -> Self {
        let mac = MacKey::new(secret.expose());
        Self { secret, mac }
    }

    fn from_hex(file: &str, text: &str) -> Result<Self, Error> {
        let bad = || Error::BadKey { file: file.to_owned() };
        let hex = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')).ok_or_else(bad)?;
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| bad())?;
        if bytes.len() == 32 { Ok(Self::new(Secret::new(bytes))) } else { Err(bad()) }
    }

    fn id(&self) -> String {
        let message = Zeroizing::new([b"sealport/v1 key-id\0".as_slice(), self.secret.expose()].concat());
        crypto::sha256(&message).to_string()[..16].to_owned()
    }
}

/// The keys. Never printed; wiped when dropped.
#[derive(Clone)]
pub struct Keys {
    staff: Key,
    customer: Key,
    fingerprint: Key,
    is_test_only: bool,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("staff", &self.id_staff()).field("customer", &self.id_customer()).finish()
    }
}

impl Keys {
    /// Reads the three key files of a folder.
    ///
    /// # Errors
    /// A missing file, [`Error::BadKey`], or [`Error::Exposed`] when other users may read one.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let mut texts = Vec::new();
        for name in KEY_FILES {
            texts.push(Zeroizing::new(read(&dir.join(name), name)?));
        }
        Self::from_texts([&texts[0], &texts[1], &texts[2]], KEY_FILES)
    }

    /// Reads one key file per key, wherever the caller was told they are.
    ///
    /// # Errors
    /// As [`Keys::load`].
    pub fn load_files(paths: [&Path; 3]) -> Result<Self, Error> {
        let mut texts = Vec::new();
        for (path, name) in paths.into_iter().zip(KEY_FILES) {
            texts.push(Zeroizing::new(read(path, name)?));
        }
        Self::from_texts([&texts[0], &texts[1], &texts[2]], KEY_FILES)
    }

    /// Takes keys as 64 hex digits each: staff, customer, fingerprint.
    ///
    /// # Errors
    /// [`Error::BadKey`], naming which.
    pub fn from_hex(staff: &str, customer: &str, fingerprint: &str) -> Result<Self, Error> {
        Self::from_texts([staff, customer, fingerprint], ["staff key", "customer key", "fingerprint key"])
    }

    fn from_texts(texts: [&str; 3], names: [&str; 3]) -> Result<Self, Error> {
        Ok(Self {
            staff: Key::from_hex(names[0], texts[0])?,
            customer: Key::from_hex(names[1], texts[1])?,
            fingerprint: Key::from_hex(names[2], texts[2])?,
            is_test_only: texts.iter().any(|t| t.lines().any(|l| l.starts_with(TEST_ONLY_MARK))),
        })
    }

    /// Makes fresh keys and writes them into the folder (0700, files 0600).
    ///
    /// # Errors
    /// When a key exists, nothing is written; else as [`Keys::write`].
    pub fn create(dir: &Path, random: &dyn Random) -> Result<Self, Error> {
        let keys = Self {
            staff: Key::new(Secret::random(random)?),
            customer: Key::new(Secret::random(random)?),
            fingerprint: Key::new(Secret::random(random)?),
            is_test_only: false,
        };
        keys.write(dir)?;
        Ok(keys)
    }

    /// Keys that anybody can derive from the seed, for sample data and tests only; their files say so.
    pub fn test_only(seed: u64) -> Self {
        let derive = |name: &str| {
            let message = format!("sealport TEST-ONLY key {name} {seed}");
            Key::new(Secret::new(crypto::sha256(message.as_bytes()).0.to_vec()))
        };
        Self {
            staff: derive("staff"),
            customer: derive("customer"),
            fingerprint: derive("fingerprint"),
            is_test_only: true,
        }
    }

    /// Writes the keys into the folder (0700, files 0600); existing files are never overwritten.
    ///
    /// # Errors
    /// [`Error::File`]; nothing is written when one of the files exists.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        for name in KEY_FILES {
            let path = dir.join(name);
            if path.symlink_metadata().is_ok() {
                return Err(fsio::Error::Exists { path }.into());
            }
        }
        fsio::create_private_dir(dir)?;
        for (name, key) in KEY_FILES.into_iter().zip([&self.staff, &self.customer, &self.fingerprint]) {
            let mark = if self.is_test_only {
                format!("{TEST_ONLY_MARK}: derived from a public seed, protects nothing\n")
            } else {
                String::new()
            };
            let hex = Zeroizing::new(HEXLOWER.encode(key.secret.expose()));
            let text = Zeroizing::new(format!("{mark}{}\n", hex.as_str()));
            fsio::write_private_new(&dir.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Whether the keys protect nothing.
    pub fn is_test_only(&self) -> bool {
        self.is_test_only
    }

    /// Id of the staff key, for the statement.
    pub fn id_staff(&self) -> String {
        self.staff.id()
    }

    /// Id of the customer key, for the statement.
    pub fn id_customer(&self) -> String {
        self.customer.id()
    }

    /// Id of the fingerprint key, for the statement.
    pub fn id_fingerprint(&self) -> String {
        self.fingerprint.id()
    }

    /// The key tokens of a kind are made with.
    pub fn key(&self, kind: TokenKind) -> &MacKey {
        match kind {
            TokenKind::Staff => &self.staff.mac,
            TokenKind::Customer => &self.customer.mac,
        }
    }

    /// The token of a value.
    pub fn token(&self, kind: TokenKind, value: &str) -> String {
        token::token(self.key(kind), kind, value)
    }

    /// A code, in hex, by which something written for ourselves can be recognised as ours later.
    pub fn authenticate(&self, text: &[u8]) -> String {
        HEXLOWER.encode(&self.fingerprint.mac.mac(&[OWN_FILE, text]))
    }

    /// Whether a code of [`Keys::authenticate`] belongs to a text.
    pub fn authenticates(&self, text: &[u8], code: &[u8]) -> bool {
        HEXLOWER.decode(code).is_ok_and(|code| self.fingerprint.mac.verifies(&[OWN_FILE, text], &code))
    }

    /// Fingerprint of a secret: equal secrets have equal fingerprints, and nothing else can be read from one.
    pub fn fingerprint(&self, value: &[u8]) -> String {
        format!("hmac-sha256:{}", &HEXLOWER.encode(&self.fingerprint.mac.mac(&[value]))[..16])
    }
}

fn read(path: &Path, name: &str) -> Result<String, Error> {
    let text = fsio::read_text(path, KEY_FILE_BYTES_MAX)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(|e| fsio::Error::io("read", path, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Exposed { file: name.to_owned() });
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;

    fn hex(byte: u8) -> String {
        HEXLOWER.encode(&[byte; 32])
    }

    /// Keys survive writing and reading, are private, never overwritten, never printed.
    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = dir.path().join("secrets");
        let keys = Keys::create(&secrets, &SeededRandom::new(*b"s")).unwrap();
        let again = Keys::load(&secrets).unwrap();
        assert_eq!(keys.id_staff(), again.id_staff());
        assert_eq!(keys.fingerprint(b"x"), again.fingerprint(b"x"));
        assert!(!again.is_test_only());
        assert!(Keys::create(&secrets, &SeededRandom::new(*b"t")).is_err());
        assert_eq!(Keys::load(&secrets).unwrap().id_staff(), keys.id_staff());
        assert!(!format!("{keys:?}").contains(&HEXLOWER.encode(keys.staff.secret.expose())));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = secrets.join("staff.key");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(Keys::load(&secrets), Err(Error::Exposed { .. })));
        }
    }

    /// Test keys say that they are, also after a detour through files.
    #[test]
    fn test_only_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::test_only(7);
        keys.write(dir.path()).unwrap();
        let again = Keys::load(dir.path()).unwrap();
        assert!(again.is_test_only());
        assert_eq!(again.id_customer(), Keys::test_only(7).id_customer());
        assert_ne!(again.id_customer(), Keys::test_only(8).id_customer());
        assert_ne!(keys.id_staff(), keys.id_customer());
    }

    /// Our own files are recognised, and nobody else's.
    #[test]
    fn own_files() {
        let (keys, others) = (Keys::test_only(7), Keys::test_only(8));
        let code = keys.authenticate(b"text");
        assert!(keys.authenticates(b"text", code.as_bytes()));
        assert!(!keys.authenticates(b"texT", code.as_bytes()));
        assert!(!keys.authenticates(b"text", b""));
        assert!(!keys.authenticates(b"text", &code.as_bytes()[..62]));
        assert!(!others.authenticates(b"text", code.as_bytes()));
    }

    /// Keys that are no keys are refused by name.
    #[test]
    fn bad_keys() {
        for bad in ["", "zz", "00", &hex(1)[1..]] {
            let error = Keys::from_hex(&hex(1), bad, &hex(2)).unwrap_err();
            assert!(error.to_string().contains("customer key"), "{error}");
        }
    }

    /// Published with the token vector.
    #[test]
    fn published_ids() {
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let keys = Keys::from_hex(key, key, key).unwrap();
        assert_eq!(keys.id_staff(), "448ea7007b9b382e");
        assert_eq!(keys.fingerprint(b"secret-value"), "hmac-sha256:99a7d6cda99feaf2");
    }
}
