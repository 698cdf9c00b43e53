//! Mappings shipped with the program, one file per known system in `mappings/`. Nothing about these systems stands
//! anywhere else; a copy of a file is an ordinary mapping.

use include_dir::{Dir, include_dir};

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/mappings");

/// A shipped mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Id: written `preset:ID` where a mapping file may be named.
    pub id: &'static str,
    /// The mapping file.
    pub text: &'static str,
}

/// All shipped mappings, in order of their ids.
pub fn list() -> Vec<Preset> {
    let mut list: Vec<Preset> = SHIPPED
        .files()
        .filter_map(|f| Some(Preset { id: f.path().to_str()?.strip_suffix(".toml")?, text: f.contents_utf8()? }))
        .collect();
    list.sort_by_key(|p| p.id);
    list
}

/// The text of a shipped mapping; `None` when no such mapping is shipped.
pub fn text(id: &str) -> Option<&'static str> {
    list().into_iter().find(|p| p.id == id).map(|p| p.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    /// Every shipped mapping is without mistakes and names itself after its file; each requires every table it reads.
    #[test]
    fn shipped_mappings_are_good() {
        assert!(list().iter().any(|p| p.id == "litemall"));
        for preset in list() {
            let mapping = match Mapping::parse(preset.id, preset.text) {
                Ok(mapping) => mapping,
                Err(problems) => panic!("{problems}"),
            };
            assert_eq!(mapping.id(), preset.id);
            assert!(!mapping.title().is_empty() && !mapping.engines().is_empty());
            for part in mapping.parts() {
                for table in &part.tables {
                    let named = mapping.requires().keys().any(|t| t.eq_ignore_ascii_case(table));
                    assert!(named, "{}: `requires` does not name {table}", preset.id);
                }
            }
        }
        assert_eq!(text("nothing"), None);
    }
}
