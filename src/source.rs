//! Reading rows from wherever a merchant keeps them: databases (SQLite, PostgreSQL, MySQL and MariaDB), canonical
//! files, registers, platform bills.
//!
//! Responsible for opening each kind of source read-only, for streaming its rows as [`crate::rows::RawBatch`] in
//! bounded memory, and for refusing what cannot be trusted (damaged databases, numbers destroyed by a spreadsheet,
//! personal exports). Not responsible for what a cell means: that is the mapping's business, and nothing here
//! changes a value except where a page of the bill documentation says so.
//!
//! Limits: file names, never contents, appear in errors; a line of text may have at most 1 MiB.

pub mod bills;
pub mod canonical_files;
mod civil;
mod damage;
pub mod database;
mod delimited;
mod exports;
mod mysql;
mod parquet_cells;
mod postgres;
mod readers;
pub mod register;
mod server;
pub mod sqlite;
mod statement;

use std::path::PathBuf;

use crate::fsio;
use crate::hint::Hint;
use crate::model::{Engine, Exit, Lang};
use crate::progress::Interrupted;

pub use bills::Refusal;
pub use database::RowSource;
pub use delimited::CanonicalRows;
pub use readers::Replaced;
pub use server::Address;

use database::Location;

/// Opens a database and begins the one read-only view in which everything is read.
///
/// # Errors
/// What keeps it from being reached or read, each as its own error.
pub async fn open(location: &Location) -> Result<Box<dyn RowSource>, Error> {
    Ok(match location {
        Location::Sqlite(path) => Box::new(sqlite::SqliteSource::open(path).await?),
        Location::Files(dir) => {
            let dir = dir.clone();
            let open = tokio::task::spawn_blocking(move || exports::open(&dir));
            Box::new(open.await.map_err(|_| Error::ReceiverGone)??)
        }
        Location::Server(address) if address.engine == Engine::Postgres => {
            Box::new(postgres::PostgresSource::open(address).await?)
        }
        Location::Server(address) => Box::new(mysql::MySqlSource::open(address).await?),
    })
}

/// A source whose large tables are read over further connections to the same snapshot, `connections_max` in all, where
/// its engine can prove that they see the same. `on_replaced` is told when one of them had to be replaced.
pub fn with_readers(source: Box<dyn RowSource>, connections_max: usize, on_replaced: Replaced) -> Box<dyn RowSource> {
    match connections_max.saturating_sub(1) {
        0 => source,
        readers => Box::new(readers::Readers::new(source, readers, on_replaced)),
    }
}

