//! HTML from the templates and JSON from the model. Templates format; they decide nothing.

use include_dir::{Dir, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::error::Error;
use super::format::{thousands, yuan};
use super::model::Model;
use super::words;
use crate::model::{Bilingual, Lang};

static TEMPLATES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// One self-contained HTML page.
///
/// # Errors
/// [`Error::Template`] when a built-in template is broken.
pub fn html(model: &Model, lang: Lang) -> Result<String, Error> {
    let failed = |template: &str| {
        let template = template.to_owned();
        move |source| Error::Template { template, source }
    };
    let env = environment(lang)?;
    let page = env.get_template("report.html").map_err(failed("report.html"))?;
    // The page is filled from the JSON form, so that the two cannot differ in their facts.
    let context = Value::from_pairs([("m", value_of(&json(model)?)), ("lang", Value::from(lang.code()))]);
    page.render(context).map_err(failed("report.html"))
}

/// The same facts as JSON, `report_format` 1.
///
/// # Errors
/// [`Error::Json`], which no model of this program causes.
pub fn json(model: &Model) -> Result<serde_json::Value, Error> {
    Ok(serde_json::to_value(model)?)
}

fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(b) => Value::from(*b),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Value::from(n),
            (None, Some(n)) => Value::from(n),
            (None, None) => Value::from(n.as_f64()),
        },
        serde_json::Value::String(s) => Value::from(s.as_str()),
        serde_json::Value::Array(items) => Value::from(items.iter().map(value_of).collect::<Vec<_>>()),
        serde_json::Value::Object(fields) => Value::from_pairs(fields.iter().map(|(k, v)| (k.as_str(), value_of(v)))),
    }
}

fn environment(lang: Lang) -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|source| Error::Template { template: "syntax".into(), source })?,
    );
    // The stylesheet is included into a page of our own and holds no value from data.
    env.set_auto_escape_callback(|name| if name.ends_with(".css") { AutoEscape::None } else { AutoEscape::Html });
    for file in TEMPLATES.files() {
        let name = file.path().to_string_lossy().into_owned();
        let Some(source) = file.contents_utf8() else { continue };
        env.add_template_owned(name.clone(), source.to_owned())
            .map_err(|source| Error::Template { template: name, source })?;
    }
    let pick = move |b: Bilingual| b.get(lang).to_owned();
    env.add_function("t", move |zh: &str, en: &str| lang.pick(zh, en).to_owned());
    env.add_filter("l", move |value: &Value| -> Result<String, minijinja::Error> {
        let text = value.get_attr(lang.code())?;
        Ok(text.as_str().map(str::to_owned).unwrap_or_default())
    });
    env.add_filter("w", move |value: &str| pick(words::word(value)));
    env.add_filter("col", move |value: &str| pick(words::column(value)));
    env.add_filter("period", move |value: &str| words::period(value).get(lang).to_owned());
    env.add_filter("yuan", |fen: i64| yuan(fen));
    env.add_filter("n", |n: i64| format!("{}{}", if n < 0 { "-" } else { "" }, thousands(n.unsigned_abs())));
    env.add_filter("local", |instant: &str, options: Kwargs| -> Result<String, minijinja::Error> {
        let zone: String = options.get("zone")?;
        options.assert_all_used()?;
        Ok(local(instant, &zone))
    });
    env.add_filter("wall", |instant: &str, options: Kwargs| -> Result<String, minijinja::Error> {
        let zone: String = options.get("zone")?;
        options.assert_all_used()?;
        // The zone stands in section 11; every time of a table is in it.
        let text = local(instant, &zone);
        Ok(match text.split_once(" +") {
            Some((wall, _)) => wall.to_owned(),
            None => text,
        })
    });
    env.add_filter("sum_of", |rows: &Value, field: &str| -> Result<i64, minijinja::Error> {
        let mut sum = 0_i64;
        for row in rows.try_iter()? {
            sum = sum.saturating_add(i64::try_from(row.get_attr(field)?).unwrap_or(0));
        }
        Ok(sum)
    });
    env.add_filter("short", |digest: &str| digest.get(..16).unwrap_or(digest).to_owned());
    Ok(env)
}

/// An instant in the business zone with its offset; text that is no instant stays as it is.
fn local(instant: &str, zone: &str) -> String {
    let parsed = chrono::DateTime::parse_from_rfc3339(instant);
    match (parsed, zone.parse::<chrono_tz::Tz>()) {
        (Ok(t), Ok(zone)) => t.with_timezone(&zone).format("%Y-%m-%d %H:%M %:z").to_string(),
        _ => instant.to_owned(),
    }
}
