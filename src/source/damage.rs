//! Finds values that a spreadsheet program has destroyed.
//!
//! A spreadsheet keeps 15 digits of a number and shows long ones as `4.20E+27`; the rest of an order number is gone
//! for good, so such a cell is refused rather than repaired. Limits: a leading zero that was dropped leaves no trace
//! and cannot be found here.

use crate::schema::{Class, Column, ColumnType};

/// Places named in one error.
pub(super) const PLACES_MAX: usize = 20;

/// What happened to a cell of this column, if anything.
pub(super) fn of_cell(column: &Column, cell: &str) -> Option<&'static str> {
    if let Some(reason) = error_value(cell) {
        return Some(reason);
    }
    let is_identifier = column.ty == ColumnType::Text && !matches!(column.class, Class::FreeText | Class::Network);
    if is_identifier { of_identifier(cell) } else { None }
}

/// What happened to a cell whose meaning is not known yet, if anything.
pub(super) fn of_text(cell: &str) -> Option<&'static str> {
    error_value(cell).or_else(|| of_identifier(cell))
}

/// What happened to an identifier, if anything.
pub(super) fn of_identifier(cell: &str) -> Option<&'static str> {
    if is_scientific(cell) {
        Some("scientific notation, digits are lost")
    } else if is_rounded(cell) {
        Some("rounded after 15 digits")
    } else {
        None
    }
}

/// Cells in which the spreadsheet printed an error or a too narrow column.
fn error_value(cell: &str) -> Option<&'static str> {
    const ERRORS: [&str; 7] = ["#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"];
    if ERRORS.contains(&cell) {
        Some("a spreadsheet error instead of a value")
    } else if cell.len() >= 3 && cell.bytes().all(|b| b == b'#') {
        Some("a column too narrow to show its value")
    } else {
        None
    }
}

/// `4.2E+27`, `1.6E+09`, `2E+20`: one digit, perhaps a fraction, an exponent.
pub(super) fn is_scientific(cell: &str) -> bool {
    let Some((mantissa, exponent)) = cell.split_once(['E', 'e']) else { return false };
    let exponent = exponent.strip_prefix('+').unwrap_or("");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    whole.len() == 1 && digits(whole) && digits(fraction) && (2..=3).contains(&exponent.len()) && digits(exponent)
}

/// More than 16 digits of which only the first 15 can differ from zero.
fn is_rounded(cell: &str) -> bool {
    cell.len() > 16 && cell.bytes().all(|b| b.is_ascii_digit()) && cell.bytes().skip(15).all(|b| b == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Destroyed numbers are found, lookalikes are not.
    #[test]
    fn scientific_and_rounded() {
        for bad in ["4.2E+27", "1.6E+09", "2E+20", "4.20E+27", "420000092520210000000000"] {
            assert!(of_identifier(bad).is_some(), "{bad}");
        }
        for good in ["4E27", "A1E+09", "12.6E+09", "1600000000", "4200000925202101284997714292", "1000000000000000", ""]
        {
            assert!(of_identifier(good).is_none(), "{good}");
        }
        assert!(error_value("####").is_some());
        assert!(error_value("#12").is_none());
    }
}
