//! Mappings that the program brings along for well-known systems.
//!
//! Nothing about those systems stands anywhere else in the program: a preset is a mapping file like any other, and a
//! copy of one can be changed and named by its path.

use include_dir::{Dir, include_dir};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/mappings");

/// A mapping that the program brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its id: the name of its file.
    pub id: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All presets, in order of their ids.
pub fn list() -> impl Iterator<Item = Preset> {
    let mut presets: Vec<Preset> = FILES
        .files()
        .filter_map(|file| {
            let id = file.path().file_name()?.to_str()?.strip_suffix(".toml")?;
            Some(Preset { id, text: file.contents_utf8()? })
        })
        .collect();
    presets.sort_by_key(|p| p.id);
    presets.into_iter()
}

/// The text of a preset.
pub fn text(id: &str) -> Option<&'static str> {
    list().find(|p| p.id == id).map(|p| p.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    /// Every preset is a mapping without mistakes, and its id is the name of its file.
    #[test]
    fn presets_have_no_mistakes() {
        for preset in list() {
            let mapping = Mapping::parse(preset.id, preset.text).unwrap_or_else(|e| panic!("{}: {e}", preset.id));
            assert_eq!(mapping.id(), preset.id);
            assert!(!mapping.requires().is_empty(), "{} says what it requires", preset.id);
        }
    }
}
