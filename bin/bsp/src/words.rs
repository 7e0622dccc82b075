//! Lines that fit the terminal.

use std::io::{self, IsTerminal};

/// A terminal that does not say how wide it is has as many columns as this.
const USUAL_COLUMNS: usize = 80;

/// The columns of the terminal that standard output is; `None` if it goes elsewhere.
pub(crate) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size_of(io::stdout());
    Some(size.map_or(USUAL_COLUMNS, |(width, _)| usize::from(width.0)))
}

/// A text after a label, with its further lines below its first, and none wider than the columns
/// that there are. Without columns it is one line. A word that is too long stays whole, so that it
/// can be copied.
pub(crate) fn wrapped(label: &str, text: &str, columns: Option<usize>) -> String {
    let indent = label.chars().count();
    let width = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent));
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        let is_full = line > 0 && line + 1 + word.chars().count() > width;
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    format!("{label}{}\n", lines.join(&format!("\n{:indent$}", "")))
}

/// The end of a text that is longer than a column: texts that begin alike end differently.
pub(crate) fn tail(text: &str, columns: usize) -> String {
    let count = text.chars().count();
    if count <= columns {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count - columns.saturating_sub(1)).collect();
    format!("…{end}")
}

/// The beginning of a text that is longer than a column.
pub(crate) fn head(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let begin: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{begin}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_columns_and_keep_long_words() {
        assert_eq!(wrapped("  a  ", "one two three", Some(13)), "  a  one two\n     three\n");
        assert_eq!(wrapped("  a  ", "one two three", None), "  a  one two three\n");
        assert_eq!(wrapped("a ", "0123456789 x", Some(6)), "a 0123456789\n  x\n");
        assert_eq!(wrapped("a ", "b", Some(0)), "a b\n");
    }

    #[test]
    fn a_text_is_cut_where_it_says_least() {
        assert_eq!(tail("bafkreia", 4), "…eia");
        assert_eq!(head("0x701c69", 4), "0x7…");
        assert_eq!((tail("abc", 3), head("abc", 3)), ("abc".to_owned(), "abc".to_owned()));
    }
}
