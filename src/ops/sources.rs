//! Databases of a case: the mapping that reads one, its password, and the one view in which it is read.

use std::path::Path;
use std::sync::Arc;

use super::{Env, Error};
use crate::config::case::{MappingRef, SourceConfig, SourceLocation};
use crate::crypto::{self, Secret};
use crate::fsio;
use crate::mapping::{Mapping, Part, preset};
use crate::model::{Engine, Lang};
use crate::source::database::{Location, SourceColumn};
use crate::source::{self, Address, RowSource};

const MAPPING_BYTES_MAX: u64 = 16 << 20;
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The engine of a source, if it is a database.
pub(super) fn engine(config: &SourceConfig) -> Option<Engine> {
    match &config.location {
        // Exported files are read into SQLite, so mappings speak its SQL to them.
        SourceLocation::Sqlite(_) | SourceLocation::Files(_) => Some(Engine::Sqlite),
        SourceLocation::Server { engine, .. } => Some(*engine),
        SourceLocation::ParquetDir(_) | SourceLocation::CsvDir(_) => None,
    }
}

/// A mapping as named in a case or on the command line, with the SHA-256 of its text.
///
/// # Errors
/// Every mistake of the file; a preset that does not exist.
pub(super) fn load_mapping(reference: &MappingRef) -> Result<(Mapping, String), Error> {
    let (mapping, bytes) = match reference {
        MappingRef::File(file) => (Mapping::load(file)?, fsio::read_bounded(file, MAPPING_BYTES_MAX)?),
        MappingRef::Preset(id) => {
            let text = preset::text(id).ok_or_else(|| {
                let known: Vec<&str> = preset::list().map(|p| p.id).collect();
                Error::usage(
                    format!("no preset is called `{id}`"),
                    format!("可用的预设：{}；或用 `mapping = \"文件\"`。", known.join("、")),
                    format!("accepted: {}; or name a file with `mapping = \"FILE\"`", known.join(", ")),
                )
            })?;
            (Mapping::parse(&format!("preset:{id}"), text)?, text.as_bytes().to_vec())
        }
    };
    Ok((mapping, crypto::sha256(&bytes).to_string()))
}

/// Opens the database of a source, asking for a password only where the server wants one that was not given.
///
/// # Errors
/// What keeps it from being reached or read.
pub(super) async fn open(env: &Env, config: &SourceConfig) -> Result<Box<dyn RowSource>, Error> {
    match &config.location {
        SourceLocation::Sqlite(path) => Ok(source::open(&Location::Sqlite(path.clone())).await?),
        SourceLocation::Files(dir) => Ok(source::open(&Location::Files(dir.clone())).await?),
        SourceLocation::Server { engine, url, password_file } => {
            let mut password = env.passwords.given(&config.name);
            if let (None, Some(file)) = (&password, password_file) {
                password = Some(read_password(file)?);
            }
            let was_given = password.is_some();
            let mut address = Address { engine: *engine, url: url.clone(), password };
            let opened = match source::open(&Location::Server(address.clone())).await {
                Err(source::Error::AccessDenied { .. }) if !was_given => {
                    address.password = env.passwords.ask(&config.name);
                    if address.password.is_none() {
                        return Err(source::Error::AccessDenied { engine: engine.word() }.into());
                    }
                    source::open(&Location::Server(address)).await?
                }
                other => other?,
            };
            warn_of_plain_text(env, config, url, opened.as_ref());
            Ok(opened)
        }
        SourceLocation::ParquetDir(_) | SourceLocation::CsvDir(_) => {
            Err(Error::Worker { doing: "opening a folder as a database" })
        }
    }
}

/// The source with so many connections in all, where its engine allows for more than one; told is when one of them had
/// to be replaced.
pub(super) fn with_readers(
    env: &Env,
    config: &SourceConfig,
    source: Box<dyn RowSource>,
    connections_max: usize,
) -> Box<dyn RowSource> {
    let (lang, notices, name) = (env.lang, Arc::clone(&env.notices), config.name.clone());
    let replaced = move |error: &source::Error| {
        notices.tell(match lang {
            Lang::Zh => format!("来源 `{name}`：{error}；快照仍在，这一段数据重新读取"),
            Lang::En => format!("source `{name}`: {error}; the snapshot lives on and those rows are read again"),
        });
    };
    source::with_readers(source, connections_max, Box::new(replaced))
}

