//! Personal data recognised by its form: phone numbers, identity-card numbers, bank cards, e-mail addresses.
//!
//! Order numbers look much alike, and an archive without them would be useless, so each form is as narrow as its
//! own rules allow: check digits where there are any, known prefixes, and no digit beside.

use super::redact::Span;
use super::token::is_mobile;

/// Finds all of them.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    digits(bytes, spans);
    if text.contains('@') {
        mails(bytes, spans);
    }
}

/// Runs of digits, in which single blanks and dashes may separate groups.
fn digits(bytes: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        let mut groups: Vec<(usize, usize)> = Vec::new();
        loop {
            let group = at;
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            groups.push((group, at));
            let is_joined =
                matches!(bytes.get(at), Some(b' ' | b'-')) && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if !is_joined {
                break;
            }
            at += 1;
        }
        run(bytes, start, &groups, spans);
    }
}

fn run(bytes: &[u8], run_start: usize, groups: &[(usize, usize)], spans: &mut Vec<Span>) {
    // Each group by itself, then neighbouring groups together as people write them.
    let mut taken_to = run_start;
    for first in 0..groups.len() {
        if groups[first].0 < taken_to {
            continue;
        }
        for last in (first..groups.len().min(first + 6)).rev() {
            let lengths: Vec<usize> = groups[first..=last].iter().map(|(a, b)| b - a).collect();
            let number: String =
                groups[first..=last].iter().flat_map(|(a, b)| &bytes[*a..*b]).map(|b| char::from(*b)).collect();
            let (start, mut end) = (groups[first].0, groups[last].1);
            let kind = if is_phone(&number, &lengths) {
                Some("phone")
            } else if is_identity_card(&number, bytes.get(end).copied(), &lengths, &mut end) {
                Some("id-card")
            } else if is_bank_card(&number, &lengths) {
                Some("bank-card")
            } else {
                None
            };
            if let Some(kind) = kind {
                let start = if start > 0 && bytes[start - 1] == b'+' { start - 1 } else { start };
                spans.push(Span { start, end, kind });
                taken_to = end;
                break;
            }
        }
    }
}

/// A mobile number, whole or in groups of 3, 4 and 4, with or without country code; a landline with area code.
fn is_phone(number: &str, lengths: &[usize]) -> bool {
    match lengths {
        [11] | [3, 4, 4] => is_mobile(number),
        [13] | [2, 11] | [2, 3, 4, 4] => number.strip_prefix("86").is_some_and(is_mobile),
        [15] | [4, 11] | [4, 3, 4, 4] => number.strip_prefix("0086").is_some_and(is_mobile),
        [3 | 4, 7 | 8] => number.starts_with('0') && !number.starts_with("00"),
        _ => false,
    }
}

/// 18 places with a birth date and the check character of GB 11643; `X` follows as a letter.
fn is_identity_card(number: &str, next: Option<u8>, lengths: &[usize], end: &mut usize) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let check = match (lengths, next) {
        ([18], _) => number.as_bytes()[17],
        ([17], Some(b'X' | b'x')) => b'X',
        _ => return false,
    };
    let digit = |i: usize| u32::from(number.as_bytes()[i] - b'0');
    let pair = |i: usize| digit(i) * 10 + digit(i + 1);
    let is_date = matches!(pair(6), 19 | 20) && (1..=12).contains(&pair(10)) && (1..=31).contains(&pair(12));
    let sum: u32 = WEIGHTS.iter().zip(0..).map(|(w, i)| w * digit(i)).sum();
    let is_card = is_date && (1..=9).contains(&digit(0)) && CHECKS[(sum % 11) as usize] == check;
    if is_card && lengths == [17] {
        *end += 1;
    }
    is_card
}

/// A card number by length, prefix and the Luhn check digit, whole or in groups of four.
fn is_bank_card(number: &str, lengths: &[usize]) -> bool {
    let is_grouped = lengths.len() == 1
        || (lengths.len() >= 4
            && lengths[..lengths.len() - 1].iter().all(|l| *l == 4)
            && lengths[lengths.len() - 1] <= 4);
    let prefix = &number[..number.len().min(2)];
    let is_known = match number.len() {
        16 => matches!(prefix, "62" | "35" | "60" | "65" | "95" | "98") || matches!(prefix.as_bytes()[0], b'4' | b'5'),
        17 | 18 => prefix == "62",
        19 => matches!(prefix, "62" | "60" | "95" | "94" | "98"),
        15 => matches!(prefix, "34" | "37"),
        _ => false,
    };
    is_grouped && is_known && luhn(number)
}

fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(b, is_doubled)| {
            let digit = u32::from(b - b'0') * if is_doubled { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

fn mails(bytes: &[u8], spans: &mut Vec<Span>) {
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b"._%+-".contains(&b);
    let is_domain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    for at in bytes.iter().enumerate().filter(|(_, b)| **b == b'@').map(|(i, _)| i) {
        let local = bytes[..at].iter().rev().take_while(|b| is_local(**b)).count();
        let mut domain = bytes[at + 1..].iter().take_while(|b| is_domain(**b)).count();
        while domain > 0 && matches!(bytes[at + domain], b'.' | b'-') {
            domain -= 1;
        }
        let end = at + 1 + domain;
        if local > 0 && bytes[at + 1..end].contains(&b'.') {
            spans.push(Span { start: at - local, end, kind: "e-mail" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(&str, &'static str)> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        spans.iter().map(|s| (&text[s.start..s.end], s.kind)).collect()
    }

    /// Each form is found whole; numbers of other things are left alone.
    #[test]
    fn forms() {
        for (text, expected) in [
            ("电话13800138000。", vec![("13800138000", "phone")]),
            ("+86 138 0013 8000", vec![("+86 138 0013 8000", "phone")]),
            ("0086-13800138000", vec![("0086-13800138000", "phone")]),
            ("0755-12345678", vec![("0755-12345678", "phone")]),
            ("13800138000-13900001111", vec![("13800138000", "phone"), ("13900001111", "phone")]),
            ("证件11010519491231002X", vec![("11010519491231002X", "id-card")]),
            ("卡 6222 0202 0011 2233", vec![]),
            ("卡 4111 1111 1111 1111", vec![("4111 1111 1111 1111", "bank-card")]),
            ("卡4111111111111111", vec![("4111111111111111", "bank-card")]),
            ("mail a.b+c@shop.example.", vec![("a.b+c@shop.example", "e-mail")]),
            ("@all a@b", vec![]),
            ("2021-01-28 17:07:11", vec![]),
            ("4200000925202101284997714292", vec![]),
            ("S20210128170702357723", vec![]),
            ("110105194912310021", vec![]),
            ("12800138000 1380013800 138001380001", vec![]),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }
}
