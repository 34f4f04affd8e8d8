//! Text that is safe inside HTML, and nothing else. What comes from the log
//! reaches the page through [`text`] only.

use std::fmt::Write as _;

/// Escapes what has a meaning in HTML, in text and in quoted attributes.
pub(super) fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if is_hidden(c) => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Whether a character commands a terminal, turns a line around, or cannot be
/// seen.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A cell of a table.
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A time, in one line.
    Time(String),
    /// Text of a fixed width, as ids are.
    Code(String),
    /// A number.
    Number(u64),
    /// What became of something: its class, and the words.
    Mark(&'static str, String),
}

/// A table that becomes a list of cards on a narrow screen. Columns in which
/// nothing stands are left out.
pub(super) fn table(caption: &str, columns: &[&str], rows: &[Vec<Cell>]) -> String {
    let used: Vec<bool> = (0..columns.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).any(is_there))
        .collect();
    let mut out = format!(
        "<table role=\"table\"><caption>{}</caption><thead><tr role=\"row\">",
        text(caption)
    );
    let number = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column));
        cells.all(|cell| matches!(cell, Cell::Number(_)))
    };
    for (column, name) in columns.iter().enumerate() {
        if used.get(column) == Some(&true) {
            let class = if number(column) { " class=\"n\"" } else { "" };
            let _ = write!(
                out,
                "<th role=\"columnheader\" scope=\"col\"{class}>{}</th>",
                text(name)
            );
        }
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr role=\"row\">");
        let cells = row
            .iter()
            .zip(columns)
            .zip(&used)
            .filter(|(_, used)| **used);
        for ((cell, name), _) in cells {
            let label = text(name);
            let empty = if is_there(cell) { "" } else { " empty" };
            let (class, inner) = match cell {
                Cell::Text(words) => ("", text(words)),
                Cell::Time(words) => ("t", text(words)),
                Cell::Code(words) => ("", format!("<code>{}</code>", text(words))),
                Cell::Number(0) => ("n zero", "0".to_owned()),
                Cell::Number(count) => ("n", count.to_string()),
                Cell::Mark(kind, words) => (
                    "",
                    format!("<span class=\"mark {kind}\">{}</span>", text(words)),
                ),
            };
            let inner = if is_there(cell) || matches!(cell, Cell::Number(_)) {
                inner
            } else {
                String::new()
            };
            let _ = write!(
                out,
                "<td role=\"cell\" class=\"{class}{empty}\" data-label=\"{label}\"><span>{inner}</span></td>"
            );
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
    out
}

fn is_there(cell: &Cell) -> bool {
    match cell {
        Cell::Text(words) | Cell::Time(words) | Cell::Code(words) | Cell::Mark(_, words) => {
            !words.is_empty()
        }
        Cell::Number(count) => *count > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text() {
        let safe = text("<script>alert(\"1\" & '2')</script>\u{202e}\0");
        assert!(
            !safe.contains(['<', '>', '"', '\'', '\0', '\u{202e}']),
            "{safe}"
        );
        let cell = |words: &str| Cell::Text(words.to_owned());
        let html = table("<b>", &["<i>", "none"], &[vec![cell("<u>"), cell("")]]);
        for tag in ["<b>", "<i>", "<u>", "none"] {
            assert!(!html.contains(tag), "{tag}: {html}");
        }
    }
}
