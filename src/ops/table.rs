//! Tables for the terminal: columns aligned by what they take on screen, where a Chinese character takes two places.

/// Columns a character takes on a terminal.
fn width_of(c: char) -> usize {
    let wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}');
    if c.is_control() { 0 } else { 1 + usize::from(wide) }
}

/// Columns a text takes on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

/// The text on one line, cut to so many columns, with a sign where something was cut.
pub(super) fn cut(text: &str, columns_max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if width(&line) <= columns_max {
        return line;
    }
    let mut out = String::new();
    let mut used = 1;
    for c in line.chars() {
        used += width_of(c);
        if used > columns_max {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Rows under a head, two blanks between columns, nothing behind the last cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| width(h)).collect();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            match widths.get_mut(at) {
                Some(w) => *w = (*w).max(width(cell)),
                None => widths.push(width(cell)),
            }
        }
    }
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, w) in cells.zip(&widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(w.saturating_sub(width(cell)) + 2));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    if !head.is_empty() {
        line(&mut head.iter().copied());
    }
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns line up whatever the script, and a cut text says that it was cut.
    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["订单".to_owned(), "1".to_owned()], vec!["ab".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["name", "n"], &rows), "name  n\n订单  1\nab    22\n");
        assert_eq!(cut("订单号码", 5), "订单…");
        assert_eq!(cut("a\nb", 5), "a b");
    }
}
