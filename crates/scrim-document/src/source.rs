//! Files and places in them.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

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

    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The byte at which a place starts; the end of the text for a place beyond it.
    pub(crate) fn byte_offset(&self, line: u32, column: u32) -> usize {
        let mut start = 0;
        for (number, text) in (1..).zip(self.text.split_inclusive('\n')) {
            if number == line {
                let column = column.saturating_sub(1) as usize;
                return start + text.chars().take(column).map(char::len_utf8).sum::<usize>();
            }
            start += text.len();
        }
        self.text.len()
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({}, {} bytes)", self.path, self.text.len())
    }
}

/// A place in a file, for people: line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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
    fn byte_offsets_count_characters_and_stay_inside() {
        let file = SourceFile::new("a.yaml", "ä: é\nb: ü\n");
        assert_eq!(file.byte_offset(1, 1), 0);
        assert_eq!(file.byte_offset(1, 4), 4);
        assert_eq!(file.byte_offset(2, 1), 7);
        assert_eq!(file.byte_offset(9, 9), file.text().len());
        assert_eq!(file.location(2, 4).to_string(), "a.yaml:2:4");
    }
}
