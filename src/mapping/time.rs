//! Dates and times of sources: strict parsing, zones with an hourly cache, zero sentinels.

use chrono::{DateTime, Datelike as _, MappedLocalTime, NaiveDate, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;

use super::reason::Reason;

const DAY_SECONDS: i64 = 86_400;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z in seconds.
const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;
/// Days from 0001-01-01 (day 1 of the common era) to 1970-01-01.
const CE_DAYS_1970: i32 = 719_163;

/// A civil date and time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    /// Days since 1970-01-01.
    pub(super) days: i32,
    /// Second of the day.
    pub(super) second: i64,
    /// Microsecond of the second.
    pub(super) micros: i64,
    /// Whether digits below a microsecond were dropped.
    pub(super) truncated: bool,
    /// Whether a time of day was written.
    pub(super) has_time: bool,
    /// Offset from UTC in seconds, if written.
    pub(super) offset: Option<i32>,
}

impl Civil {
    /// Seconds since 1970-01-01T00:00:00 on the clock that was written.
    pub(super) fn seconds(self) -> i64 {
        i64::from(self.days) * DAY_SECONDS + self.second
    }
}

/// Whether the text is one of the ways in which sources write "no date".
pub(super) fn is_zero_sentinel(text: &str) -> bool {
    let date = match text.get(..10) {
        Some(date) => date,
        None => return matches!(text, "" | "0"),
    };
    if !matches!(date, "0000-00-00" | "1970-01-01") {
        return false;
    }
    let time = &text[10..];
    time.is_empty()
        || time.strip_prefix([' ', 'T']).is_some_and(|t| {
            let (clock, fraction) = t.split_once('.').unwrap_or((t, "0"));
            matches!(clock, "00:00:00" | "00:00") && !fraction.is_empty() && fraction.bytes().all(|b| b == b'0')
        })
}

/// Reads `YYYY-MM-DD[( |T)HH:MM[:SS[.fraction]][offset]]`; with `loose` also `2026/3/1` (as spreadsheets write it).
pub(super) fn parse_civil(text: &str, loose: bool) -> Result<Civil, Reason> {
    let mut cursor = Cursor { bytes: text.as_bytes() };
    let year = cursor.digits(4, 4)?;
    let separator = cursor.take().ok_or(Reason::NotADate)?;
    let width_min = match separator {
        b'-' => 2,
        b'/' if loose => 1,
        _ => return Err(Reason::NotADate),
    };
    let month = cursor.digits(width_min, 2)?;
    cursor.expect(separator)?;
    let day = cursor.digits(width_min, 2)?;
    let mut civil = Civil { days: 0, second: 0, micros: 0, truncated: false, has_time: false, offset: None };
    if !cursor.bytes.is_empty() {
        match cursor.take() {
            Some(b' ' | b'T' | b't') => cursor.time(loose, &mut civil)?,
            _ => return Err(Reason::NotADate),
        }
    }
    civil.days = days(year, month, day)?;
    Ok(civil)
}

