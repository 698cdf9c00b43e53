//! TEST-ONLY keys of a sample case, and the tokens they give. Whoever knows the seed knows these keys: never use
//! them for real records.

use std::path::Path;

use data_encoding::{BASE32_NOPAD, HEXLOWER};

use super::Error;
use crate::crypto::{self, MacKey};
use crate::fsio;

/// Files in `secrets/`.
const NAMES: [&str; 3] = ["staff", "customer", "fingerprint"];

/// The 32 bytes of a key: SHA-256 of `TEST ONLY sealport `, its name, a zero byte, and the seed in decimal.
pub fn test_only_key(name: &str, seed: u64) -> [u8; 32] {
    crypto::sha256(format!("TEST ONLY sealport {name}\0{seed}").as_bytes()).0
}

/// Makes the tokens that findings show instead of staff: `s_` and the first 26 base32 characters of
/// HMAC-SHA-256(key, `sealport/v1` 0x00 value), in lower case.
pub fn staff_token(seed: u64, value: &str) -> String {
    token(&MacKey::new(&test_only_key("staff", seed)), value)
}

fn token(key: &MacKey, value: &str) -> String {
    let mac = key.mac(&[b"sealport/v1\0", value.as_bytes()]);
    let text = BASE32_NOPAD.encode(&mac).to_ascii_lowercase();
    format!("s_{}", &text[..26])
}

/// Writes the keys, readable by the owner only.
pub(super) fn write(dir: &Path, seed: u64) -> Result<(), Error> {
    fsio::create_private_dir(dir)?;
    for name in NAMES {
        let text = format!("{}\n", HEXLOWER.encode(&test_only_key(name, seed)));
        fsio::write_private_new(&dir.join(format!("{name}.key")), text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed independently with Python's `hmac` and `base64`.
    #[test]
    fn token_vector() {
        let key = MacKey::new(&[0x0b; 32]);
        assert_eq!(token(&key, "sysuser:1001"), "s_xhfxqlp2euf2utodfhbg2d6da4");
        assert_eq!(staff_token(42, "sysuser:1001"), "s_vt5ifypqhmd5kvnotoqaoxhmvx");
    }
}
