//! Why a row could not be converted: a closed list of codes, stored in the table `quarantine`.

/// Why a row was put into quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A key column is NULL.
    MissingKey,
    /// The cell is of a kind that the column cannot take (bytes, a fraction where an id is expected).
    WrongType,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// Text with U+0000.
    NulCharacter,
    /// Not a number, or not one of the declared form.
    NotANumber,
    /// Digits below the smallest unit of a money column, and no rounding declared.
    SubFenDigits,
    /// More digits after the point than the column holds.
    TooManyDigits,
    /// A negative amount in a column that holds magnitudes.
    NegativeAmount,
    /// A number beyond what the column may hold.
    NumberOutOfRange,
    /// Yuan-like units declared, but the row's currency does not have two digits.
    UnsupportedCurrency,
    /// Not a date or time of the declared form.
    NotADate,
    /// A date with a zero month or day, such as 2025-00-15.
    PartialZeroDate,
    /// A time outside the years 1 to 9999.
    TimeOutOfRange,
    /// A local time that the zone skipped.
    NoSuchLocalTime,
    /// A local time that the zone had twice.
    AmbiguousLocalTime,
    /// Not one of the codes that mean true or false.
    NotAFlag,
    /// A code or word outside the declared vocabulary.
    UnknownCode,
    /// Not a list of the declared form.
    NotAList,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 18] = [
        Self::MissingKey,
        Self::WrongType,
        Self::InvalidUtf8,
        Self::NulCharacter,
        Self::NotANumber,
        Self::SubFenDigits,
        Self::TooManyDigits,
        Self::NegativeAmount,
        Self::NumberOutOfRange,
        Self::UnsupportedCurrency,
        Self::NotADate,
        Self::PartialZeroDate,
        Self::TimeOutOfRange,
        Self::NoSuchLocalTime,
        Self::AmbiguousLocalTime,
        Self::NotAFlag,
        Self::UnknownCode,
        Self::NotAList,
    ];

    /// The code as stored.
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::NulCharacter => "nul-character",
            Self::NotANumber => "not-a-number",
            Self::SubFenDigits => "sub-fen-digits",
            Self::TooManyDigits => "too-many-digits",
            Self::NegativeAmount => "negative-amount",
            Self::NumberOutOfRange => "number-out-of-range",
            Self::UnsupportedCurrency => "unsupported-currency",
            Self::NotADate => "not-a-date",
            Self::PartialZeroDate => "partial-zero-date",
            Self::TimeOutOfRange => "time-out-of-range",
            Self::NoSuchLocalTime => "no-such-local-time",
            Self::AmbiguousLocalTime => "ambiguous-local-time",
            Self::NotAFlag => "not-a-flag",
            Self::UnknownCode => "unknown-code",
            Self::NotAList => "not-a-list",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes are distinct, so that a count per code is a count per reason.
    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<&str> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
