//! What PostgreSQL and MySQL sources share: the address, the password, and errors that say nothing they should not.
//!
//! Messages of a server can repeat data (`invalid input syntax for type numeric: "138…"`), accounts and hosts. Only
//! those about the statement itself are passed on; everything else is told by its kind.

use std::time::Duration;

use futures::future::{Either, select};
use url::Url;

use super::Error;
use crate::crypto::Secret;
use crate::model::Engine;
use crate::progress::Cancel;

/// How long a server may take to answer the first time.
pub(super) const CONNECT_SECONDS: u64 = 20;
/// How often a wait for a server looks whether the user asked to stop.
const CANCEL_LOOK: Duration = Duration::from_millis(200);

/// Where a server is and who asks; the password stands apart from the address and is never shown.
#[derive(Debug, Clone)]
pub struct Address {
    /// Engine.
    pub engine: Engine,
    /// The URL, without a password.
    pub url: Url,
    /// The password, if one is needed.
    pub password: Option<Secret>,
}

impl Address {
    /// The URL with the password in it, for the driver only.
    pub(super) fn url(&self) -> Result<Url, Error> {
        let mut url = self.url.clone();
        if let Some(password) = &self.password {
            let text =
                std::str::from_utf8(password.expose()).map_err(|_| Error::Encoding { file: "password".into() })?;
            url.set_password(Some(text)).map_err(|()| Error::Address { reason: "it cannot carry a password" })?;
        }
        Ok(url)
    }
}

/// Connects within the time a person waits.
pub(super) async fn connect<T>(
    engine: Engine,
    connecting: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(Duration::from_secs(CONNECT_SECONDS), connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(e)) => Err(driver(engine, "connect to", e)),
        Err(_) => Err(Error::Unreachable { engine: engine.word(), reason: "it does not answer" }),
    }
}

/// Runs a read that may wait for a server until it ends or the user asks to stop.
pub(super) async fn unless_cancelled<T>(
    cancel: &Cancel,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let stopped = async {
        loop {
            cancel.check()?;
            tokio::time::sleep(CANCEL_LOOK).await;
        }
    };
    match select(Box::pin(work), Box::pin(stopped)).await {
        Either::Left((result, _)) => result,
        Either::Right((stop, _)) => {
            let stop: Result<std::convert::Infallible, Error> = stop;
            stop.map(|never| match never {})
        }
    }
}

/// Sorts an error of the driver.
pub(super) fn driver(engine: Engine, action: &'static str, error: sqlx::Error) -> Error {
    let name = engine.word();
    match &error {
        sqlx::Error::Database(e) => {
            let code = e.code().unwrap_or_default().into_owned();
            match engine {
                Engine::Postgres => postgres(action, &code, e.message()),
                Engine::MySql => {
                    let number = e.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map_or(0, |e| e.number());
                    mysql(action, number, &code, e.message())
                }
                Engine::Sqlite => Error::Server { engine: name, action, code },
            }
        }
        sqlx::Error::Io(e) if action == "connect to" => {
            let reason = match e.kind() {
                std::io::ErrorKind::ConnectionRefused => "nothing listens at that address",
                std::io::ErrorKind::NotFound => "its socket does not exist",
                std::io::ErrorKind::TimedOut => "it does not answer",
                std::io::ErrorKind::PermissionDenied => "this user may not open its socket",
                _ => "its name or network cannot be reached",
            };
            Error::Unreachable { engine: name, reason }
        }
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => {
            Error::ConnectionLost { engine: name }
        }
        sqlx::Error::Tls(_) => Error::Tls { engine: name },
        sqlx::Error::Configuration(_) => Error::Address { reason: "the driver does not understand it" },
        sqlx::Error::Protocol(_) if action == "connect to" => {
            Error::Unreachable { engine: name, reason: "what answers there speaks another protocol" }
        }
        // A stream that breaks in the middle of a message.
        sqlx::Error::Protocol(_) => Error::ConnectionLost { engine: name },
        _ => Error::Engine { action, source: Box::new(error) },
    }
}

