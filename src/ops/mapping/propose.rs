//! `mapping init`: a proposal for a database nobody has mapped yet.
//!
//! Tables, types and counts are read as they are; of the rows only a bounded number is looked at, and only shapes are
//! kept (see [`profile`]). What comes out is a mapping file that passes the lint: every guess is marked with its reason,
//! codes are listed with their counts and wait for a meaning, and what was not understood is listed as a comment.
//!
//! Limits: one SELECT per table and one table per dataset; joins, views and several tables of one kind are the
//! person's business, and so is whatever a name does not say.

mod draft;
mod guess;
mod profile;
mod words;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::case::{SourceConfig, SourceLocation};
use crate::fsio;
use crate::mapping::lint;
use crate::model::{Exit, Lang};
use crate::ops::table::table;
use crate::ops::{Answer, Env, Error, places, sources};
use draft::Head;

/// What to propose a mapping for.
#[derive(Debug, Clone)]
pub struct ProposeRequest {
    /// Address of the database, as in a case.
    pub url: String,
    /// Id of the mapping and name under which the password is looked up; default: the database's.
    pub name: Option<String>,
    /// File to write; must not exist.
    pub out: PathBuf,
}

/// Looks at the database and writes the proposal.
///
/// # Errors
/// An address that cannot be used, a file that exists, or whatever keeps the database from being read.
pub async fn propose(env: &Env, request: &ProposeRequest) -> Result<Answer, Error> {
    let wrong = |problem: &str| {
        Error::usage(
            problem.to_owned(),
            "写法：sqlite://文件、postgres://用户@主机/库、mysql://用户@主机/库、files:文件夹。",
            "write sqlite://FILE, postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE or files:DIR",
        )
    };
    let location = SourceLocation::parse(&request.url, Path::new(""), None).map_err(wrong)?;
    let id = request.name.as_deref().map_or_else(|| default_name(&location), clean);
    let config = SourceConfig { name: id.clone(), location, mapping: None, params: Default::default() };
    if sources::engine(&config).is_none() {
        return Err(wrong("only a database needs a mapping; exports with canonical names are read as they are"));
    }
    if request.out.exists() {
        return Err(fsio::Error::Exists { path: request.out.clone() }.into());
    }
    let mut source = sources::open(env, &config).await?;
    let infos = source.tables().await?;
    let tables = profile::look(env, source.as_mut(), &infos).await?;
    let proposals = guess::propose(&tables, source.engine());
    let description = source.description();
    let seen = format!("{} {}", description.engine, description.version);
    let text = draft::write(&Head { id: id.clone(), engine: source.engine(), seen }, &proposals, &tables);
    let problems = lint(&places::name(&request.out), &text);
    fsio::write_atomic(&request.out, text.as_bytes())?;

    let rows: Vec<Vec<String>> = proposals
        .iter()
        .map(|p| {
            let open = p.filled.iter().filter(|f| f.codes.is_some()).count();
            vec![
                p.dataset.name.into(),
                p.table.name.clone(),
                p.table.rows.to_string(),
                p.filled.len().to_string(),
                open.to_string(),
            ]
        })
        .collect();
    let left: Vec<Value> = tables
        .iter()
        .filter(|t| !proposals.iter().any(|p| p.table.name == t.name))
        .map(|t| json!({ "table": t.name, "rows": t.rows, "readable": t.is_readable }))
        .collect();
    let l = env.lang;
    let mut answer = table(
        &[
            l.pick("数据集", "dataset"),
            l.pick("表", "table"),
            l.pick("行数", "rows"),
            l.pick("列数", "columns"),
            l.pick("待填代码表", "code lists to fill in"),
        ],
        &rows,
    );
    let (file, count) = (request.out.display(), left.len());
    answer.push_str(&match l {
        Lang::Zh => format!("\n已写入 {file}；另有 {count} 张表未能识别，列在文件末尾。\n接下来：核对每个 `# guess:`，补全 `# fill in:`，然后 sealport mapping lint {file}\n"),
        Lang::En => format!("\nwritten to {file}; {count} more tables were not understood and are listed at its end.\nNext: confirm every `# guess:`, complete every `# fill in:`, then sealport mapping lint {file}\n"),
    });
    if proposals.is_empty() {
        answer.push_str(l.pick(
            "没有一张表可以对应到数据集；文件只列出了所见。\n",
            "no table could be matched to a dataset; the file only lists what was seen.\n",
        ));
    }
    let list: Vec<Value> = proposals
        .iter()
        .map(|p| {
            let columns: Vec<Value> =
                p.filled.iter().map(|f| json!({ "column": f.target.name, "from": f.source.name })).collect();
            json!({ "dataset": p.dataset.name, "table": p.table.name, "rows": p.table.rows, "columns": columns })
        })
        .collect();
    let problems: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    let json = json!({ "file": request.out.display().to_string(), "mapping": id, "proposals": list, "notUnderstood": left, "problems": problems });
    Ok(Answer { text: answer, json, exit: Exit::Success })
}

/// The name of the file or database.
fn default_name(location: &SourceLocation) -> String {
    let name = match location {
        SourceLocation::Sqlite(path) | SourceLocation::Files(path) => {
            path.file_stem().map(|s| s.to_string_lossy().into_owned())
        }
        SourceLocation::Server { url, .. } => url.path().rsplit('/').next().map(str::to_owned),
        SourceLocation::ParquetDir(_) | SourceLocation::CsvDir(_) => None,
    };
    clean(&name.unwrap_or_default())
}

/// A name as an id of a mapping: lower-case letters, digits, `-` and `_`.
fn clean(name: &str) -> String {
    let id: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let id = id.trim_matches('-');
    if id.is_empty() { "shop".into() } else { id.into() }
}