/// Days since 1970-01-01 of a date.
fn days(year: u32, month: u32, day: u32) -> Result<i32, Reason> {
    if month == 0 || day == 0 || year == 0 {
        return Err(Reason::PartialZeroDate);
    }
    let year = i32::try_from(year).map_err(|_| Reason::NotADate)?;
    let date = NaiveDate::from_ymd_opt(year, month, day).ok_or(Reason::NotADate)?;
    Ok(date.num_days_from_ce() - CE_DAYS_1970)
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl Cursor<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Reason> {
        if self.take() == Some(byte) { Ok(()) } else { Err(Reason::NotADate) }
    }

    fn digits(&mut self, width_min: usize, width_max: usize) -> Result<u32, Reason> {
        let width = self.bytes.iter().take(width_max).take_while(|b| b.is_ascii_digit()).count();
        if width < width_min {
            return Err(Reason::NotADate);
        }
        let value = self.bytes[..width].iter().fold(0_u32, |v, b| v * 10 + u32::from(b - b'0'));
        self.bytes = &self.bytes[width..];
        Ok(value)
    }

    fn time(&mut self, loose: bool, civil: &mut Civil) -> Result<(), Reason> {
        let hour = self.digits(if loose { 1 } else { 2 }, 2)?;
        self.expect(b':')?;
        let minute = self.digits(2, 2)?;
        let mut second = 0;
        if self.bytes.first() == Some(&b':') {
            self.take();
            second = self.digits(2, 2)?;
            if self.bytes.first() == Some(&b'.') {
                self.take();
                self.fraction(civil)?;
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err(Reason::NotADate);
        }
        civil.second = i64::from(hour * 3600 + minute * 60 + second);
        civil.has_time = true;
        civil.offset = self.offset()?;
        Ok(())
    }

    fn fraction(&mut self, civil: &mut Civil) -> Result<(), Reason> {
        let width = self.bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        if width == 0 {
            return Err(Reason::NotADate);
        }
        let (digits, rest) = self.bytes.split_at(width);
        for i in 0..6 {
            civil.micros = civil.micros * 10 + i64::from(digits.get(i).map_or(0, |b| b - b'0'));
        }
        civil.truncated = digits.iter().skip(6).any(|b| *b != b'0');
        self.bytes = rest;
        Ok(())
    }

    fn offset(&mut self) -> Result<Option<i32>, Reason> {
        let sign = match self.take() {
            None => return Ok(None),
            Some(b'Z' | b'z') if self.bytes.is_empty() => return Ok(Some(0)),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return Err(Reason::NotADate),
        };
        let hours = self.digits(2, 2)?;
        if self.bytes.first() == Some(&b':') {
            self.take();
        }
        let minutes = if self.bytes.is_empty() { 0 } else { self.digits(2, 2)? };
        if !self.bytes.is_empty() || hours > 18 || minutes > 59 {
            return Err(Reason::NotADate);
        }
        Ok(Some(sign * i32::try_from(hours * 3600 + minutes * 60).unwrap_or_default()))
    }
}

/// A declared form such as `yyyyMMddHHmmss`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<PatternPart>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PatternPart {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Milli,
    Literal(char),
}

impl Pattern {
    /// Whether texts of this form sort as the times they mean: from the year down.
    pub(super) fn is_ordered(&self) -> bool {
        use PatternPart::{Day, Hour, Literal, Milli, Minute, Month, Second, Year};
        let parts: Vec<PatternPart> = self.0.iter().copied().filter(|p| !matches!(p, Literal(_))).collect();
        [Year, Month, Day, Hour, Minute, Second, Milli].starts_with(&parts)
    }

    /// Compiles a pattern of `yyyy MM dd HH mm ss SSS` and literal characters; `None` unless it names a full date.
    pub(super) fn compile(text: &str) -> Option<Self> {
        const WORDS: [(&str, PatternPart); 7] = [
            ("yyyy", PatternPart::Year),
            ("MM", PatternPart::Month),
            ("dd", PatternPart::Day),
            ("HH", PatternPart::Hour),
            ("mm", PatternPart::Minute),
            ("ss", PatternPart::Second),
            ("SSS", PatternPart::Milli),
        ];
        let mut parts: Vec<PatternPart> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((word, part)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
                if parts.contains(part) {
                    return None;
                }
                parts.push(*part);
                rest = &rest[word.len()..];
            } else if first.is_ascii_alphanumeric() {
                return None;
            } else {
                parts.push(PatternPart::Literal(first));
                rest = &rest[first.len_utf8()..];
            }
        }
        let full = [PatternPart::Year, PatternPart::Month, PatternPart::Day].iter().all(|p| parts.contains(p));
        full.then_some(Self(parts))
    }

    /// Reads a text of this form.
    pub(super) fn parse(&self, text: &str) -> Result<Civil, Reason> {
        let mut cursor = Cursor { bytes: text.as_bytes() };
        let (mut year, mut month, mut day) = (0, 0, 0);
        let (mut hour, mut minute, mut second, mut milli) = (0, 0, 0, 0);
        for part in &self.0 {
            match part {
                PatternPart::Year => year = cursor.digits(4, 4)?,
                PatternPart::Month => month = cursor.digits(2, 2)?,
                PatternPart::Day => day = cursor.digits(2, 2)?,
                PatternPart::Hour => hour = cursor.digits(2, 2)?,
                PatternPart::Minute => minute = cursor.digits(2, 2)?,
                PatternPart::Second => second = cursor.digits(2, 2)?,
                PatternPart::Milli => milli = cursor.digits(3, 3)?,
                PatternPart::Literal(c) => {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        cursor.expect(byte)?;
                    }
                }
            }
        }
        if !cursor.bytes.is_empty() || hour > 23 || minute > 59 || second > 59 {
            return Err(Reason::NotADate);
        }
        Ok(Civil {
            days: days(year, month, day)?,
            second: i64::from(hour * 3600 + minute * 60 + second),
            micros: i64::from(milli) * 1000,
            truncated: false,
            has_time: self.0.contains(&PatternPart::Hour),
            offset: None,
        })
    }
}

