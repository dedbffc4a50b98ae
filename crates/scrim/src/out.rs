//! The one place that writes to the terminal.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Where a command writes: results to one side, remarks to the other.
pub struct Out {
    results: Box<dyn Write + Send>,
    remarks: Box<dyn Write + Send>,
    live: bool,
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl Out {
    /// Standard output and standard error.
    pub fn standard() -> Self {
        Self {
            results: Box::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
            remarks: Box::new(io::stderr()),
            live: io::stderr().is_terminal(),
        }
    }

    /// Any two writers, for tests.
    pub fn to(results: Box<dyn Write + Send>, remarks: Box<dyn Write + Send>) -> Self {
        Self {
            results,
            remarks,
            live: false,
        }
    }

    /// Writes one line of the result and lets it go at once.
    pub fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self.results, "{text}")?;
        self.results.flush()
    }

    /// The result itself, for those who write many lines or bytes.
    pub fn results(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.results
    }

    /// Writes one line beside the result. Nobody can be told when that fails, so nobody is.
    pub fn remark(&mut self, text: impl fmt::Display) {
        drop(writeln!(self.remarks, "{text}"));
    }

    /// Replaces the progress line, if somebody is looking.
    pub fn progress(&mut self, text: impl fmt::Display) {
        if self.live {
            drop(write!(self.remarks, "\r\x1b[2K{text}").and_then(|()| self.remarks.flush()));
        }
    }

    /// Takes the progress line away again.
    pub fn end_progress(&mut self) {
        if self.live {
            drop(write!(self.remarks, "\r\x1b[2K").and_then(|()| self.remarks.flush()));
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        drop(self.results.flush());
    }
}
