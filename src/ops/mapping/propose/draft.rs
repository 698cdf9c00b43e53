//! The proposal as a mapping file: what was guessed is marked with its reason, what was not understood is listed.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Engine;

use super::guess::{Filled, Proposal, is_writable};
use super::profile::{Column, Table};

/// What the head of the file says.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) engine: Engine,
    /// Engine and version, for the reader.
    pub(super) seen: String,
}

/// Writes the file.
pub(super) fn write(head: &Head, proposals: &[Proposal<'_>], tables: &[Table]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&format!(
        "# A proposal for `{}`, made from names, types and the shapes of values ({}).",
        head.id,
        comment(&head.seen)
    ));
    line("# Every line under `# guess:` is a guess with its reason: confirm or correct it, then delete the mark.");
    line("# `# fill in:` is to be completed: a code with an empty meaning counts as \"no value\".");
    line(
        "# Then: sealport mapping lint FILE; sealport mapping try CASE; sealport mapping coverage CASE; sealport doctor CASE.",
    );
    line("");
    line("[mapping]");
    line(&format!("id = \"{}\"", head.id));
    line("version = 1");
    line("title = \"\"                     # fill in: the product's name");
    line(&format!("engines = [\"{}\"]", head.engine.word()));
    let is_zone_needed = proposals.iter().flat_map(|p| &p.filled).any(needs_zone);
    if is_zone_needed {
        line("# guess: local times need the zone in which the program wrote them; its value stands in case.toml as");
        line("# params = { zone = \"Asia/Shanghai\" } of the source.");
        line("zone = \"param:zone\"");
        line(
            "zone_evidence = \"not confirmed yet\"   # fill in: e.g. \"application config\" or \"confirmed by NAME on DATE\"",
        );
    }
    line("");
    line("[mapping.requires]");
    for proposal in proposals {
        let columns: BTreeSet<&str> = proposal.filled.iter().map(|f| f.source.name.as_str()).collect();
        let list: Vec<String> = columns.iter().map(|c| quoted(c)).collect();
        line(&format!("{} = [{}]", quoted(&proposal.table.name), list.join(", ")));
    }
    if is_zone_needed {
        line("");
        line("[params]");
        line("zone = { kind = \"zone\", title = \"zone of local times\" }");
    }
    for proposal in proposals {
        for filled in &proposal.filled {
            if let Some(codes) = filled.codes {
                line("");
                enumeration(proposal, filled, codes, &mut line);
            }
        }
    }
    for proposal in proposals {
        line("");
        dataset(head.engine, proposal, &mut line);
    }
    line("");
    line("# What the product does not keep is to be said, so that reports tell \"not kept\" from \"not mapped yet\":");
    line("# [absent]");
    line("# withdrawals = \"not a feature of this product\"");
    left_over(proposals, tables, &mut line);
    out
}

fn needs_zone(filled: &Filled<'_>) -> bool {
    filled.conversion.iter().any(|c| c.starts_with("time = \"local\"") || c.starts_with("time = \"pattern\""))
}

fn enum_name(proposal: &Proposal<'_>, filled: &Filled<'_>) -> String {
    format!("{}_{}", proposal.dataset.name, filled.target.name)
}

fn enumeration(proposal: &Proposal<'_>, filled: &Filled<'_>, codes: &[(String, u64)], line: &mut dyn FnMut(&str)) {
    let vocabulary = filled.target.vocabulary.unwrap_or_default();
    line(&format!(
        "# fill in: what each code of `{}`.`{}` means, one of {};",
        comment(&proposal.table.name),
        comment(&filled.source.name),
        vocabulary.join(", ")
    ));
    line("# the program's meaning counts, not the comment on the table.");
    line(&format!("[enum.{}]", enum_name(proposal, filled)));
    for (code, count) in codes {
        let word = vocabulary.iter().find(|w| w.eq_ignore_ascii_case(code)).copied().unwrap_or_default();
        let mark = if word.is_empty() { "" } else { "guess: the same word; " };
        line(&format!("{} = \"{word}\"   # {mark}{count} rows", quoted(code)));
    }
    line("on_unknown = \"quarantine\"");
}

