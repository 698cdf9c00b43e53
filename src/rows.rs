//! Rows as a source hands them over: columnar, bounded batches of loosely typed cells.
//!
//! A batch owns the texts and bytes of a column together, so reading a row allocates nothing. Engines map every type
//! of theirs to one of five cells; what a cell means (yuan, fen, epoch, local time) is the mapping's business.

mod cut;

pub use cut::KeyCut;

/// Rows per batch, at most.
pub const BATCH_ROWS_MAX: usize = 8_192;
/// Bytes of text per batch, at most (one row may exceed it).
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RawValue<'a> {
    /// NULL.
    Null,
    /// Integer.
    Int(i64),
    /// Floating point number.
    Real(f64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes that are not (or not known to be) text.
    Bytes(&'a [u8]),
}

#[derive(Debug, Clone, Copy)]
enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text { start: usize, end: usize },
    Bytes { start: usize, end: usize },
}

/// One column of a batch.
#[derive(Debug, Clone, Default)]
pub struct RawColumn {
    cells: Vec<Cell>,
    /// All texts; apart from the bytes, so that no cell is checked for being UTF-8 again.
    texts: String,
    bytes: Vec<u8>,
}

impl RawColumn {
    /// Appends a cell; text and bytes are copied into the arenas.
    pub fn push(&mut self, value: RawValue<'_>) {
        let cell = match value {
            RawValue::Null => Cell::Null,
            RawValue::Int(i) => Cell::Int(i),
            RawValue::Real(x) => Cell::Real(x),
            RawValue::Text(s) => {
                let start = self.texts.len();
                self.texts.push_str(s);
                Cell::Text { start, end: self.texts.len() }
            }
            RawValue::Bytes(b) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(b);
                Cell::Bytes { start, end: self.bytes.len() }
            }
        };
        self.cells.push(cell);
    }

    /// The cell of a row of this batch, counted from 0; NULL beyond the end.
    pub fn get(&self, row_index: usize) -> RawValue<'_> {
        match self.cells.get(row_index) {
            None | Some(Cell::Null) => RawValue::Null,
            Some(Cell::Int(i)) => RawValue::Int(*i),
            Some(Cell::Real(x)) => RawValue::Real(*x),
            Some(Cell::Text { start, end }) => RawValue::Text(&self.texts[*start..*end]),
            Some(Cell::Bytes { start, end }) => RawValue::Bytes(&self.bytes[*start..*end]),
        }
    }

    /// Bytes of text or bytes of the cell of a row; 0 for everything else.
    pub fn bytes_at(&self, row_index: usize) -> usize {
        match self.cells.get(row_index) {
            Some(Cell::Text { start, end } | Cell::Bytes { start, end }) => end - start,
            _ => 0,
        }
    }

    /// Whether any text of the column holds U+0000.
    pub fn has_nul(&self) -> bool {
        self.texts.as_bytes().contains(&0)
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Bytes of text and bytes held.
    pub fn arena_bytes(&self) -> usize {
        self.texts.len() + self.bytes.len()
    }
}

/// Some rows of one SELECT or file.
#[derive(Debug, Clone, Default)]
pub struct RawBatch {
    /// Columns in the order of the SELECT; all of the same length.
    pub columns: Vec<RawColumn>,
}

impl RawBatch {
    /// An empty batch of so many columns.
    pub fn new(column_count: usize) -> Self {
        Self { columns: vec![RawColumn::default(); column_count] }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, RawColumn::len)
    }

    /// Memory its cells take, near enough.
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(|c| c.len() * size_of::<Cell>() + c.arena_bytes()).sum()
    }

    /// Whether the batch has reached a bound and should be handed on.
    pub fn is_full(&self) -> bool {
        self.rows() >= BATCH_ROWS_MAX
            || self.columns.iter().map(RawColumn::arena_bytes).sum::<usize>() >= BATCH_BYTES_MAX
    }
}
