//! Text cut into records, some hundreds or thousands at a time: a line each, or several where
//! quotes hold line breaks.

use std::io::BufRead;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use scrim_engine::{FaultKind, SourceFault};

use super::pin::Pinned;

/// Bytes of one record. A quote that is never closed would make one of the rest of the file.
const RECORD_MAX: usize = 16 << 20;
/// Bytes after which a block is handed on with fewer records than it may have.
const BLOCK: usize = 1 << 20;

/// Records that are decoded together.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Bytes,
    records: Vec<Record>,
}

/// Where a record lies in its block, and its line in the file, from 1.
#[derive(Debug, Clone)]
struct Record {
    at: Range<usize>,
    line: u64,
    /// The file ended within its quotes.
    open: bool,
}

impl Block {
    /// The records with their lines; none in the place of one that ends within its quotes or is no
    /// UTF-8.
    pub(super) fn records(&self) -> impl Iterator<Item = (Option<&[u8]>, u64)> {
        // One look at all of them is faster than one at each.
        let all = std::str::from_utf8(&self.bytes).is_ok();
        self.records.iter().map(move |record| {
            let bytes = self.bytes.get(record.at.clone());
            let sound = bytes.filter(|b| !record.open && (all || std::str::from_utf8(b).is_ok()));
            (sound, record.line)
        })
    }
}

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// At each line break.
    Lines,
    /// At each line break that is not within quotes; the byte is what stands between fields.
    Quoted(u8),
}

impl Rule {
    /// Whether a line holds nothing. Blanks can be what stands between fields.
    fn is_blank(self, line: &[u8]) -> bool {
        match self {
            Self::Lines => line.trim_ascii().is_empty(),
            Self::Quoted(_) => line.iter().all(|byte| matches!(byte, b'\n' | b'\r')),
        }
    }
}

/// The records of a text.
pub(super) struct Records {
    file: Pinned,
    source: BoxStream<'static, Result<Bytes, SourceFault>>,
    rule: Rule,
    buffer: BytesMut,
    /// Lines that were handed on.
    line: u64,
    ended: bool,
}

impl Records {
    pub(super) fn new(
        file: Pinned,
        source: BoxStream<'static, Result<Bytes, SourceFault>>,
        rule: Rule,
    ) -> Self {
        Self {
            file,
            source,
            rule,
            buffer: BytesMut::new(),
            line: 0,
            ended: false,
        }
    }

    /// The next records, at most so many; none at the end. Blank lines are no records.
    pub(super) async fn next(&mut self, most: usize) -> Result<Option<Block>, SourceFault> {
        let mut scan = Scan::new(self.line);
        loop {
            scan.go_on(&self.buffer, self.rule, most);
            if scan.is_full(most) {
                break;
            }
            if self.ended {
                scan.end(&self.buffer, self.rule);
                break;
            }
            if self.buffer.len() - scan.start > RECORD_MAX {
                let what = format!(
                    "the record at line {} is longer than {} MiB; a quote may not be closed",
                    scan.first_line + 1,
                    RECORD_MAX >> 20
                );
                return Err(self.file.fault(FaultKind::Invalid, what));
            }
            match self.source.next().await {
                Some(piece) => self.buffer.extend_from_slice(&piece?),
                None => self.ended = true,
            }
        }
        self.line = scan.first_line;
        let bytes = self.buffer.split_to(scan.start).freeze();
        let records = scan.records;
        Ok((!records.is_empty()).then_some(Block { bytes, records }))
    }
}

/// A search for the ends of records.
struct Scan {
    records: Vec<Record>,
    /// Where the record that is looked at starts.
    start: usize,
    /// Lines before it.
    first_line: u64,
    /// Up to where it was looked at, always just behind a line break.
    seen: usize,
    /// Lines before that.
    line: u64,
    quotes: Quotes,
}

impl Scan {
    fn new(line: u64) -> Self {
        Self {
            records: Vec::new(),
            start: 0,
            first_line: line,
            seen: 0,
            line,
            quotes: Quotes::Start,
        }
    }

    fn is_full(&self, most: usize) -> bool {
        self.records.len() >= most || (self.start >= BLOCK && !self.records.is_empty())
    }

    /// Looks at the lines that are whole.
    fn go_on(&mut self, buffer: &[u8], rule: Rule, most: usize) {
        while !self.is_full(most) {
            let mut rest = buffer.get(self.seen..).unwrap_or_default();
            let before = rest;
            let Ok(length) = rest.skip_until(b'\n') else {
                return;
            };
            let line = before.get(..length).unwrap_or_default();
            if line.last() != Some(&b'\n') {
                return;
            }
            self.seen += length;
            self.line += 1;
            if let Rule::Quoted(delimiter) = rule {
                self.quotes = self.quotes.after(line, delimiter);
                if self.quotes == Quotes::Inside {
                    continue;
                }
            }
            self.close(buffer, rule, false);
        }
    }

    /// Whatever is left is a record, too.
    fn end(&mut self, buffer: &[u8], rule: Rule) {
        let open = self.quotes == Quotes::Inside;
        if self.start < buffer.len() {
            self.seen = buffer.len();
            self.line += 1;
            self.close(buffer, rule, open);
        }
    }

    fn close(&mut self, buffer: &[u8], rule: Rule, open: bool) {
        let at = self.start..self.seen;
        let bytes = buffer.get(at.clone()).unwrap_or_default();
        if !rule.is_blank(bytes) {
            let line = self.first_line + 1;
            self.records.push(Record { at, line, open });
        }
        self.start = self.seen;
        self.first_line = self.line;
        self.quotes = Quotes::Start;
    }
}

/// Where in a field a text is. A quote within an unquoted field is itself, as the decoder has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// At the start of a field.
    Start,
    /// In a field without quotes, or behind the quotes.
    Outside,
    /// Within quotes.
    Inside,
    /// Behind a quote within quotes: the next byte says whether it closes.
    Closing,
}

impl Quotes {
    fn after(self, line: &[u8], delimiter: u8) -> Self {
        // Most lines have no quotes, and `contains` looks at many bytes at once.
        if !line.contains(&b'"') {
            return match self {
                Self::Inside => Self::Inside,
                Self::Start | Self::Outside | Self::Closing => Self::Start,
            };
        }
        line.iter().fold(self, |state, byte| match state {
            Self::Inside if *byte == b'"' => Self::Closing,
            Self::Inside => Self::Inside,
            Self::Start | Self::Closing if *byte == b'"' => Self::Inside,
            _ if matches!(*byte, b'\n' | b'\r') || *byte == delimiter => Self::Start,
            _ => Self::Outside,
        })
    }
}
