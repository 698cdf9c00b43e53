//! `mapping explain`: how the engine would run each SELECT, and whether it gives more rows than its main table has.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::Case;
use crate::mapping::Part;
use crate::model::{Bilingual, Exit};
use crate::ops::seal::plan::Plan;
use crate::ops::{Answer, Env, Error, sources};
use crate::source::RowSource;
use crate::source::database::{QueryPlan, Select};

/// Explains the SELECTs of a case, all or those of one dataset.
///
/// # Errors
/// Mistakes in the case or its mappings; a source that cannot be reached or that refuses a SELECT; a dataset no SELECT
/// feeds.
pub async fn explain(env: &Env, dir: &Path, dataset: Option<&str>) -> Result<Answer, Error> {
    let case = Case::load(dir)?;
    let plan = Plan::of(&case)?;
    let mut text = String::new();
    let mut list: Vec<Value> = Vec::new();
    for (index, database) in plan.databases.iter().enumerate() {
        let wanted: Vec<&Part> = plan.parts(index).filter(|p| dataset.is_none_or(|d| d == p.dataset.name)).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut source = sources::open(env, &database.config).await?;
        // Only a SELECT that stands for many tables needs to know them.
        let is_listed = wanted.iter().any(|p| p.pattern().is_some());
        let tables = if is_listed { source.tables().await? } else { Vec::new() };
        for declared in wanted {
            for part in sources::parts_of(declared, tables.iter().map(|t| t.name.as_str()))? {
                env.cancel.check()?;
                let explained = one(source.as_mut(), &part).await?;
                text.push_str(&explained.text(env, &database.name, &part));
                list.push(explained.json(&database.name, &part));
            }
        }
    }
    if list.is_empty() {
        return Err(super::nothing_feeds(dataset));
    }
    Ok(Answer { text, json: json!({ "selects": list }), exit: Exit::Success })
}

struct Explained {
    plan: QueryPlan,
    rows: u64,
    /// Rows of the main table; `None` where it cannot be counted by its name alone.
    table_rows: Option<u64>,
}

async fn one(source: &mut dyn RowSource, part: &Part) -> Result<Explained, Error> {
    let failed =
        |e| Error::Select { dataset: part.dataset.name.into(), table: part.table.clone(), source: Box::new(e) };
    let select = Select { sql: &part.sql, values: &part.values };
    let plan = source.explain(select).await.map_err(failed)?;
    let sql = format!("SELECT COUNT(*) FROM (\n{}\n) AS part", part.sql);
    let rows = count(source, &sql, &part.values).await.map_err(failed)?.unwrap_or(0);
    let sql = format!("SELECT COUNT(*) FROM {}", part.engine.quoted_table(&part.table));
    // A declared main table may be a view or a name inside the statement; then there is nothing to compare with.
    let table_rows = count(source, &sql, &[]).await.unwrap_or_default();
    Ok(Explained { plan, rows, table_rows })
}

async fn count(source: &mut dyn RowSource, sql: &str, values: &[String]) -> Result<Option<u64>, crate::source::Error> {
    let row = source.first_row(Select { sql, values }).await?;
    Ok(row.into_iter().next().flatten().and_then(|n| n.parse().ok()))
}

impl Explained {
    fn warnings(&self) -> Vec<(&'static str, Bilingual)> {
        let mut out = Vec::new();
        if self.plan.has_sort {
            out.push((
                "sort",
                Bilingual::new(
                    "整体排序：第一行之前要先排完所有行；若无合适索引，请考虑去掉 order",
                    "a full sort: all rows are sorted before the first one comes; without a fitting index, consider leaving `order` out",
                ),
            ));
        }
        if self.plan.has_temporary {
            out.push((
                "temporary",
                Bilingual::new(
                    "使用临时表或临时索引：大表会占用源库的内存或磁盘",
                    "a temporary table or index: on large tables it takes memory or disk of the source",
                ),
            ));
        }
        if let Some(table) = self.table_rows.filter(|t| self.rows > *t) {
            out.push((
                "multiplies",
                Bilingual::new(
                    format!("结果 {} 行，多于主表的 {table} 行：连接使行数增多，主键可能重复", self.rows),
                    format!("{} rows from a table of {table}: a join multiplies rows, keys may repeat", self.rows),
                ),
            ));
        }
        out
    }

    fn text(&self, env: &Env, source: &str, part: &Part) -> String {
        let l = env.lang;
        let table = self.table_rows.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mut text = format!(
            "{} ← {source}.{}\n  {} {} · {} {table}\n",
            part.dataset.name,
            part.table,
            l.pick("结果行数", "rows of the SELECT"),
            self.rows,
            l.pick("主表行数", "rows of the main table"),
        );
        for condition in &part.conditions {
            text.push_str(&format!("  {}: {condition}\n", l.pick("条件", "condition")));
        }
        for step in &self.plan.steps {
            text.push_str(&format!("    {step}\n"));
        }
        for (_, words) in self.warnings() {
            text.push_str(&format!("  ! {}\n", words.get(l)));
        }
        text.push('\n');
        text
    }

    fn json(&self, source: &str, part: &Part) -> Value {
        let warnings: Vec<&str> = self.warnings().into_iter().map(|(code, _)| code).collect();
        json!({
            "source": source,
            "dataset": part.dataset.name,
            "part": part.index,
            "table": part.table,
            "rows": self.rows,
            "tableRows": self.table_rows,
            "conditions": part.conditions,
            "plan": self.plan.steps,
            "warnings": warnings,
        })
    }
}
