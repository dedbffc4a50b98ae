//! Adapters that yield raw tables to the engine: files on this machine and in object stores, Delta
//! tables of such files, and PostgreSQL.
//!
//! An adapter never hands out a `TableProvider`: what it opens is sealed as a `RawTable`, which SQL
//! cannot name. It opens the columns that a contract names and no others. Its errors are for the
//! owner; what a partner learns of one is its kind. This crate must never know the server.

mod credentials;
mod delta;
mod error;
mod files;
mod postgres;
mod sample;
mod wanted;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use scrim_engine::RawTable;
use scrim_policy::{PostgresServer, ServerKind};

use files::{Environment, Fields, Files};

pub use credentials::{Credential, Credentials};
pub use error::SourceError;
pub use files::{FixtureError, FixtureRow, fixture};
pub use sample::{Sample, SampledColumn, Sampler};
pub use wanted::{Wanted, WantedColumn};

/// Everything that opening a source takes: credentials, bounds, and the connections and caches that
/// sources share. One for each server process; it outlives policy sets.
#[derive(Debug)]
pub struct Sources {
    base: PathBuf,
    credentials: Credentials,
    settings: SourceSettings,
    databases: postgres::Databases,
    files: Files,
}

/// Bounds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceSettings {
    /// Connections to one PostgreSQL database.
    pub postgres_connections: usize,
    /// How long to wait for a free connection or a new one.
    pub connect_timeout: Duration,
    /// How long PostgreSQL may work on one statement.
    pub statement_timeout: Duration,
    /// How long an object store may be silent.
    pub read_timeout: Duration,
    /// Bytes of file footers that are kept.
    pub footers_bytes: usize,
    /// How old a listing of an object store may be before it is made anew.
    pub listing_age: Duration,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            postgres_connections: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_mins(5),
            read_timeout: Duration::from_secs(30),
            footers_bytes: 64 << 20,
            listing_age: Duration::ZERO,
        }
    }
}

/// A table that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The table, sealed; it has the wanted columns that the source has.
    pub table: RawTable,
    /// Columns of the source that nobody wanted; they stay hidden.
    pub extra: Vec<String>,
    /// About how many rows it has, if the source says so cheaply; for the owner only.
    pub rows: Option<u64>,
}

impl Sources {
    /// Sources whose relative paths start at `base`.
    pub fn new(base: PathBuf, credentials: Credentials, settings: SourceSettings) -> Self {
        Self {
            base,
            credentials,
            settings,
            databases: postgres::Databases::default(),
            files: Files::new(settings, Environment::default()),
        }
    }

    /// The same with the variables of the process's environment (`AWS_PROFILE` and the like), by
    /// which object stores are opened whose contracts name no credentials.
    #[must_use]
    pub fn with_environment(
        self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let variables = variables.into_iter();
        let texts =
            variables.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self {
            files: Files::new(self.settings, Environment::new(texts)),
            ..self
        }
    }

    /// Opens the wanted columns of a table. A wanted column that the source lacks is missing from
    /// the schema of what is opened; whether that is an error is the contract's to say.
    ///
    /// # Errors
    /// When the source cannot be reached, or is not as it is described.
    pub async fn open(
        &self,
        kind: &ServerKind,
        credentials: Option<&str>,
        wanted: &Wanted,
    ) -> Result<Opened, SourceError> {
        let credential = self.credentials.of(credentials)?;
        match kind {
            ServerKind::Files(files) => {
                let fields = Fields::new(credentials.zip(credential));
                let opened = self.files.table(files, &self.base, fields, wanted).await?;
                Ok(opened.into())
            }
            ServerKind::Postgres(at) => postgres::open(self, at, credential, wanted).await,
        }
    }

    fn database(
        &self,
        at: &PostgresServer,
        credential: Option<&Credential>,
    ) -> Result<Arc<postgres::Database>, SourceError> {
        self.databases
            .of(at, credential, &self.base, &self.settings)
    }
}
