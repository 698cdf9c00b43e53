//! Names and limits of format 1.0: which paths an archive may hold and how large its parts may be.

/// Exact content of `bagit.txt`.
pub(crate) const BAGIT_TXT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
pub(crate) const MANIFEST: &str = "manifest-sha256.txt";
pub(crate) const TAGMANIFEST: &str = "tagmanifest-sha256.txt";
pub(crate) const BAG_INFO: &str = "bag-info.txt";
pub(crate) const README: &str = "README.txt";
pub(crate) const SALTS: &str = "data/blinding/leaf-salts.json";
pub(crate) const CUSTODY: &str = "data/custody/custody.jsonl";
pub(crate) const RECONCILIATION: &str = "data/custody/reconciliation.json";
pub(crate) const DOCUMENT: &str = "data/docs/archive-format.md";
/// Prefix of folders in which a seal is under way; nothing under this prefix is an archive.
pub(crate) const SEALING_PREFIX: &str = ".sealing-";

/// What ids of raw tables begin with; no canonical dataset is called so.
pub(crate) const RAW_PREFIX: &str = "raw_";

pub(crate) const FILES_MAX: usize = 100_000;
pub(crate) const TABLES_MAX: usize = 1_000;
pub(crate) const COLUMNS_MAX: usize = 1_000;
pub(crate) const ENVELOPE_BYTES_MAX: u64 = 16 << 20;
/// Manifests, schema documents and other tag files.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
pub(crate) const CHECKPOINT_BYTES_MAX: u64 = 64 << 10;
pub(crate) const LEAF_BYTES_MAX: usize = 1 << 20;
pub(crate) const PART_BYTES_MAX: u64 = 4 << 30;
pub(crate) const PATH_BYTES_MAX: usize = 200;
pub(crate) const DEPTH_MAX: usize = 12;
/// Integers in signed documents stay below 2^53, so that every JSON reader sees the same number.
pub(crate) const INTEGER_MAX: u64 = 1 << 53;

pub(crate) const ROW_GROUP_ROWS_MAX: i64 = 1_000_000;
pub(crate) const ROW_GROUP_BYTES_MAX: i64 = 1 << 30;
pub(crate) const PAGE_BYTES_MAX: u64 = 64 << 20;
pub(crate) const ZSTD_WINDOW_MAX: u64 = 8 << 20;
/// Footer of a Parquet file.
pub(crate) const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// Whether a path component follows the naming rule: ASCII letters, digits, `.`, `_`, `-`; no Windows device name.
pub(crate) fn is_component(name: &str) -> bool {
    let bytes = name.as_bytes();
    let Some(first) = bytes.first() else { return false };
    first.is_ascii_alphanumeric()
        && bytes.len() <= 100
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !name.ends_with('.')
        && !is_device(name)
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.as_bytes()[3].is_ascii_digit())
}

/// Whether a relative path follows the naming rule as a whole.
pub(crate) fn is_path(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX && path.split('/').all(is_component)
}

/// Whether the text may name a table or a column.
pub(crate) fn is_identifier(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.len() <= 63
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

/// Path of a part of a table.
pub(crate) fn part_path(table: &str, index: usize) -> String {
    format!("data/tables/{table}/part-{index:05}.parquet")
}

/// Path of a table's schema document.
pub(crate) fn schema_path(table: &str) -> String {
    format!("data/schema/{table}.schema.json")
}

/// Path of a table's checkpoint note.
pub(crate) fn checkpoint_path(table: &str) -> String {
    format!("signatures/checkpoint.{table}.txt")
}

/// File name of an envelope by this key.
pub(crate) fn envelope_name(key_id: &str) -> String {
    format!("statement.{}.dsse.json", &key_id[..8.min(key_id.len())])
}

/// The eight hex digits of `statement.<k8>.dsse.json`.
pub(crate) fn envelope_k8(name: &str) -> Option<&str> {
    let k8 = name.strip_prefix("statement.")?.strip_suffix(".dsse.json")?;
    is_hex(k8, 8).then_some(k8)
}

/// Whether the file at this path may stand in `signatures/`.
pub(crate) fn is_signature_file(rest: &str) -> bool {
    let stem = rest.strip_suffix(".tsr").unwrap_or(rest);
    if envelope_k8(stem).is_some() {
        return true;
    }
    if let Some(table) = rest.strip_prefix("checkpoint.").and_then(|r| r.strip_suffix(".txt")) {
        return is_identifier(table);
    }
    match rest.split_once('/') {
        Some((folder, file)) => is_renewal_folder(folder) && !file.contains('/'),
        None => false,
    }
}

fn is_renewal_folder(name: &str) -> bool {
    name.strip_prefix("renewal-").is_some_and(|n| n.len() == 4 && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the text is lower-case hex of so many digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether the text is `urn:uuid:` and a lower-case UUID; returns the UUID.
pub(crate) fn uuid_of(urn: &str) -> Option<&str> {
    let uuid = urn.strip_prefix("urn:uuid:")?;
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = uuid.split('-').collect();
    (parts.len() == 5 && parts.iter().zip(lengths).all(|(p, n)| is_hex(p, n))).then_some(uuid)
}

/// Origin and key name of a table's checkpoint.
pub(crate) fn checkpoint_origin(archive_id: &str, table: &str) -> String {
    format!("{}/{}/{table}", super::VENDOR_DOMAIN, uuid_of(archive_id).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that would be read differently on another system are refused.
    #[test]
    fn components() {
        for good in ["part-00000.parquet", "README.txt", "a", "0b"] {
            assert!(is_component(good), "{good}");
        }
        for bad in
            ["", ".", "..", ".hidden", "a.", "con", "NUL.txt", "com1", "lpt9.x", "a b", "é", "a%25", "a\\b", "-x"]
        {
            assert!(!is_component(bad), "{bad}");
        }
    }

    /// Only the files of the format may stand in `signatures/`.
    #[test]
    fn signature_files() {
        for good in [
            "statement.0123abcd.dsse.json",
            "statement.0123abcd.dsse.json.tsr",
            "checkpoint.payments.txt",
            "renewal-0001/x",
        ] {
            assert!(is_signature_file(good), "{good}");
        }
        for bad in [
            "statement.0123ABCD.dsse.json",
            "statement.dsse.json",
            "note.txt",
            "renewal-1/x",
            "checkpoint.A.txt",
            "checkpoint.x.txt.tsr",
        ] {
            assert!(!is_signature_file(bad), "{bad}");
        }
    }
}