/// A source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The bytes are not a SQLite database (or an encrypted one).
    #[error("`{}` is not a SQLite database", path.display())]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// The database file is shorter than its own header says.
    #[error("`{}` is cut off: {actual_bytes} bytes of {expected_bytes}", path.display())]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// Bytes according to the header.
        expected_bytes: u64,
        /// Bytes found.
        actual_bytes: u64,
    },
    /// The engine met pages that contradict each other.
    #[error("`{}` is damaged: {message}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// The engine's words.
        message: String,
    },
    /// Another program holds a lock.
    #[error("`{}` is locked by another program", path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// The engine cannot open the file or its journal.
    #[error("`{}` cannot be opened by SQLite: {message}", path.display())]
    CannotOpen {
        /// Which file.
        path: PathBuf,
        /// The engine's words.
        message: String,
    },
    /// The engine refused a statement, e.g. because a table or column is missing.
    #[error("the database refuses the query: {message}")]
    Sql {
        /// The engine's words.
        message: String,
    },
    /// Anything else that goes wrong between us and the engine.
    #[error("cannot {action} the database")]
    Engine {
        /// What was tried, as a verb.
        action: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An address that cannot be used.
    #[error("the address of the database cannot be used: {reason}")]
    Address {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A server that cannot be reached.
    #[error("the {engine} server cannot be reached: {reason}")]
    Unreachable {
        /// Which engine.
        engine: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A server that refuses the account or its password.
    #[error("the {engine} server refuses the account or its password")]
    AccessDenied {
        /// Which engine.
        engine: &'static str,
    },
    /// No encrypted connection could be made.
    #[error("no trusted encrypted connection to the {engine} server could be made")]
    Tls {
        /// Which engine.
        engine: &'static str,
    },
    /// The connection broke off.
    #[error("the connection to the {engine} server was lost while rows were read")]
    ConnectionLost {
        /// Which engine.
        engine: &'static str,
    },
    /// The server ended a query.
    #[error("the {engine} server ended a query: {reason}")]
    Stopped {
        /// Which engine.
        engine: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Somebody else keeps a table locked.
    #[error("the {engine} server did not let a table be read, because another session wants to alter it")]
    Locked {
        /// Which engine.
        engine: &'static str,
    },
    /// A table was made or altered after the snapshot began.
    #[error("a table was altered on the {engine} server after the snapshot began, so it cannot be read as it was")]
    Altered {
        /// Which engine.
        engine: &'static str,
    },
    /// The account may not read something.
    #[error("the account may not read what the mapping needs: {message}")]
    Privilege {
        /// Which engine.
        engine: &'static str,
        /// The engine's words, without account and host.
        message: String,
    },
    /// Any other refusal of a server; its words may repeat data and are left out.
    #[error("the {engine} server failed to {action} (its code {code})")]
    Server {
        /// Which engine.
        engine: &'static str,
        /// What was tried, as a verb.
        action: &'static str,
        /// SQLSTATE or error number.
        code: String,
    },
    /// The session does not keep its zone.
    #[error("the session of the database is not in UTC, so its TIMESTAMP columns cannot be read")]
    SessionZone,
    /// A statement that is more than one SELECT.
    #[error("only a single SELECT is read from a source: {reason}")]
    NotARead {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody takes the rows any more.
    #[error("the reader of the rows has gone")]
    ReceiverGone,
    /// A file name that is no dataset.
    #[error("`{file}` is not named after a dataset (accepted: {accepted})")]
    UnknownDataset {
        /// File name.
        file: String,
        /// All accepted file names.
        accepted: String,
    },
    /// A header names a column the dataset does not have.
    #[error("`{file}`: no column `{column}` (accepted: {accepted})")]
    UnknownColumn {
        /// File name.
        file: String,
        /// The name found.
        column: String,
        /// All accepted names.
        accepted: String,
    },
    /// A header lacks a key column.
    #[error("`{file}`: key column `{column}` is missing")]
    MissingColumn {
        /// File name.
        file: String,
        /// The missing name.
        column: String,
    },
    /// A header names a column twice.
    #[error("`{file}`: column `{column}` appears twice")]
    DuplicateColumn {
        /// File name.
        file: String,
        /// The repeated name.
        column: String,
    },
    /// A line does not have the form of its file.
    #[error("`{file}`, line {line}: {reason}")]
    BadLine {
        /// File name.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The bytes are neither UTF-8 nor GB18030.
    #[error("`{file}` is neither UTF-8 nor GBK text")]
    Encoding {
        /// File name.
        file: String,
    },
    /// A Parquet column of a type that holds no canonical value.
    #[error("`{file}`: column `{column}` has type {found}, which no canonical column has")]
    UnsupportedType {
        /// File name.
        file: String,
        /// Column.
        column: String,
        /// The type found.
        found: String,
    },
    /// The Parquet file cannot be decoded.
    #[error("`{file}` is not a readable Parquet file")]
    Parquet {
        /// File name.
        file: String,
        /// Why not.
        source: parquet::errors::ParquetError,
    },
    /// A spreadsheet program has destroyed values.
    #[error("`{file}` was damaged by a spreadsheet program: {}", places.join("; "))]
    Damaged {
        /// File name.
        file: String,
        /// Rows and columns, at most twenty.
        places: Vec<String>,
    },
    /// Files that would not fit into memory.
    #[error("`{file}` makes the exports larger than this program holds in memory")]
    TooLarge {
        /// File name.
        file: String,
    },
    /// A folder of exports that holds none.
    #[error("`{}` holds no CSV file and no workbook", path.display())]
    NoExports {
        /// Which folder.
        path: PathBuf,
    },
    /// A workbook that cannot be opened.
    #[error("`{file}` is not a readable workbook")]
    Workbook {
        /// File name.
        file: String,
    },
    /// Recognised, but not a bill this program may or can read.
    #[error("`{file}` is refused: {refusal}")]
    Refused {
        /// File name.
        file: String,
        /// What it is.
        refusal: Refusal,
    },
    /// The file was changed while it was read.
    #[error("`{file}` changed while it was read")]
    Changed {
        /// File name.
        file: String,
    },
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::File(e) => return e.hint(lang),
            Self::NotADatabase { .. } => lang.pick(
                "请确认 case.toml 中的路径指向未加密的 SQLite 数据库文件。",
                "Check that the path in case.toml names an unencrypted SQLite database file.",
            ),
            Self::Truncated { .. } => lang.pick(
                "文件复制不完整：请重新复制（例如用 sqlite3 的 .backup 命令）后再试。",
                "The copy is incomplete: copy the database again (for example with sqlite3's .backup command).",
            ),
            Self::Corrupt { .. } => lang.pick(
                "请用 `sqlite3 FILE 'PRAGMA integrity_check'` 检查，并改用完好的备份。",
                "Check it with `sqlite3 FILE 'PRAGMA integrity_check'` and use an intact backup.",
            ),
            Self::Busy { .. } => lang.pick(
                "请先停止写入该数据库的程序，或对其副本操作。",
                "Stop the program that writes to the database, or work on a copy.",
            ),
            Self::CannotOpen { .. } => lang.pick(
                "若旁边有 -journal 或 -wal 文件，说明上次写入未完成：请让原程序正常关闭，或用 .backup 制作副本。",
                "A -journal or -wal file beside it means an unfinished write: let the program that owns it close it, or make a copy with .backup.",
            ),
            Self::Sql { .. } => lang.pick(
                "请对照 `sealport mapping lint` 与数据库的表结构修改映射文件。",
                "Compare the mapping file with the tables of the database (`sealport mapping lint`).",
            ),
            Self::Address { .. } => lang.pick(
                "写法：postgres://用户@主机:5432/库 或 mysql://用户@主机:3306/库；密码不写在地址里。",
                "Write postgres://USER@HOST:5432/DATABASE or mysql://USER@HOST:3306/DATABASE, without a password.",
            ),
            Self::Unreachable { .. } => lang.pick(
                "请核对 case.toml 中的 url（主机、端口、库名），以及服务器是否允许从本机连接。",
                "Check `url` in case.toml (host, port, database) and whether the server accepts connections from here.",
            ),
            Self::AccessDenied { .. } => lang.pick(
                "请核对 url 中的用户名；密码从环境变量 SEALPORT_PASSWORD_<来源名>、`password_file` 或提示符读取。",
                "Check the user in `url`; the password comes from SEALPORT_PASSWORD_<SOURCE>, `password_file` or the prompt.",
            ),
            Self::Tls { .. } => lang.pick(
                "请在 url 后用 ?sslmode=verify-full&sslrootcert=证书文件（PostgreSQL）或 ?ssl-mode=VERIFY_CA&ssl-ca=证书文件（MySQL）指明根证书。",
                "Name the root certificate in `url`: ?sslmode=verify-full&sslrootcert=FILE (PostgreSQL) or ?ssl-mode=VERIFY_CA&ssl-ca=FILE (MySQL).",
            ),
            Self::ConnectionLost { .. } | Self::Stopped { .. } | Self::Altered { .. } => lang.pick(
                "没有封存任何内容；快照随连接一起消失，请重新执行。",
                "Nothing was sealed; the snapshot is gone with the connection, so run the command again.",
            ),
            Self::Locked { .. } => lang.pick(
                "没有封存任何内容；请等对方完成或取消改表操作后重新执行。",
                "Nothing was sealed; run the command again when that session has altered the table or given up.",
            ),
            Self::Privilege { .. } => lang.pick(
                "请授予该账号对映射所需表的 SELECT 权限；`sealport doctor` 会打印所需的 SQL。",
                "Grant the account SELECT on those tables; `sealport doctor` prints the SQL.",
            ),
            Self::Server { .. } => lang.pick(
                "请在数据库日志中查看该错误代码；出于保密，这里不显示其文字。",
                "Look the code up in the server's log; its words may repeat data and are not shown here.",
            ),
            Self::SessionZone => lang.pick(
                "请检查服务器的 init_connect 是否改写了 time_zone。",
                "Check whether the server's init_connect changes time_zone.",
            ),
            Self::NotARead { .. } => lang.pick(
                "映射中的 SQL 只能是一条 SELECT 语句。",
                "SQL in a mapping must be exactly one SELECT statement.",
            ),
            Self::Damaged { .. } => lang.pick(
                "请从原系统重新导出，导入电子表格前把这些列设为“文本”格式。",
                "Export the file again from its origin, and set these columns to the format Text before a spreadsheet program opens it.",
            ),
            Self::Encoding { .. } | Self::BadLine { .. } => lang.pick(
                "请另存为 UTF-8 编码的 CSV（逗号分隔）。",
                "Save the file as comma-separated CSV in UTF-8.",
            ),
            Self::UnknownDataset { .. } | Self::UnknownColumn { .. } | Self::MissingColumn { .. } => lang.pick(
                "数据集与列名见 `docs/schema.md`。",
                "Datasets and their columns are listed in `docs/schema.md`.",
            ),
            Self::TooLarge { .. } => lang.pick(
                "请先用 sqlite3 的 .import 把这些文件导入一个数据库文件，再以 sqlite:// 作为来源。",
                "Load the files into a database file first (sqlite3's .import) and name it with sqlite://.",
            ),
            Self::NoExports { .. } => lang.pick(
                "请把导出的 .csv 或 .xlsx 文件放进该文件夹，或修改 case.toml 中的 url。",
                "Put the exported .csv or .xlsx files there, or correct `url` in case.toml.",
            ),
            Self::Workbook { .. } => lang.pick(
                "文件可能加了密码或已损坏：请去掉密码后另存为 .xlsx，或另存为 CSV。",
                "It may have a password or be damaged: save it again as .xlsx without one, or as CSV.",
            ),
            Self::Refused { refusal, .. } => return refusal.hint(lang),
            Self::Changed { .. } => {
                lang.pick("请在没有程序写入该文件时重试。", "Try again while no program writes to the file.")
            }
            Self::Interrupted(_)
            | Self::Engine { .. }
            | Self::ReceiverGone
            | Self::DuplicateColumn { .. }
            | Self::UnsupportedType { .. }
            | Self::Parquet { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File(e) => e.exit(),
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Busy { .. }
            | Self::CannotOpen { .. }
            | Self::Engine { .. }
            | Self::Changed { .. }
            | Self::Unreachable { .. }
            | Self::AccessDenied { .. }
            | Self::Tls { .. }
            | Self::ConnectionLost { .. }
            | Self::Stopped { .. }
            | Self::Altered { .. }
            | Self::Locked { .. }
            | Self::Privilege { .. }
            | Self::Server { .. }
            | Self::SessionZone => Exit::Io,
            Self::ReceiverGone => Exit::Internal,
            _ => Exit::Invalid,
        }
    }
}
