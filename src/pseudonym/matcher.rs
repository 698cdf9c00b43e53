//! A search for all raw staff identifiers at once.
//!
//! Identifiers live in memory only. What can be searched for without drowning in chance hits is decided here:
//! identifiers of at least six characters at word or digit boundaries, Chinese names of at least two characters
//! anywhere, names only in free text. What cannot be searched for is counted by reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use zeroize::Zeroize;

use super::Error;
use super::token::{is_mobile, normalise};
use crate::schema;

/// Characters of an identifier other than a Chinese name, at least.
const CHARS_MIN: usize = 6;
/// Longest identifier that is searched for, in bytes.
const BYTES_MAX: usize = 256;

/// Identifiers of so many bytes together are searched for with a table of all transitions.
const DFA_BYTES_MAX: usize = 16 << 10;

/// What an identifier is; decides where it is searched for and at which boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// Login name.
    Login,
    /// Phone number.
    Phone,
    /// Personal name; searched for in free text only.
    Name,
    /// Employee number.
    EmployeeNo,
    /// Identifier at a platform.
    OpenId,
    /// Key of an account in the source. Mere digits are not searched for: they are keys of other tables too.
    Reference,
}

impl IdentifierKind {
    /// What a value of a staff column most likely is: by its form first, then by the column's name.
    pub fn of(column: &str, value: &str) -> Self {
        if is_mobile(&normalise(value)) {
            Self::Phone
        } else if value.chars().any(is_han) || column == "real_name" {
            Self::Name
        } else if column == "employee_no" {
            Self::EmployeeNo
        } else if column.ends_with("_ref") {
            Self::Reference
        } else {
            Self::Login
        }
    }

    /// Word used in counts and hits.
    pub fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Phone => "phone",
            Self::Name => "name",
            Self::EmployeeNo => "employee-no",
            Self::OpenId => "openid",
            Self::Reference => "reference",
        }
    }
}

/// Identifiers that are not searched for, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Fewer characters than can be searched for.
    pub too_short: u64,
    /// More than 256 bytes.
    pub too_long: u64,
    /// Words that stand in clear columns by design, such as `manager` or `system`.
    pub vocabulary: u64,
    /// Keys of mere digits.
    pub digits_only: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boundary {
    /// No letter, digit or underscore beside it.
    Word,
    /// No digit beside it.
    Digit,
    /// Anywhere.
    None,
}

#[derive(Debug, Clone, Copy)]
struct Pattern {
    kind: IdentifierKind,
    boundary: Boundary,
}

/// Collects identifiers.
#[derive(Default)]
pub struct StaffMatcherBuilder {
    patterns: BTreeMap<String, IdentifierKind>,
    /// Lower-case words that stand in the archive whoever is called so.
    by_design: BTreeSet<String>,
    skipped: Skipped,
}

impl fmt::Debug for StaffMatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaffMatcherBuilder({} identifiers)", self.patterns.len())
    }
}

impl Drop for StaffMatcherBuilder {
    fn drop(&mut self) {
        while let Some((mut value, _)) = self.patterns.pop_first() {
            value.zeroize();
        }
    }
}

impl StaffMatcherBuilder {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names a word that stands in the archive by design, such as the id of the mapping. An identifier equal to it (the
    /// default administrator of a product is often called like the product) cannot be searched for. To be called before
    /// identifiers are added.
    pub fn stands_by_design(&mut self, word: &str) {
        self.by_design.insert(normalise(word).to_ascii_lowercase());
    }

    /// Adds an identifier; repeated and unsearchable ones are passed over.
    pub fn add(&mut self, value: &str, kind: IdentifierKind) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let normalised = normalise(value);
        let kind = if is_mobile(&normalised) { IdentifierKind::Phone } else { kind };
        let characters = normalised.chars().count();
        // Nobody is called by a page of text; searching for one would take longer than everything else.
        if value.len() > BYTES_MAX {
            self.skipped.too_long += 1;
            return;
        }
        let is_han_name = normalised.chars().any(is_han);
        let minimum = if is_han_name && kind == IdentifierKind::Name { 2 } else { CHARS_MIN };
        if characters < minimum {
            self.skipped.too_short += 1;
        } else if is_clear_word(&normalised) || self.by_design.contains(&normalised.to_ascii_lowercase()) {
            self.skipped.vocabulary += 1;
        } else if kind == IdentifierKind::Reference && normalised.bytes().all(|b| b.is_ascii_digit()) {
            self.skipped.digits_only += 1;
        } else {
            // The same text may be a login and a name; the kind that is searched for in more places wins.
            let lower = normalised.to_ascii_lowercase();
            let entry = self.patterns.entry(lower).or_insert(kind);
            if *entry == IdentifierKind::Name {
                *entry = kind;
            }
        }
    }

