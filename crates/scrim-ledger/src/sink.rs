//! The port to the file, so that tests can make it fail.

use std::{
    fmt::Debug,
    fs::{self, File, Metadata},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Where lines go.
pub(crate) trait Sink: Debug + Send {
    /// Appends bytes to the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable whatever was appended.
    fn sync(&mut self) -> io::Result<()>;
}

/// The ledger's file, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct FileSink {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl FileSink {
    /// Takes over a locked file that holds `bytes` bytes.
    pub(crate) fn new(file: File, path: &Path, bytes: u64) -> Self {
        Self {
            file,
            path: path.to_owned(),
            bytes,
        }
    }

    /// Whether the name still leads to our file and nobody else changed its length. Writing on into
    /// a file that was moved away, or after a tail that somebody cut off, would lose records.
    fn is_untouched(&self) -> io::Result<bool> {
        let named = fs::metadata(&self.path)?;
        Ok(is_same_file(&named, &self.file.metadata()?) && named.len() == self.bytes)
    }
}

#[cfg(unix)]
fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    a.len() == b.len()
}

impl Sink for FileSink {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_untouched()? {
            return Err(io::Error::other(
                "the file was replaced or changed by somebody else",
            ));
        }
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
