//! The generated pages of the canonical schema are the ones in the repository.

use std::path::Path;

use sealport::schema::page;

/// `docs/schema.md` and `docs/schema.json` are current; set `UPDATE_DOCS=1` to write them.
#[test]
fn schema_pages_are_current() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let json = serde_json::to_string_pretty(&page::json()).unwrap() + "\n";
    for (name, text) in [("schema.md", page::markdown()), ("schema.json", json)] {
        let path = docs.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "docs/{name} is stale: run `UPDATE_DOCS=1 cargo test schema_pages`");
    }
}
