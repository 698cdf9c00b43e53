//! Local wall-clock times of the sample merchant, as seconds, with fast text forms.
//!
//! The merchant trades in Asia/Shanghai, which has had no daylight saving since 1992, so a local time is a plain number.

/// Seconds of one day.
pub(super) const DAY: i64 = 86_400;
/// Seconds of one hour.
pub(super) const HOUR: i64 = 3_600;

/// A local time: seconds since 1970-01-01 00:00:00 on the wall clock of the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Local(pub(super) i64);

/// First day of trade, 2025-04-01.
pub(super) const OPENED: Local = Local::date(2025, 4, 1);
/// First day of the window under audit, 2026-07-01.
pub(super) const WINDOW: Local = Local::date(2026, 7, 1);
/// The instant at which the data is judged, 2026-10-01 00:00.
pub(super) const AS_OF: Local = Local::date(2026, 10, 1);

impl Local {
    /// Midnight of a civil date (days-from-civil, proleptic Gregorian).
    pub(super) const fn date(year: i64, month: i64, day: i64) -> Self {
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let yoe = y - era * 400;
        let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        Self((era * 146_097 + doe - 719_468) * DAY)
    }

    /// A civil date and time.
    pub(super) const fn at(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Self {
        Self(Self::date(year, month, day).0 + hour * HOUR + minute * 60 + second)
    }

    /// Days since 1970-01-01.
    pub(super) const fn day_no(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// Midnight of the same day.
    pub(super) const fn midnight(self) -> Self {
        Self(self.day_no() * DAY)
    }

    /// So many seconds later.
    pub(super) const fn plus(self, seconds: i64) -> Self {
        Self(self.0 + seconds)
    }

    /// Year, month and day.
    pub(super) fn civil(self) -> (i64, i64, i64) {
        let z = self.day_no() + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
    }

    /// First day of the month.
    pub(super) fn month(self) -> Self {
        let (y, m, _) = self.civil();
        Self::date(y, m, 1)
    }

    /// First day of the following month.
    pub(super) fn next_month(self) -> Self {
        let (y, m, _) = self.civil();
        if m == 12 { Self::date(y + 1, 1, 1) } else { Self::date(y, m + 1, 1) }
    }

    /// 0 Monday … 6 Sunday.
    pub(super) fn weekday(self) -> usize {
        (self.day_no() + 3).rem_euclid(7) as usize
    }

    /// `2026-07-01`.
    pub(super) fn date_text(self) -> String {
        let mut text = self.text();
        text.truncate(10);
        text
    }

    /// `20260701`.
    pub(super) fn compact_date(self) -> String {
        let (y, m, d) = self.civil();
        format!("{y:04}{m:02}{d:02}")
    }

    /// `2026-07-01 08:30:00`, as the application stores it.
    pub(super) fn text(self) -> String {
        let (y, m, d) = self.civil();
        let s = self.0.rem_euclid(DAY);
        let mut bytes = *b"0000-00-00 00:00:00";
        let mut put = |at: usize, width: usize, value: i64| {
            let mut rest = value;
            for i in (at..at + width).rev() {
                bytes[i] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0, 4, y);
        put(5, 2, m);
        put(8, 2, d);
        put(11, 2, s / HOUR);
        put(14, 2, s / 60 % 60);
        put(17, 2, s % 60);
        bytes.iter().map(|b| char::from(*b)).collect()
    }

    /// `2026-07-01T08:30:00+08:00`, as registers and case files state it.
    pub(super) fn iso(self) -> String {
        let mut text = self.text();
        text.replace_range(10..11, "T");
        text.push_str("+08:00");
        text
    }
}

/// `12.30` of 1230 fen.
pub(super) fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_round_trip() {
        for no in (-800..22_000).step_by(13) {
            let t = Local(no * DAY + 5);
            let (y, m, d) = t.civil();
            assert_eq!(Local::date(y, m, d), t.midnight());
        }
        assert_eq!(Local::at(2026, 7, 1, 8, 30, 5).text(), "2026-07-01 08:30:05");
        assert_eq!(WINDOW.iso(), "2026-07-01T00:00:00+08:00");
        assert_eq!(Local::date(2026, 11, 21).weekday(), 5);
        assert_eq!(yuan(-2), "-0.02");
    }
}
