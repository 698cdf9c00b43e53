//! BagIt files: manifests, `bag-info.txt`. Written sorted, read strictly.

use std::collections::BTreeMap;

use super::layout;
use crate::model::Digest;

/// Path to digest.
pub(crate) type Manifest = BTreeMap<String, Digest>;

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadManifest {
    Syntax(usize),
    Path(String),
    Duplicate(String),
}

/// Writes a manifest: digest, two spaces, path, line feed; in path order.
pub(crate) fn write<'a>(entries: impl Iterator<Item = (&'a String, &'a Digest)>) -> String {
    let sorted: BTreeMap<_, _> = entries.collect();
    sorted.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect()
}

/// Reads a manifest.
pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, BadManifest> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadManifest::Syntax(1))?;
    let mut manifest = Manifest::new();
    if text.is_empty() {
        return Ok(manifest);
    }
    let body = text.strip_suffix('\n').ok_or(BadManifest::Syntax(text.lines().count()))?;
    let mut last: Option<&str> = None;
    for (i, line) in body.split('\n').enumerate() {
        let syntax = BadManifest::Syntax(i + 1);
        let (digest, path) = line.split_once("  ").ok_or_else(|| syntax.clone())?;
        let digest: Digest = digest.parse().map_err(|_| syntax.clone())?;
        if path.is_empty() || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(syntax);
        }
        if !layout::is_path(path) {
            return Err(BadManifest::Path(path.into()));
        }
        if manifest.insert(path.to_owned(), digest).is_some() {
            return Err(BadManifest::Duplicate(path.into()));
        }
        if last.is_some_and(|l| l > path) {
            return Err(syntax);
        }
        last = Some(path);
    }
    Ok(manifest)
}

/// Writes `bag-info.txt`.
pub(crate) fn bag_info(organisation: &str, archive_id: &str, date: &str, octets: u64, files: u64) -> String {
    format!(
        "Source-Organization: {organisation}\nExternal-Identifier: {archive_id}\nBagging-Date: {date}\n\
         Payload-Oxum: {octets}.{files}\nBagIt-Profile-Identifier: {}\n",
        super::BAG_PREDICATE
    )
}

/// Reads one label of `bag-info.txt`, which must occur exactly once.
pub(crate) fn bag_info_value<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|l| l.strip_prefix(label)?.strip_prefix(": "));
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each malformation has its own verdict.
    #[test]
    fn strictness() {
        let d = "0".repeat(64);
        let parse = |s: String| parse(s.as_bytes());
        assert_eq!(parse(format!("{d}  a\n{d}  b/c\n")).unwrap().len(), 2);
        for bad in [
            format!("{d} a\n"),
            format!("{d}  a"),
            format!("{d}  a\r\n"),
            format!("{}  a\n", "A".repeat(64)),
            format!("\u{feff}{d}  a\n"),
            format!("{d}  b\n{d}  a\n"),
            format!("{d}  a\n\n"),
            "junk\n".into(),
        ] {
            assert!(matches!(parse(bad.clone()), Err(BadManifest::Syntax(_))), "{bad:?}");
        }
        for path in ["./a", "../a", "/a", "a/../b", "a//b", "C:\\a", "a%2e"] {
            assert!(matches!(parse(format!("{d}  {path}\n")), Err(BadManifest::Path(_))), "{path}");
        }
        assert!(matches!(parse(format!("{d}  a\n{d}  a\n")), Err(BadManifest::Duplicate(_))));
    }
}