    /// Builds the matcher and wipes the collection.
    ///
    /// # Errors
    /// [`Error::TooManyIdentifiers`].
    pub fn build(self) -> Result<StaffMatcher, Error> {
        let patterns =
            self.patterns.iter().map(|(value, kind)| Pattern { kind: *kind, boundary: boundary(value, *kind) });
        let patterns: Vec<Pattern> = patterns.collect();
        let bytes: usize = self.patterns.keys().map(String::len).sum();
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            // Texts of merchants are full of digits, and so are identifiers: looking for a rare byte first would stop
            // everywhere.
            .prefilter(false)
            // The fastest form takes some hundred bytes for each byte of a pattern.
            .kind((bytes <= DFA_BYTES_MAX).then_some(AhoCorasickKind::DFA))
            .ascii_case_insensitive(true)
            .build(self.patterns.keys())
            .map_err(|_| Error::TooManyIdentifiers)?;
        Ok(StaffMatcher { automaton, patterns, skipped: self.skipped })
    }
}

/// Finds raw staff identifiers. Never prints them.
pub struct StaffMatcher {
    automaton: AhoCorasick,
    patterns: Vec<Pattern>,
    skipped: Skipped,
}

impl fmt::Debug for StaffMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaffMatcher({} identifiers)", self.patterns.len())
    }
}

/// One hit: where, and of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: IdentifierKind,
}

impl StaffMatcher {
    /// How many identifiers are searched for.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What is not searched for.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Whether the text holds an identifier; names count only in free text.
    pub fn is_hit(&self, text: &str, is_free_text: bool) -> bool {
        self.hits(text.as_bytes(), is_free_text).next().is_some()
    }

    /// Whether any identifier stands anywhere in these bytes, whatever stands beside it: never false where one of
    /// the texts that lie in them holds a hit.
    pub fn may_hold(&self, bytes: &[u8]) -> bool {
        !self.patterns.is_empty() && self.automaton.is_match(bytes)
    }

    /// All hits, overlapping ones included.
    pub(super) fn hits<'a>(&'a self, text: &'a [u8], is_free_text: bool) -> impl Iterator<Item = Hit> + 'a {
        self.candidates(text).filter(move |hit| is_free_text || hit.kind != IdentifierKind::Name).filter_map(
            move |hit| self.is_bounded(text, &hit).then_some(Hit { start: hit.start, end: hit.end, kind: hit.kind }),
        )
    }

    /// Occurrences before boundaries are looked at.
    pub(super) fn candidates<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Candidate> + 'a {
        let found = (!self.patterns.is_empty()).then(|| self.automaton.find_overlapping_iter(text));
        found.into_iter().flatten().map(|m| {
            let index = m.pattern().as_usize();
            Candidate { start: m.start(), end: m.end(), kind: self.patterns[index].kind, index }
        })
    }

    /// Whether the occurrence stands free enough in this text to be the identifier.
    pub(super) fn is_bounded(&self, text: &[u8], hit: &Candidate) -> bool {
        let before = hit.start.checked_sub(1).and_then(|i| text.get(i));
        let after = text.get(hit.end);
        let beside = [before, after];
        match self.patterns[hit.index].boundary {
            Boundary::None => true,
            Boundary::Word => !beside.into_iter().flatten().any(|b| b.is_ascii_alphanumeric() || *b == b'_'),
            Boundary::Digit => !beside.into_iter().flatten().any(u8::is_ascii_digit),
        }
    }
}

/// An occurrence of a pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: IdentifierKind,
    pub(super) index: usize,
}

fn boundary(value: &str, kind: IdentifierKind) -> Boundary {
    match kind {
        IdentifierKind::Phone => Boundary::Digit,
        _ if value.chars().any(is_han) => Boundary::None,
        // Fewer digits than a phone has occur inside digests and tokens by chance, so letters count as neighbours.
        _ => Boundary::Word,
    }
}

/// Chinese characters, the common block and its first extension.
fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2ffff}')
}

