//! The lines of a document, counted from 1 as in messages.

use scrim_document::{Node, SourceFile};

/// Lines with the characters that end them.
pub(super) struct Lines<'a> {
    /// The byte order mark in front, if there is one.
    pub(super) mark: &'a str,
    /// What ends the lines.
    pub(super) end: &'static str,
    texts: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(file: &'a SourceFile) -> Self {
        let text = file.text();
        let visible = text.trim_start_matches('\u{feff}');
        let mark = text.strip_suffix(visible).unwrap_or_default();
        let texts: Vec<_> = visible.split_inclusive('\n').collect();
        let windows = texts.first().is_some_and(|text| text.ends_with("\r\n"));
        let end = if windows { "\r\n" } else { "\n" };
        Self { mark, end, texts }
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &'a str)> {
        (1..).zip(self.texts.iter().copied())
    }

    pub(super) fn get(&self, number: usize) -> &'a str {
        let index = number.checked_sub(1);
        index
            .and_then(|index| self.texts.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// The rest of the line from where a value starts.
    pub(super) fn at(&self, node: &Node) -> &'a str {
        let mut rest = self.get(line(node)).chars();
        rest.by_ref().take(column(node) - 1).for_each(drop);
        rest.as_str()
    }

    /// The line after the document's last, given one inside it.
    pub(super) fn end_after(&self, number: usize) -> usize {
        let marker = |line: &str| line.starts_with("...") || line.starts_with("---");
        self.numbered()
            .find(|(other, line)| *other > number && marker(line))
            .map_or(self.texts.len() + 1, |(number, _)| number)
    }

    /// The line after the last that counts between two lines: blank lines at the end do not, nor do
    /// comments that stand further left than this many spaces.
    pub(super) fn last_of(&self, first: usize, end: usize, indent: usize) -> usize {
        let counts = |line: &str| {
            let text = line.trim();
            let comment = text.starts_with('#') && spaces(line) < indent;
            !text.is_empty() && !comment
        };
        let found = (first..end).rev().find(|number| counts(self.get(*number)));
        found.map_or(first, |number| number + 1)
    }
}

/// The line on which a value starts.
pub(super) fn line(node: &Node) -> usize {
    node.location().line as usize
}

/// The column at which a value starts, from 1.
pub(super) fn column(node: &Node) -> usize {
    node.location().column.max(1) as usize
}

/// Spaces in front of a line.
pub(super) fn spaces(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A line without up to this many spaces in front.
pub(super) fn dedented(line: &str, indent: usize) -> &str {
    line.get(spaces(line).min(indent)..).unwrap_or(line)
}

/// The comment of a line on which no text holds a `#`.
pub(super) fn comment(line: &str) -> Option<&str> {
    let line = line.trim();
    let start = line.starts_with('#').then_some(0);
    let start = start.or_else(|| line.find(" #").map(|space| space + 1));
    start.and_then(|start| line.get(start..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_where_things_end() {
        let file = SourceFile::new("f", "\u{feff}a:\r\n  # x\r\n  b: 1\r\n\r\n# y\r\n...\r\n");
        let lines = Lines::of(&file);
        assert_eq!((lines.mark, lines.end), ("\u{feff}", "\r\n"));
        assert_eq!(lines.get(1), "a:\r\n");
        assert_eq!((lines.get(0), lines.get(9)), ("", ""));
        assert_eq!(lines.end_after(1), 6);
        assert_eq!(lines.last_of(1, 6, 2), 4);
        assert_eq!(lines.last_of(1, 6, 0), 6);
        assert_eq!(lines.last_of(1, 3, 2), 3);
    }

    #[test]
    fn a_comment_is_what_follows_a_space_and_a_mark() {
        assert_eq!(comment("  value: # why\n"), Some("# why"));
        assert_eq!(comment("# all\n"), Some("# all"));
        assert_eq!(comment("a: b#c\n"), None);
        assert_eq!(dedented("   x\n", 2), " x\n");
        assert_eq!(dedented(" x\n", 2), "x\n");
    }
}