/// A part for each table it stands for, or the part itself.
///
/// # Errors
/// When its pattern matches none of the tables.
pub(super) fn parts_of<'t>(part: &Part, tables: impl Iterator<Item = &'t str>) -> Result<Vec<Part>, Error> {
    let Some(pattern) = part.pattern() else { return Ok(vec![part.clone()]) };
    let names = part.matching(tables);
    if names.is_empty() {
        return Err(Error::usage(
            format!("dataset `{}`: no table matches `{pattern}`", part.dataset.name),
            "请核对映射文件中的 `tables` 与数据库中的表名。",
            "compare `tables` in the mapping file with the names of the tables",
        ));
    }
    Ok(names.into_iter().map(|name| part.for_table(name)).collect())
}

/// The columns a SELECT of a mapping returns.
///
/// # Errors
/// [`Error::Select`] with what the engine says about it.
pub(super) async fn columns(
    source: &mut dyn RowSource,
    dataset: &str,
    table: &str,
    sql: &str,
) -> Result<Vec<SourceColumn>, Error> {
    source.columns(sql).await.map_err(|source| Error::Select {
        dataset: dataset.into(),
        table: table.into(),
        source: Box::new(source),
    })
}

/// Only their names.
///
/// # Errors
/// As [`columns`].
pub(super) async fn header(
    source: &mut dyn RowSource,
    dataset: &str,
    table: &str,
    sql: &str,
) -> Result<Vec<String>, Error> {
    Ok(columns(source, dataset, table, sql).await?.into_iter().map(|c| c.name).collect())
}

/// Rows of people cross the network in the clear: nothing the archive could show, so it is told.
fn warn_of_plain_text(env: &Env, config: &SourceConfig, url: &url::Url, opened: &dyn RowSource) {
    let is_plain = opened.description().settings.get("tls").is_none_or(|v| v == "none");
    if is_plain && !is_here(url) {
        let name = &config.name;
        env.notices.tell(match env.lang {
            Lang::Zh => format!("来源 `{name}` 的连接未加密；请在 url 后加 ?sslmode=verify-full（MySQL：?ssl-mode=VERIFY_IDENTITY）"),
            Lang::En => format!("the connection to `{name}` is not encrypted; add ?sslmode=verify-full to its url (MySQL: ?ssl-mode=VERIFY_IDENTITY)"),
        });
    }
}

/// Whether a server is on this machine.
fn is_here(url: &url::Url) -> bool {
    let is_own_address = match url.host() {
        None => true,
        // Addresses of these schemes are not read as numbers: `127.0.0.1` comes as a name.
        Some(url::Host::Domain(name)) => {
            let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
            name.is_empty() || name == "localhost" || name.starts_with("%2") || is_loopback
        }
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
    };
    is_own_address || url.query_pairs().any(|(key, _)| key == "socket")
}

/// The first line of the file; it must not be readable by others.
fn read_password(file: &Path) -> Result<Secret, Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).map_err(|e| fsio::Error::io("read", file, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::usage(
                format!("the password file `{}` can be read by others", file.display()),
                format!("请执行 chmod 600 {}。", file.display()),
                format!("run chmod 600 {}", file.display()),
            ));
        }
    }
    let bytes = fsio::read_bounded(file, PASSWORD_BYTES_MAX)?;
    let line = bytes.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    Ok(Secret::new(line.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_this_machine() {
        for (url, expected) in [
            ("mysql://u@127.0.0.1:3306/shop", true),
            ("mysql://u@localhost/shop", true),
            ("postgres://u@[::1]/shop", true),
            ("postgres://u@%2Frun%2Fpostgresql/shop", true),
            ("mysql://u@10.0.0.7/shop?socket=/run/mysqld.sock", true),
            ("mysql://u@10.0.0.7/shop", false),
            ("postgres://u@db.example.cn/shop", false),
        ] {
            assert_eq!(is_here(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
