//! A SELECT that can be read in ranges of a key.

/// A SELECT whose rows come in the order of one column of its main table, with room for a condition on that column.
///
/// Read one range after the other, in the order of the key and NULL last, it gives the same rows in the same order as
/// read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCut {
    /// The table's name as the source lists it, with its schema if the statement names one.
    pub table: String,
    /// The column's name as the source lists it.
    pub column: String,
    /// The table as SQL.
    pub table_sql: String,
    /// The column as SQL, where only that table is in the FROM.
    pub column_sql: String,
    /// The column as SQL inside the statement.
    pub key_sql: String,
    /// The statement before the condition.
    pub head: String,
    /// The statement behind the condition.
    pub tail: String,
}

impl KeyCut {
    /// The statement for the rows whose key meets a condition.
    pub fn with(&self, condition: &str) -> String {
        format!("{}({condition}){}", self.head, self.tail)
    }
}