fn dataset(engine: Engine, proposal: &Proposal<'_>, line: &mut dyn FnMut(&str)) {
    let table = proposal.table;
    line(&format!(
        "# guess: {} feeds {}: {} ({} rows)",
        comment(&table.name),
        proposal.dataset.name,
        proposal.why,
        table.rows
    ));
    line(&format!("[dataset.{}]", proposal.dataset.name));
    line("evidence = \"recorded\"");
    let keys: Vec<String> = proposal
        .filled
        .iter()
        .filter(|f| proposal.dataset.key.contains(&f.target.name))
        .map(|f| engine.quoted(&f.source.name))
        .collect();
    line(&format!("order = '{}'", keys.join(", ")));
    line(&format!("sql.{} = '''", engine.word()));
    let list: Vec<String> =
        proposal.filled.iter().map(|f| format!("{} AS {}", engine.quoted(&f.source.name), f.target.name)).collect();
    line(&format!("SELECT {}", list.join(",\n       ")));
    line(&format!("  FROM {}", engine.quoted_table(&table.name)));
    line("'''");
    for filled in &proposal.filled {
        let mut parts = filled.conversion.clone();
        if filled.codes.is_some() {
            parts.push(format!("enum = \"{}\"", enum_name(proposal, filled)));
        }
        line(&format!("# guess: {} ← {}: {}", filled.target.name, comment(&filled.source.name), filled.why));
        if !parts.is_empty() {
            line(&format!("conv.{} = {{ {} }}", filled.target.name, parts.join(", ")));
        }
    }
    for constant in &proposal.constants {
        line(&format!("# guess: {}", constant.why));
        line(&format!("conv.{} = {{ const = \"{}\" }}", constant.column, constant.value));
    }
    let unused: Vec<&Column> = table.columns.iter().filter(|c| !proposal.uses(&c.name)).collect();
    if !unused.is_empty() {
        line(&format!("# not used of {}:", comment(&table.name)));
        columns(&unused, line);
    }
}

fn left_over(proposals: &[Proposal<'_>], tables: &[Table], line: &mut dyn FnMut(&str)) {
    let taken: BTreeMap<&str, &str> = proposals.iter().map(|p| (p.table.name.as_str(), p.dataset.name)).collect();
    let rest: Vec<&Table> = tables.iter().filter(|t| !taken.contains_key(t.name.as_str())).collect();
    if rest.is_empty() {
        return;
    }
    line("");
    line("# Not understood: map what belongs to a dataset (`sealport schema`), leave out what does not.");
    for table in rest {
        let looks = super::guess::dataset_of(&table.name).map_or_else(String::new, |(d, _)| format!(", perhaps {d}"));
        let access = if table.is_readable { "" } else { ", not readable by this account" };
        line("#");
        line(&format!("# {}: {} rows{looks}{access}", comment(&table.name), table.rows));
        columns(&table.columns.iter().collect::<Vec<_>>(), line);
    }
}

fn columns(list: &[&Column], line: &mut dyn FnMut(&str)) {
    for column in list {
        let mut text = format!("#   {} {}", comment(&column.name), comment(&column.type_name));
        let care = column.care.word();
        if !care.is_empty() {
            text.push_str(&format!(" — {care}"));
        }
        if !is_writable(&column.name) {
            text.push_str(" — its name needs quoting by hand");
        }
        if let Some(codes) = column.codes.as_ref().filter(|c| !c.is_empty()) {
            let shown: Vec<String> = codes.iter().map(|(code, n)| format!("{} ({n})", comment(code))).collect();
            text.push_str(&format!(" — codes {}", shown.join(", ")));
        }
        line(&text);
    }
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A text inside a comment: control characters would end it.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