/// A point in time in microseconds from seconds and a fraction, refused outside the years 1 to 9999.
pub(super) fn instant(seconds: i64, micros: i64) -> Result<i64, Reason> {
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        return Err(Reason::TimeOutOfRange);
    }
    Ok(seconds * 1_000_000 + micros)
}

const SLOTS: usize = 64;

/// A zone that remembers the offsets of the hours it met: rows come in order of time, so most lookups hit.
#[derive(Debug, Clone)]
pub(super) struct ZoneClock {
    zone: Tz,
    utc: [Option<(i64, i64)>; SLOTS],
    local: [Option<(i64, i64)>; SLOTS],
}

impl ZoneClock {
    pub(super) fn new(zone: Tz) -> Self {
        Self { zone, utc: [None; SLOTS], local: [None; SLOTS] }
    }

    /// Days since 1970-01-01 on the zone's calendar at an instant; `None` outside the calendar.
    pub(super) fn day_of(&mut self, instant_micros: i64) -> Option<i32> {
        let seconds = instant_micros.div_euclid(1_000_000);
        let local = seconds.checked_add(self.offset(seconds)?)?;
        i32::try_from(local.div_euclid(DAY_SECONDS)).ok()
    }

    fn offset(&mut self, seconds: i64) -> Option<i64> {
        let hour = seconds.div_euclid(3600);
        let slot = slot(hour);
        if let Some((h, offset)) = self.utc[slot]
            && h == hour
        {
            return Some(offset);
        }
        let at = |s: i64| -> Option<i64> {
            Some(i64::from(self.zone.offset_from_utc_datetime(&naive(s)?).fix().local_minus_utc()))
        };
        // Remembered only when the whole hour has one offset.
        if let (Some(first), Some(last)) = (at(hour * 3600), at(hour * 3600 + 3599))
            && first == last
        {
            self.utc[slot] = Some((hour, first));
            return Some(first);
        }
        at(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z of a local time.
    pub(super) fn utc(&mut self, local_seconds: i64) -> Result<i64, Reason> {
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&local_seconds) {
            return Err(Reason::TimeOutOfRange);
        }
        let hour = local_seconds.div_euclid(3600);
        let slot = slot(hour);
        if let Some((h, offset)) = self.local[slot]
            && h == hour
        {
            return Ok(local_seconds - offset);
        }
        let at = |s: i64| -> Result<i64, Reason> {
            match self.zone.offset_from_local_datetime(&naive(s).ok_or(Reason::TimeOutOfRange)?) {
                MappedLocalTime::Single(offset) => Ok(i64::from(offset.fix().local_minus_utc())),
                MappedLocalTime::Ambiguous(..) => Err(Reason::AmbiguousLocalTime),
                MappedLocalTime::None => Err(Reason::NoSuchLocalTime),
            }
        };
        if let (Ok(first), Ok(last)) = (at(hour * 3600), at(hour * 3600 + 3599))
            && first == last
        {
            self.local[slot] = Some((hour, first));
            return Ok(local_seconds - first);
        }
        Ok(local_seconds - at(local_seconds)?)
    }
}

fn slot(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(SLOTS as i64)).unwrap_or_default()
}

