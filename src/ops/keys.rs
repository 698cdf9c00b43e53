//! `keys`: pseudonym keys, signing keys and the keyring of a case.

use std::path::Path;

use serde_json::{Value, json};

use super::{Answer, Env, Error, places};
use crate::archive::{KeyStatus, Keyring, Role};
use crate::config::Case;
use crate::crypto::{Secret, SigningKey};
use crate::fsio;
use crate::model::Exit;

const KEY_BYTES_MAX: u64 = 64 << 10;
const PRODUCER: &str = "producer.pem";
const CHECKPOINT: &str = "checkpoint.pem";
const PSEUDONYM: [&str; 3] = ["staff.key", "customer.key", "fingerprint.key"];

/// The private keys that sign.
#[derive(Debug)]
pub(super) struct SealKeys {
    pub(super) producer: SigningKey,
    pub(super) checkpoint: SigningKey,
}

/// Reads the signing keys of a case.
pub(super) fn signing(secrets: &Path) -> Result<SealKeys, Error> {
    let read = |name: &str| -> Result<SigningKey, Error> {
        let path = secrets.join(name);
        if !path.exists() {
            return Err(Error::usage(
                format!("the signing key `{}` does not exist", path.display()),
                "请运行 `sealport keys new 案件文件夹`，或用环境变量 SEALPORT_SECRETS 指定密钥所在文件夹。",
                "run `sealport keys new CASE`, or name the folder of the keys with the environment variable SEALPORT_SECRETS",
            ));
        }
        Ok(SigningKey::from_pem(&fsio::read_text(&path, KEY_BYTES_MAX)?)?)
    };
    Ok(SealKeys { producer: read(PRODUCER)?, checkpoint: read(CHECKPOINT)? })
}

/// Whether the keyring trusts the signing keys: what they sign otherwise would never verify.
pub(super) fn trusted(keys: &SealKeys, secrets: &Path, keyring: &Keyring, file: &Path) -> Result<(), Error> {
    for (key, name, role) in
        [(&keys.producer, PRODUCER, Role::Producer), (&keys.checkpoint, CHECKPOINT, Role::Checkpoint)]
    {
        let record = keyring.keys.get(&key.public().key_id());
        if !record.is_some_and(|r| r.status == KeyStatus::Active && r.roles.contains(&role)) {
            return Err(Error::UntrustedKey { key: secrets.join(name), keyring: file.to_owned(), role: role.name() });
        }
    }
    Ok(())
}

/// Makes whatever keys are missing and the keyring; existing keys are never overwritten.
///
/// # Errors
/// When files cannot be read or written.
pub fn new(env: &Env, secrets: &Path, keyring_dir: &Path) -> Result<(), Error> {
    fsio::create_private_dir(secrets)?;
    for name in PSEUDONYM {
        let path = secrets.join(name);
        if !path.exists() {
            let key = Secret::random(env.random.as_ref())?;
            let text = zeroize::Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose()) + "\n");
            fsio::write_private_new(&path, text.as_bytes())?;
        }
    }
    for name in [PRODUCER, CHECKPOINT] {
        let path = secrets.join(name);
        if !path.exists() {
            let key = SigningKey::generate(env.random.as_ref())?;
            fsio::write_private_new(&path, key.to_pem()?.as_bytes())?;
        }
    }
    let file = keyring_dir.join("keyring.json");
    if !file.exists() {
        let keys = signing(secrets)?;
        let keyring = Keyring::create(&keys.producer.public(), &keys.checkpoint.public(), "producer", env.clock.now())?;
        keyring.save(keyring_dir)?;
    }
    Ok(())
}

/// `keys new CASE`.
///
/// # Errors
/// When the case or its keys cannot be read or written.
pub fn create(env: &Env, dir: &Path) -> Result<Answer, Error> {
    let case = Case::load(dir)?;
    let keyring = places::keyring(&case);
    let before = keyring.exists();
    new(env, &places::secrets(env, &case), keyring.parent().unwrap_or(dir))?;
    let mut answer = show(env, dir)?;
    if before {
        let note = env.lang.pick("已有的密钥保持不变。\n", "Existing keys were left as they are.\n");
        answer.text = format!("{note}{}", answer.text);
    }
    Ok(answer)
}

/// `keys show CASE`: public halves and key ids, never a private key.
///
/// # Errors
/// When the keyring cannot be read.
pub fn show(env: &Env, dir: &Path) -> Result<Answer, Error> {
    let case = Case::load(dir)?;
    list(env, &places::keyring(&case))
}

/// `keys list --keyring FILE`.
///
/// # Errors
/// When the keyring cannot be read.
pub fn list(env: &Env, path: &Path) -> Result<Answer, Error> {
    let keyring = Keyring::load(path)?;
    let mut text =
        format!("{} {} · SHA-256 {}\n", env.lang.pick("密钥环", "keyring"), keyring.version, keyring.digest());
    let mut keys: Vec<Value> = Vec::new();
    for (id, record) in &keyring.keys {
        let roles: Vec<&str> = record.roles.iter().map(|r| r.name()).collect();
        text.push_str(&format!("{id}  {}  {}\n", roles.join(","), record.holder));
        keys.push(json!({ "key_id": id, "roles": roles, "holder": record.holder, "alg": record.alg }));
    }
    text.push_str(env.lang.pick(
        "请通过另一条途径（电话、合同附件）与签名方核对密钥编号。",
        "Compare the key ids with the signer by another way (telephone, contract annex).",
    ));
    Ok(Answer {
        text,
        json: json!({ "version": keyring.version, "sha256": keyring.digest(), "keys": keys }),
        exit: Exit::Success,
    })
}