/// Words of the schema's vocabularies and of our own labels, which stand in archives by design.
fn is_clear_word(value: &str) -> bool {
    use std::sync::LazyLock;
    static WORDS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
        let vocabularies = schema::datasets().flat_map(|d| &d.columns).filter_map(|c| c.vocabulary);
        vocabularies.flatten().copied().chain(super::redact::LABEL_WORDS.iter().copied()).collect()
    });
    WORDS.contains(value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(identifiers: &[(&str, IdentifierKind)]) -> StaffMatcher {
        let mut builder = StaffMatcherBuilder::new();
        for (value, kind) in identifiers {
            builder.add(value, *kind);
        }
        builder.build().unwrap()
    }

    /// A login that is the name of the mapping cannot be searched for, and is counted; others still are.
    #[test]
    fn words_by_design() {
        let mut builder = StaffMatcherBuilder::new();
        builder.stands_by_design("ShopSoft");
        builder.add("shopsoft", IdentifierKind::Login);
        builder.add("shopsoft2", IdentifierKind::Login);
        let m = builder.build().unwrap();
        assert_eq!((m.len(), m.skipped().vocabulary), (1, 1));
        assert!(!m.is_hit("shopsoft@1", false) && m.is_hit("by shopsoft2", false));
    }

    /// Boundaries, case, overlap, and where names count.
    #[test]
    fn boundaries() {
        let m = matcher(&[
            ("ZhangWei88", IdentifierKind::Login),
            ("+86 139 0000 1111", IdentifierKind::Login),
            ("204519", IdentifierKind::EmployeeNo),
            ("王小芳", IdentifierKind::Name),
            ("Wang Fang", IdentifierKind::Name),
        ]);
        for (text, free, expected) in [
            ("by zhangwei88.", false, true),
            ("操作人zhangwei88修改", false, true),
            ("xzhangwei88", false, false),
            ("zhangwei88_old", false, false),
            ("zhangwei88@shop.example", false, true),
            ("tel13900001111x", false, true),
            ("139000011112", false, false),
            ("no 204519", false, true),
            ("a204519f", false, false),
            ("由王小芳审核", true, true),
            ("由王小芳审核", false, false),
            ("wang fang", true, true),
            ("", true, false),
        ] {
            assert_eq!(m.is_hit(text, free), expected, "{text}");
            assert!(!expected || m.may_hold(format!("1{text}a").as_bytes()), "{text}");
        }
        assert!(!format!("{m:?}").to_lowercase().contains("zhang"));
    }

    /// What cannot be searched for is counted.
    #[test]
    fn skipped() {
        let m = matcher(&[
            ("admin", IdentifierKind::Login),
            ("manager", IdentifierKind::Login),
            ("100017", IdentifierKind::Reference),
            ("王", IdentifierKind::Name),
            ("staff:17", IdentifierKind::Reference),
            ("  ", IdentifierKind::Login),
        ]);
        assert_eq!(m.skipped(), Skipped { too_short: 2, too_long: 0, vocabulary: 1, digits_only: 1 });
        assert_eq!(m.len(), 1);
        let empty = matcher(&[]);
        assert!(empty.is_empty() && !empty.is_hit("anything", true));
    }

    /// The form of a value tells more than the name of its column.
    #[test]
    fn kinds() {
        for (column, value, expected) in [
            ("login_name", "13900001111", IdentifierKind::Phone),
            ("operator_name", "王小芳", IdentifierKind::Name),
            ("operator_name", "wangxf", IdentifierKind::Login),
            ("employee_no", "E10086", IdentifierKind::EmployeeNo),
            ("staff_ref", "user:5", IdentifierKind::Reference),
            ("real_name", "Wang Fang", IdentifierKind::Name),
        ] {
            assert_eq!(IdentifierKind::of(column, value), expected, "{value}");
        }
    }

    /// A page of text is nobody's name: it is counted, not searched for.
    #[test]
    fn very_long_values_are_counted() {
        let mut builder = StaffMatcherBuilder::new();
        builder.add(&"x".repeat(BYTES_MAX), IdentifierKind::Login);
        builder.add(&"x".repeat(BYTES_MAX + 1), IdentifierKind::Login);
        let matcher = builder.build().expect("few identifiers");
        assert_eq!((matcher.len(), matcher.skipped().too_long), (1, 1));
    }
}
