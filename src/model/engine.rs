//! Database engines a mapping can speak to.

/// The engine of a source, as far as its SQL differs. MySQL and MariaDB share a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// SQLite 3.
    Sqlite,
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// All engines.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::MySql, Self::Postgres];

    /// The key of its texts in a mapping: `sqlite`, `mysql`, `postgres`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// The engine of a URL scheme.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "sqlite" => Some(Self::Sqlite),
            "mysql" | "mariadb" => Some(Self::MySql),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// A quoted identifier: backticks for MySQL, double quotes elsewhere.
    pub fn quoted(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{}`", name.replace('`', "``")),
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A table name that may carry its schema (`archive.orders`), quoted part by part.
    pub fn quoted_table(self, name: &str) -> String {
        match self {
            Self::Sqlite => self.quoted(name),
            Self::MySql | Self::Postgres => name.split('.').map(|part| self.quoted(part)).collect::<Vec<_>>().join("."),
        }
    }

    /// How the parameter of this number (from 1) is written in a statement.
    pub fn placeholder(self, number: usize) -> String {
        match self {
            Self::Sqlite => format!("?{number}"),
            Self::Postgres => format!("${number}"),
            Self::MySql => "?".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are reserved words or hold quotes stay one identifier in each engine.
    #[test]
    fn identifiers_are_quoted_by_engine() {
        assert_eq!(Engine::MySql.quoted("or`der"), "`or``der`");
        assert_eq!(Engine::Postgres.quoted("or\"der"), "\"or\"\"der\"");
        assert_eq!(Engine::Postgres.quoted_table("shop.order"), "\"shop\".\"order\"");
        assert_eq!(Engine::Sqlite.quoted_table("a.b"), "\"a.b\"");
    }
}
