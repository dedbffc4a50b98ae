//! Files and places in them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A file that was read: the path that people are shown, and its text; cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    path: Arc<str>,
    text: Arc<str>,
}

impl SourceFile {
    /// Pairs a path with the text that was found there.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// The path that people are shown.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of a line and column (both from 1) in this file.
    pub fn location(&self, line: u32, column: u32) -> Location {
        Location {
            file: Arc::clone(&self.path),
            line,
            column,
        }
    }

    /// The text without the byte order mark that some editors put in front: the author does not see
    /// it, so it must not shift what they see.
    pub(crate) fn visible_text(&self) -> &str {
        self.text.strip_prefix('\u{feff}').unwrap_or(&self.text)
    }

    /// Where characters from a place on stand in the text, as a byte and a number of bytes; they end
    /// with their line. A place beyond the text is its end.
    pub(crate) fn bytes(&self, at: &Location, characters: usize) -> (usize, usize) {
        let size = |text: std::str::Chars<'_>, count: usize| -> usize {
            text.take(count).map(char::len_utf8).sum()
        };
        let visible = self.visible_text();
        let mut start = self.text.len() - visible.len();
        for (number, line) in (1..).zip(visible.split_inclusive('\n')) {
            if number == at.line {
                let before = size(line.chars(), at.column.saturating_sub(1) as usize);
                let rest = line.get(before..).unwrap_or_default();
                let rest = rest.trim_end_matches(['\r', '\n']);
                return (start + before, size(rest.chars(), characters));
            }
            start += line.len();
        }
        (self.text.len(), 0)
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({}, {} bytes)", self.path, self.text.len())
    }
}

/// A place in a file, for people: line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// The file's path as it was given.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::SourceFile;

    #[test]
    fn places_are_counted_in_characters_and_stay_inside() {
        let file = SourceFile::new("a.yaml", "ä: é\nb: ü\r\n");
        let bytes = |line, column, characters| file.bytes(&file.location(line, column), characters);
        assert_eq!(bytes(1, 1, 1), (0, 2));
        assert_eq!(bytes(1, 4, 1), (4, 2));
        assert_eq!(bytes(2, 1, 4), (7, 5));
        assert_eq!(bytes(2, 4, 99), (10, 2), "the line ends what is meant");
        assert_eq!(bytes(9, 9, 9), (file.text().len(), 0));
        assert_eq!(file.location(2, 4).to_string(), "a.yaml:2:4");
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        let file = SourceFile::new("a.yaml", "\u{feff}a: b\n");
        assert_eq!(file.bytes(&file.location(1, 1), 1), (3, 1));
        assert_eq!(file.bytes(&file.location(1, 4), 1), (6, 1));
    }
}
