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
pub struct RedactionCounts(BTreeMap<(&'static str, &'static str), BTreeMap<&'static str, u64>>);

impl RedactionCounts {
    /// Dataset, column, kind and number of spans, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> + '_ {
        self.0.iter().flat_map(|((dataset, column), kinds)| kinds.iter().map(move |(k, n)| (*dataset, *column, *k, *n)))
    }

    /// All spans together.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, _, _, n)| n).sum()
    }

    /// Adds the counts of another pseudonymiser that worked in parallel.
    pub fn merge(&mut self, other: &Self) {
        for (place, kinds) in &other.0 {
            for (kind, n) in kinds {
                *self.0.entry(*place).or_default().entry(kind).or_default() += n;
            }
        }
    }

    /// The counts of one column.
    pub(super) fn of(&mut self, dataset: &'static str, column: &'static str) -> &mut BTreeMap<&'static str, u64> {
        self.0.entry((dataset, column)).or_default()
    }
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
