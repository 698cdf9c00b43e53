//! Dates and times of sources: strict parsing, zones that remember the days they met, zero sentinels.

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
    match plain_civil(text) {
        Some(civil) => Ok(civil),
        None => any_civil(text, loose),
    }
}

/// The form that nearly all times have, `YYYY-MM-DD HH:MM:SS`; `None` for everything else.
fn plain_civil(text: &str) -> Option<Civil> {
    let b: &[u8; 19] = text.as_bytes().try_into().ok()?;
    if [b[4], b[7], b[10], b[13], b[16]] != *b"-- ::" {
        return None;
    }
    let two = |at: usize| {
        let (tens, ones) = (b[at].wrapping_sub(b'0'), b[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then_some(u32::from(tens) * 10 + u32::from(ones))
    };
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(Civil {
        days: days(two(0)? * 100 + two(2)?, two(5)?, two(8)?).ok()?,
        second: i64::from(hour * 3600 + minute * 60 + second),
        micros: 0,
        truncated: false,
        has_time: true,
        offset: None,
    })
}

fn any_civil(text: &str, loose: bool) -> Result<Civil, Reason> {
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

/// Days whose offsets are remembered: eleven years without two days sharing a place.
const DAYS_KNOWN: usize = 4_096;

/// What is known about a day.
#[derive(Debug, Clone, Copy)]
struct KnownDay {
    /// Days since 1970-01-01.
    day: i32,
    /// Seconds, or [`VARIES`].
    offset: i32,
}

/// The offset changes during the day. As a day, one that does not exist.
const VARIES: i32 = i32::MIN;

/// The offsets of days by one of the two clocks, UTC or local.
#[derive(Debug, Clone)]
struct Offsets(Vec<KnownDay>);

impl Offsets {
    fn new() -> Self {
        Self(vec![KnownDay { day: VARIES, offset: VARIES }; DAYS_KNOWN])
    }

    /// The offset at a second, which `at` would look up.
    fn get(&mut self, second: i64, at: impl Fn(i64) -> Result<i32, Reason>) -> Result<i64, Reason> {
        let day = i32::try_from(second.div_euclid(DAY_SECONDS)).map_err(|_| Reason::TimeOutOfRange)?;
        let place = usize::try_from(day.rem_euclid(DAYS_KNOWN as i32)).unwrap_or_default();
        let offset = match self.0.get(place) {
            Some(known) if known.day == day => known.offset,
            _ => {
                let offset = of_whole_day(day, &at).unwrap_or(VARIES);
                if let Some(known) = self.0.get_mut(place) {
                    *known = KnownDay { day, offset };
                }
                offset
            }
        };
        if offset == VARIES { at(second).map(i64::from) } else { Ok(i64::from(offset)) }
    }
}

/// The offset of a day if it is the same at its start, at every full hour and at its end: no zone ever changed its
/// clocks and changed them back within an hour.
fn of_whole_day(day: i32, at: &impl Fn(i64) -> Result<i32, Reason>) -> Option<i32> {
    let start = i64::from(day) * DAY_SECONDS;
    let offset = at(start).ok()?;
    let is_same = |second: i64| at(second).is_ok_and(|o| o == offset);
    (is_same(start + DAY_SECONDS - 1) && (1..24).all(|hour| is_same(start + hour * 3600))).then_some(offset)
}

/// A zone that remembers the offsets of the days it met, so that a look into the zone's rules is rare.
#[derive(Debug, Clone)]
pub(super) struct ZoneClock {
    zone: Tz,
    utc: Offsets,
    local: Offsets,
}

impl ZoneClock {
    pub(super) fn new(zone: Tz) -> Self {
        Self { zone, utc: Offsets::new(), local: Offsets::new() }
    }

    /// Days since 1970-01-01 on the zone's calendar at an instant; `None` outside the calendar.
    pub(super) fn day_of(&mut self, instant_micros: i64) -> Option<i32> {
        let seconds = instant_micros.div_euclid(1_000_000);
        let zone = self.zone;
        let at = |second: i64| {
            let at = naive(second).ok_or(Reason::TimeOutOfRange)?;
            Ok(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
        };
        let local = seconds.checked_add(self.utc.get(seconds, at).ok()?)?;
        i32::try_from(local.div_euclid(DAY_SECONDS)).ok()
    }

    /// Seconds since 1970-01-01T00:00:00Z of a local time.
    pub(super) fn utc(&mut self, local_seconds: i64) -> Result<i64, Reason> {
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&local_seconds) {
            return Err(Reason::TimeOutOfRange);
        }
        let zone = self.zone;
        let at = |second: i64| {
            let at = naive(second).ok_or(Reason::TimeOutOfRange)?;
            match zone.offset_from_local_datetime(&at) {
                MappedLocalTime::Single(offset) => Ok(offset.fix().local_minus_utc()),
                MappedLocalTime::Ambiguous(..) => Err(Reason::AmbiguousLocalTime),
                MappedLocalTime::None => Err(Reason::NoSuchLocalTime),
            }
        };
        Ok(local_seconds - self.local.get(local_seconds, at)?)
    }
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
            // The last two days share a place with the first.
            let cycle = DAYS_KNOWN as i64 * DAY_SECONDS;
            for s in [seconds, seconds + 1800, seconds + 3600, seconds + 40_000, seconds + cycle, seconds] {
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

        /// The short way of plain times says what the long one says.
        #[test]
        fn plain_times(text in "[0-2][0-9]{3}[-/][01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9][:.][0-6][0-9x]") {
            prop_assert_eq!(parse_civil(&text, false), any_civil(&text, false));
            let day = text.replace(['/', 'T', '.', 'x'], "-");
            prop_assert_eq!(parse_civil(&day, true), any_civil(&day, true));
        }

        /// No text makes the parsers panic.
        #[test]
        fn any_text(text in "\\PC{0,30}") {
            let _ = parse_civil(&text, true);
            let _ = is_zero_sentinel(&text);
        }
    }
}
