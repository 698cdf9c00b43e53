//! Redaction of free text, span by span, with counts.

use std::collections::BTreeMap;

use super::matcher::{IdentifierKind, StaffMatcher};
use super::{patterns, secrets};

/// Words inside our labels; never searched for as identifiers.
pub(super) const LABEL_WORDS: [&str; 8] =
    ["staff", "phone", "id-card", "e-mail", "bank-card", "openid", "secret", "redacted"];
/// Passes over one text. A replacement can expose a boundary that another identifier then stands at.
const PASSES_MAX: usize = 8;

/// A part of a text that must not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Closed word counted and, in brackets, written in its place.
    pub(super) kind: &'static str,
}

/// Spans replaced, by dataset, column and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedactionCounts(BTreeMap<(String, String), BTreeMap<&'static str, u64>>);

impl RedactionCounts {
    /// Dataset, column, kind and number of spans, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &'static str, u64)> + '_ {
        self.0.iter().flat_map(|((dataset, column), kinds)| {
            kinds.iter().map(move |(kind, n)| (dataset.as_str(), column.as_str(), *kind, *n))
        })
    }

    /// All spans together.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, _, _, n)| n).sum()
    }

    /// Adds the counts of another pseudonymiser that worked in parallel.
    pub fn merge(&mut self, other: &Self) {
        for (place, kinds) in &other.0 {
            for (kind, n) in kinds {
                *self.0.entry(place.clone()).or_default().entry(kind).or_default() += n;
            }
        }
    }

    /// The counts of one column.
    pub(super) fn of(&mut self, dataset: &str, column: &str) -> &mut BTreeMap<&'static str, u64> {
        self.0.entry((dataset.to_owned(), column.to_owned())).or_default()
    }
}

/// Redacts the texts of one column.
pub struct Redactor<'a> {
    pub(super) matcher: &'a StaffMatcher,
    pub(super) counts: &'a mut BTreeMap<&'static str, u64>,
}

impl std::fmt::Debug for Redactor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({:?})", self.matcher)
    }
}

impl Redactor<'_> {
    /// Replaces what must not be sealed; `None` when the text is clean.
    pub fn text(&mut self, text: &str) -> Option<String> {
        redact(self.matcher, text, self.counts)
    }

    /// As [`Redactor::text`], for bytes that need not be text: what is not UTF-8 in them stays as it is.
    pub fn bytes(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.text(text).map(String::into_bytes);
        }
        let stand_ins = with_stand_ins(bytes)?;
        self.text(&stand_ins).map(|text| without_stand_ins(&text))
    }

    /// Counts values that were removed before by other means.
    pub fn removed(&mut self, count: u64) {
        if count > 0 {
            *self.counts.entry("redacted").or_default() += count;
        }
    }
}

/// First of 256 private characters that stand for single bytes while their neighbours are searched.
const STAND_IN: u32 = 0xF_0000;

/// The bytes as text in which a private character stands for each byte that is not UTF-8; `None` if the bytes use
/// such characters themselves.
fn with_stand_ins(bytes: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().chars().any(|c| byte_of(c).is_some()) {
            return None;
        }
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(STAND_IN + u32::from(*b))));
    }
    Some(out)
}

fn byte_of(c: char) -> Option<u8> {
    u32::from(c).checked_sub(STAND_IN).and_then(|n| u8::try_from(n).ok())
}

fn without_stand_ins(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    out
}

/// Replaces what must not be sealed; `None` when the text is clean.
pub(super) fn redact(matcher: &StaffMatcher, text: &str, counts: &mut BTreeMap<&'static str, u64>) -> Option<String> {
    let mut current: Option<String> = None;
    for _ in 0..PASSES_MAX {
        let source = current.as_deref().unwrap_or(text);
        let spans = spans(matcher, source);
        if spans.is_empty() {
            return current;
        }
        current = Some(replace(source, &spans, counts));
    }
    // A text that resists is not worth the risk.
    *counts.entry("redacted").or_default() += 1;
    Some("[redacted]".to_owned())
}

