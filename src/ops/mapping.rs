//! `mapping list`, `mapping show`, `mapping lint`; in modules of their own what looks at data or policies: `coverage`,
//! `explain`, `init`, `try`.

pub mod coverage;
pub mod explain;
pub mod propose;
pub mod sample;

use std::path::Path;

use serde_json::{Value, json};

use super::{Answer, Env, Error, sources};
use crate::config::Case;
use crate::config::case::MappingRef;
use crate::model::Exit;

/// The mappings a case uses.
///
/// # Errors
/// When the case or a mapping cannot be read.
pub fn list(env: &Env, dir: &Path) -> Result<Answer, Error> {
    let case = Case::load(dir)?;
    let mut text = String::new();
    let mut rows: Vec<Value> = Vec::new();
    for source in &case.sources {
        let (Some(_), Some(reference)) = (sources::engine(source), &source.mapping) else {
            let line = env.lang.pick("规范列名，无需映射", "canonical names, no mapping needed");
            text.push_str(&format!("{:<16} {line}\n", source.name));
            rows.push(json!({ "source": source.name, "mapping": null }));
            continue;
        };
        let (mapping, _) = sources::load_mapping(reference)?;
        text.push_str(&format!("{:<16} {} · {}\n", source.name, mapping.src_system(), mapping.title()));
        rows.push(json!({ "source": source.name, "mapping": mapping.src_system(), "file": reference.to_string() }));
    }
    Ok(Answer { text, json: json!({ "mappings": rows }), exit: Exit::Success })
}

/// What a mapping fills, from which tables, and what it says is absent.
///
/// # Errors
/// When the file cannot be read or is wrong.
pub fn show(env: &Env, reference: &MappingRef) -> Result<Answer, Error> {
    let (mapping, _) = sources::load_mapping(reference)?;
    let mut text = format!("{} · {}\n", mapping.src_system(), mapping.title());
    let mut parts: Vec<Value> = Vec::new();
    for part in mapping.parts() {
        text.push_str(&format!("{:<22} ← {:<24} {}\n", part.dataset.name, part.table, part.conditions.join("; ")));
        parts.push(json!({
            "dataset": part.dataset.name, "table": part.table, "columns": part.columns,
            "conditions": part.conditions, "evidence": part.evidence, "sql": part.sql,
            "engines": part.engines().iter().map(|e| e.word()).collect::<Vec<_>>(),
        }));
    }
    for (dataset, why) in mapping.absent() {
        text.push_str(&format!("{dataset:<22} {}: {why}\n", env.lang.pick("声明不存在", "declared absent")));
    }
    let json = json!({ "mapping": mapping.src_system(), "title": mapping.title(), "parts": parts, "absent": mapping.absent() });
    Ok(Answer { text, json, exit: Exit::Success })
}

/// Every mistake of a mapping at once.
///
/// # Errors
/// When the file cannot be read, or all its mistakes.
pub fn lint(env: &Env, reference: &MappingRef) -> Result<Answer, Error> {
    let (mapping, _) = sources::load_mapping(reference)?;
    Ok(Answer {
        text: match env.lang {
            crate::model::Lang::Zh => {
                format!("{}：未发现错误，{} 条 SELECT", mapping.src_system(), mapping.parts().len())
            }
            crate::model::Lang::En => {
                format!("{}: no mistakes, {} SELECTs", mapping.src_system(), mapping.parts().len())
            }
        },
        json: json!({ "mapping": mapping.src_system(), "selects": mapping.parts().len(), "problems": [] }),
        exit: Exit::Success,
    })
}

/// No SELECT of the case feeds what was asked for.
fn nothing_feeds(dataset: Option<&str>) -> Error {
    let message = match dataset {
        Some(name) => format!("no SELECT of the case feeds a dataset `{name}`"),
        None => "the case has no database with a mapping".to_owned(),
    };
    Error::usage(
        message,
        "`sealport mapping list 案件文件夹` 列出映射，`sealport mapping show 映射` 列出其数据集。",
        "`sealport mapping list CASE` lists the mappings, `sealport mapping show MAPPING` what one fills",
    )
}