fn naive(seconds: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(seconds, 0)?.naive_utc())
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("rfc 3339").timestamp()
    }

    #[test]
    fn forms_that_are_read() {
        let c = parse_civil("2026-03-01 08:09:10.1234567", false).expect("reads");
        assert_eq!(
            (c.seconds(), c.micros, c.truncated, c.offset),
            (seconds("2026-03-01T08:09:10Z"), 123_456, true, None)
        );
        assert_eq!(parse_civil("2026-03-01T08:09+08", false).expect("reads").offset, Some(28_800));
        assert_eq!(parse_civil("2026-03-01T08:09:00-03:30", false).expect("reads").offset, Some(-12_600));
        assert_eq!(
            parse_civil("2026/3/1", true).expect("reads").days,
            parse_civil("2026-03-01", false).expect("reads").days
        );
        assert!(!parse_civil("2026-03-01", false).expect("reads").has_time);
    }

    #[test]
    fn forms_that_are_refused() {
        for bad in [
            "2026/3/1",
            "2026-3-1",
            "2026-13-01",
            "2026-02-30",
            "20260301",
            "2026-03-01 24:00:00",
            "2026-03-01 08",
            "2026-03-01 08:09:60",
            "2026-03-01x",
            "2026-03-01 08:09:10.",
            "2026-03-01 08:09+0",
            "26-03-01",
            "2026-03-01 ",
            "今天",
        ] {
            assert_eq!(parse_civil(bad, false), Err(Reason::NotADate), "{bad}");
        }
        for bad in ["2025-00-15", "2025-05-00", "0000-01-01"] {
            assert_eq!(parse_civil(bad, false), Err(Reason::PartialZeroDate), "{bad}");
        }
        // A year below 1000 is a date, not a way to say "none".
        assert!(parse_civil("0999-12-31", false).is_ok());
        assert!(!is_zero_sentinel("0999-12-31"));
    }

    #[test]
    fn sentinels() {
        for zero in [
            "",
            "0",
            "0000-00-00",
            "0000-00-00 00:00:00",
            "1970-01-01",
            "1970-01-01 00:00:00",
            "0000-00-00T00:00:00.000000",
        ] {
            assert!(is_zero_sentinel(zero), "{zero}");
        }
        for value in ["1970-01-01 08:00:00", "00", "0000-00-01", "1970-01-02", "1970-01-01 00:00:01", "今天是星期几啊"]
        {
            assert!(!is_zero_sentinel(value), "{value}");
        }
    }

    #[test]
    fn patterns() {
        let p = Pattern::compile("yyyyMMddHHmmss").expect("compiles");
        assert_eq!(p.parse("20260301080910").expect("reads").seconds(), seconds("2026-03-01T08:09:10Z"));
        assert_eq!(p.parse("2026030108091"), Err(Reason::NotADate));
        assert_eq!(p.parse("202603010809100"), Err(Reason::NotADate));
        let p = Pattern::compile("dd.MM.yyyy").expect("compiles");
        assert_eq!(p.parse("01.03.2026").expect("reads").seconds(), seconds("2026-03-01T00:00:00Z"));
        for bad in ["HHmmss", "yyyyMM", "yyyyyyMMdd", "yyyy-MM-dd hh"] {
            assert_eq!(Pattern::compile(bad), None, "{bad}");
        }
    }

    /// Skipped and repeated hours are refused, not guessed (Shanghai had summer time from 1986 to 1991).
    #[test]
    fn gaps_and_folds() {
        let mut clock = ZoneClock::new(chrono_tz::Asia::Shanghai);
        let local = |t: &str| parse_civil(t, false).expect("reads").seconds();
        assert_eq!(clock.utc(local("1986-05-04 02:30:00")), Err(Reason::NoSuchLocalTime));
        assert_eq!(clock.utc(local("1986-09-14 01:30:00")), Err(Reason::AmbiguousLocalTime));
        assert_eq!(clock.utc(local("2026-03-01 08:00:00")), Ok(seconds("2026-03-01T00:00:00Z")));
    }

    proptest! {
        /// The cached clock says what the zone database says, also around changes of offset.
        #[test]
        fn cache_agrees_with_the_zone(seconds in -2_000_000_000_i64..4_000_000_000, zone in prop::sample::select(vec![
            chrono_tz::Asia::Shanghai, chrono_tz::Australia::Lord_Howe, chrono_tz::Europe::London, chrono_tz::Africa::Monrovia])) {
            let mut clock = ZoneClock::new(zone);
            for s in [seconds, seconds + 1800, seconds + 3600, seconds] {
                let local = DateTime::<Utc>::from_timestamp(s, 0).expect("in range").with_timezone(&zone).naive_local();
                let expected = local.date().num_days_from_ce() - CE_DAYS_1970;
                prop_assert_eq!(clock.day_of(s * 1_000_000), Some(expected));
                let local_seconds = local.and_utc().timestamp();
                match zone.from_local_datetime(&local) {
                    MappedLocalTime::Single(t) => prop_assert_eq!(clock.utc(local_seconds), Ok(t.timestamp())),
                    MappedLocalTime::Ambiguous(..) => prop_assert_eq!(clock.utc(local_seconds), Err(Reason::AmbiguousLocalTime)),
                    MappedLocalTime::None => prop_assert!(false, "a time that exists"),
                }
            }
        }

        /// No text makes the parsers panic.
        #[test]
        fn any_text(text in "\\PC{0,30}") {
            let _ = parse_civil(&text, true);
            let _ = is_zero_sentinel(&text);
        }
    }
}