/// Disjoint spans in order; of overlapping ones the union, named after the first.
fn spans(matcher: &StaffMatcher, text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    secrets::find(text, &mut spans);
    patterns::find(text, &mut spans);
    spans.extend(matcher.hits(text.as_bytes(), true).map(|hit| {
        // A name and a login are the same to a reader; the count keeps phones of staff with other phones.
        let kind = if hit.kind == IdentifierKind::Phone { "phone" } else { "staff" };
        Span { start: hit.start, end: hit.end, kind }
    }));
    spans.sort_by_key(|s| (s.start, std::cmp::Reverse(s.end)));
    spans.dedup_by(|next, kept| {
        let is_overlap = next.start < kept.end;
        if is_overlap {
            kept.end = kept.end.max(next.end);
        }
        is_overlap
    });
    spans
}

fn replace(text: &str, spans: &[Span], counts: &mut BTreeMap<&'static str, u64>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        out.push_str(&text[at..span.start]);
        out.push('[');
        out.push_str(span.kind);
        out.push(']');
        at = span.end;
        *counts.entry(span.kind).or_default() += 1;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::StaffMatcherBuilder;
    use super::*;

    fn matcher() -> StaffMatcher {
        let mut builder = StaffMatcherBuilder::new();
        for value in ["zhangwei88", "13900001111", "王小芳", "李强", "secret", "shop_01", "staff:17"] {
            builder.add(value, IdentifierKind::of("operator_name", value));
        }
        builder.build().unwrap()
    }

    fn redacted(text: &str) -> String {
        redact(&matcher(), text, &mut BTreeMap::new()).unwrap_or_else(|| text.to_owned())
    }

    /// What becomes of the sentences that logs hold.
    #[test]
    fn sentences() {
        for (text, expected) in [
            ("员工王小芳(zhangwei88)改价", "员工[staff]([staff])改价"),
            ("联系 139-0000-1111 或 +86 13800138000", "联系 [phone] 或 [phone]"),
            ("订单 202101280001 已退款 12.50 元", "订单 202101280001 已退款 12.50 元"),
            (r#"{"user":"a","password":"hunter2!","n":3}"#, r#"{"user":"a","password":"[secret]","n":3}"#),
            ("卡号 6222020200112233440 付款", "卡号 6222020200112233440 付款"),
            ("发到 someone@shop.example 了", "发到 [e-mail] 了"),
            ("13900001111zhangwei88", "[phone][staff]"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    /// Counts are by kind.
    #[test]
    fn counted() {
        let mut counts = BTreeMap::new();
        redact(&matcher(), "李强 13800138000 李强", &mut counts);
        assert_eq!(counts, BTreeMap::from([("staff", 2), ("phone", 1)]));
    }

    /// Bytes around a name stay what they were, whether they are text or not.
    #[test]
    fn bytes_that_are_no_text() {
        let matcher = matcher();
        let mut counts = BTreeMap::new();
        let mut redactor = Redactor { matcher: &matcher, counts: &mut counts };
        let dirty = [b"\xff\x00by ".as_slice(), b"zhangwei88", b" \xfe\xe4\xba"].concat();
        assert_eq!(redactor.bytes(&dirty).unwrap(), b"\xff\x00by [staff] \xfe\xe4\xba");
        assert_eq!(redactor.bytes(b"\xff\x00\xfe"), None);
        assert_eq!(redactor.bytes(b"by zhangwei88").unwrap(), b"by [staff]");
        assert_eq!(counts.get("staff"), Some(&2));
    }

    proptest! {
        /// After redaction no identifier is left, whatever stands around it, and clean text is untouched.
        #[test]
        fn nothing_is_left(parts in prop::collection::vec(
            prop_oneof![
                Just("zhangwei88".to_owned()), Just("13900001111".to_owned()), Just("王小芳".to_owned()),
                Just("李强".to_owned()), Just("password=".to_owned()), Just("shop_01".to_owned()),
                Just("13800138000".to_owned()), Just("\"token\":\"".to_owned()), "\\PC{0,6}", "[a-z0-9 _:=\"-]{0,4}"
            ], 0..8)) {
            let text = parts.concat();
            let m = matcher();
            let mut counts = BTreeMap::new();
            match redact(&m, &text, &mut counts) {
                Some(out) => {
                    prop_assert!(!m.is_hit(&out, true), "{}", out);
                    prop_assert!(counts.values().sum::<u64>() > 0);
                }
                None => {
                    prop_assert!(!m.is_hit(&text, true));
                    prop_assert!(counts.is_empty());
                }
            }
        }
    }
}
