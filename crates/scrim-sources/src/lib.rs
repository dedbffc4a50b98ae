//! Adapters that yield raw tables to the engine; this one reads local files.
//!
//! An adapter never hands out a `TableProvider`: what it opens is sealed as a `RawTable`, which SQL
//! cannot name. This crate must never know the server.

mod checked;
mod local;
mod parquet;

use std::path::Path;

use scrim_engine::RawTable;
use scrim_policy::{Server, ServerKind};

pub use local::open_local;

/// Why a source could not be opened; for the owner, never for a partner.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at the path.
    #[error("there is no file at {0}; give a path relative to the folder of scrim.yaml")]
    Missing(String),
    /// The format is not one that is read.
    #[error("format {0} is not read; use parquet or csv")]
    Format(String),
    /// The type of server is not served.
    #[error("servers of type {0} are not served by this version; use type local")]
    Kind(&'static str),
    /// The file could not be read or understood.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// What was read.
        path: String,
        /// Why it failed.
        cause: String,
    },
}

/// Opens the table that a contract's server entry describes. Relative paths start at `base`.
///
/// # Errors
/// When the source is missing, unreadable, or of a kind that is not served.
pub async fn open(server: &Server, base: &Path) -> Result<RawTable, SourceError> {
    match &server.kind {
        ServerKind::Local { path, format } => open_local(path, format, base).await,
        ServerKind::S3 { .. } => Err(SourceError::Kind("s3")),
        ServerKind::Postgres { .. } => Err(SourceError::Kind("postgres")),
    }
}
