//! Where a contract's data lie: its `servers` entries.
//!
//! The standard's keys say where; what it has no key for stands in the entry's custom properties.
//! A look-up table of the configuration is described by the same words. Credentials are only named
//! here.

mod place;
mod read;
mod secrets;

use std::fmt;

use scrim_document::{Location, Node};

pub use read::read_source;
pub(crate) use read::{KINDS_HELP, read_servers};

/// One place where the data lie.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name in the contract.
    pub name: String,
    /// The environment that it serves.
    pub environment: Option<String>,
    /// Its kind, with what that kind needs.
    pub kind: ServerKind,
    /// The name of its credentials; they never stand in a contract.
    pub credentials: Option<String>,
    /// Where it stands in the contract.
    pub location: Location,
}

/// Where the data of a table lie, and who may read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// The kind of place, with what that kind needs.
    pub kind: ServerKind,
    /// The name of its credentials.
    pub credentials: Option<String>,
}

/// The kinds of places that we can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerKind {
    /// Files, on this machine or in an object store.
    Files(FileServer),
    /// A PostgreSQL database.
    Postgres(PostgresServer),
}

/// Files of one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileServer {
    /// Where they lie.
    pub place: FilePlace,
    /// How they are written.
    pub format: FileFormat,
}

/// Where files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePlace {
    /// On this machine.
    Local {
        /// File, folder or pattern, relative to the folder of `scrim.yaml`.
        path: String,
    },
    /// In an object store that speaks S3.
    S3 {
        /// `s3://bucket/prefix`, with a pattern or not.
        location: String,
        /// The store's address, when it is not AWS.
        endpoint_url: Option<String>,
        /// The region; found in the profile or the environment when unsaid.
        region: Option<String>,
        /// How the bucket is named in an address.
        addressing: Addressing,
    },
    /// In Azure's object store.
    Azure {
        /// `abfss://container@account.dfs.core.windows.net/path` or `az://container/path`; the
        /// standard's form, with the container after the host, is turned into the first.
        location: String,
        /// The store's address, when it is not Azure's own.
        endpoint_url: Option<String>,
    },
    /// In Google's object store.
    Gcs {
        /// `gs://bucket/prefix`.
        location: String,
        /// The store's address, when it is not Google's own.
        endpoint_url: Option<String>,
    },
    /// On a web server; one file.
    Http {
        /// `https://host/path/file.parquet`.
        location: String,
    },
}

/// How a bucket is named in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// `https://host/bucket/key`, which every store understands.
    #[default]
    Path,
    /// `https://bucket.host/key`.
    VirtualHost,
}

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet.
    Parquet,
    /// CSV with a header line.
    Csv {
        /// What stands between two fields.
        delimiter: char,
        /// What happens to a row that does not fit the declared types.
        bad_rows: BadRows,
    },
    /// One JSON object in each line.
    JsonLines {
        /// What happens to a line that does not fit the declared types.
        bad_rows: BadRows,
    },
    /// Arrow IPC, file or stream.
    Arrow,
    /// A Delta Lake table.
    Delta(TableVersion),
}

/// What happens to a row that does not fit the declared types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// The query fails, and the log names file and line.
    #[default]
    Fail,
    /// The row is left out and counted in the log.
    Skip,
}

/// Which version of a table that keeps its past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TableVersion {
    /// The newest when a query starts.
    #[default]
    Latest,
    /// The one of that number.
    Number(u64),
    /// The one that was current then, as written (RFC 3339).
    AsOf(String),
}

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresServer {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The schema in it.
    pub schema: String,
    /// How the connection is protected.
    pub tls: PostgresTls,
}

/// How a connection to PostgreSQL is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresTls {
    /// TLS; the certificate must be issued for the host by a known authority.
    VerifyFull {
        /// The authorities' certificates (PEM), relative to the folder of `scrim.yaml`; the
        /// system's when unsaid.
        ca: Option<String>,
    },
    /// No protection; for servers of this machine.
    Off,
}

/// The place in one line, for people. No secret is part of it.
impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(files) => files.place.fmt(f),
            Self::Postgres(PostgresServer {
                host,
                port,
                database,
                schema,
                tls: _,
            }) => write!(f, "postgres://{host}:{port}/{database}, schema {schema}"),
        }
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (location, endpoint) = match self {
            Self::Local { path: location } | Self::Http { location } => (location, &None),
            Self::S3 {
                location,
                endpoint_url,
                region: _,
                addressing: _,
            }
            | Self::Azure {
                location,
                endpoint_url,
            }
            | Self::Gcs {
                location,
                endpoint_url,
            } => (location, endpoint_url),
        };
        match endpoint {
            Some(endpoint) => write!(f, "{location} at {endpoint}"),
            None => f.write_str(location),
        }
    }
}

/// A server of a kind that the standard knows and we do not; an error only when it is needed.
#[derive(Debug, Clone)]
pub(crate) struct Unserved {
    /// How many servers that we can read stand before it.
    pub(crate) before: usize,
    pub(crate) environment: Option<String>,
    pub(crate) kind: String,
    pub(crate) node: Node,
}