/// By SQLSTATE class (PostgreSQL documentation, Appendix A).
fn postgres(action: &'static str, code: &str, message: &str) -> Error {
    let engine = Engine::Postgres.word();
    match code {
        "42501" => Error::Privilege { engine, message: message.into() },
        "57014" => Error::Stopped { engine, reason: "its statement timeout passed or an administrator cancelled it" },
        "25P03" | "25P04" | "57P01" | "57P02" | "57P03" | "57P05" | "08000" | "08003" | "08006" => {
            Error::ConnectionLost { engine }
        }
        "40001" | "40P01" => Error::Stopped { engine, reason: "it ended the query to resolve a conflict with others" },
        "55P03" => Error::Locked { engine },
        "53300" => Error::Unreachable { engine, reason: "it has no free connection" },
        "3D000" => Error::Unreachable { engine, reason: "it has no database of that name" },
        _ if code.starts_with("28") => Error::AccessDenied { engine },
        _ if code.starts_with("42") || code == "0A000" => Error::Sql { message: message.into() },
        "25006" => Error::NotARead { reason: "the server says it would write" },
        _ => Error::Server { engine, action, code: code.into() },
    }
}

/// By error number (MySQL and MariaDB error references); the SQLSTATE is too coarse there.
fn mysql(action: &'static str, number: u16, code: &str, message: &str) -> Error {
    let engine = Engine::MySql.word();
    match number {
        1045 | 1698 | 1251 | 2049 => Error::AccessDenied { engine },
        1044 => Error::Unreachable { engine, reason: "this account may not use that database" },
        1049 => Error::Unreachable { engine, reason: "it has no database of that name" },
        1040 | 1203 | 1226 => Error::Unreachable { engine, reason: "it has no free connection" },
        1142 | 1143 | 1227 | 1370 => Error::Privilege { engine, message: without_accounts(message) },
        1053 | 1080 | 1152 | 1153 | 1159 | 1160 | 1161 | 1184 | 1927 | 2006 | 2013 => Error::ConnectionLost { engine },
        1205 | 1213 => Error::Stopped { engine, reason: "it ended the query to resolve a conflict with others" },
        1317 | 1969 | 3024 => {
            Error::Stopped { engine, reason: "its statement timeout passed or an administrator cancelled it" }
        }
        1412 => Error::Altered { engine },
        1792 => Error::NotARead { reason: "the server says it would write" },
        // Syntax, unknown tables and columns, mixed collations, wrong functions: about the statement, not the data.
        1052 | 1054 | 1055 | 1064 | 1066 | 1109 | 1111 | 1128 | 1140 | 1146 | 1222 | 1241 | 1242 | 1247 | 1253
        | 1267 | 1270 | 1271 | 1305 | 1356 | 1407 | 1582 => Error::Sql { message: message.into() },
        _ => Error::Server { engine, action, code: if number == 0 { code.into() } else { number.to_string() } },
    }
}

/// "SELECT command denied to user 'x'@'host' for table `t`": the account and its host are left out.
fn without_accounts(message: &str) -> String {
    match (message.find(" to user "), message.find(" for ")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &message[..from], &message[to..]),
        (Some(from), None) => message[..from].to_owned(),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages that may repeat data or accounts are told by kind only.
    #[test]
    fn messages_with_data_are_not_passed_on() {
        let e = postgres("read", "22P02", "invalid input syntax for type numeric: \"13800138000\"");
        assert!(!e.to_string().contains("138"), "{e}");
        let e = mysql("read", 1142, "42000", "SELECT command denied to user 'zhang'@'10.1.2.3' for table `shop`.`pay`");
        assert!(!e.to_string().contains("zhang") && e.to_string().contains("pay"), "{e}");
        let e = mysql("read", 1292, "22007", "Incorrect DECIMAL value: '13800138000'");
        assert!(!e.to_string().contains("138"), "{e}");
    }
}
