//! Where a contract's data lie: its `servers` entries.
//!
//! The standard's keys say where; what it has no key for stands in the entry's custom properties.
//! Credentials are only named here.

use scrim_document::{Location, MapReader, Node, Problems};

use crate::odcs::custom_property;

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
        /// `abfss://container@account.dfs.core.windows.net/path` or `az://container/path`.
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

/// A server of a kind that the standard knows and we do not; an error only when it is needed.
#[derive(Debug, Clone)]
pub(crate) struct Unserved {
    /// How many servers that we can read stand before it.
    pub(crate) before: usize,
    pub(crate) environment: Option<String>,
    pub(crate) kind: String,
    pub(crate) node: Node,
}

pub(crate) fn read_servers(node: &Node, problems: &mut Problems) -> (Vec<Server>, Vec<Unserved>) {
    let mut servers = Vec::new();
    let mut unserved = Vec::new();
    for item in node.list(problems).unwrap_or_default() {
        let Some(mut map) = MapReader::new(item, problems) else {
            continue;
        };
        let name = map.string("server", problems);
        let environment = map.optional_string("environment", problems);
        let Some(kind) = map.string("type", problems) else {
            continue;
        };
        let Some(read) = read_kind(&kind, &mut map, problems) else {
            unserved.push(Unserved {
                before: servers.len(),
                environment,
                kind,
                node: item.clone(),
            });
            continue;
        };
        let credentials = custom_text(&mut map, "credentials", problems);
        if let (Some(name), Some(kind)) = (name, read) {
            servers.push(Server {
                name,
                environment,
                kind,
                credentials,
                location: item.location(),
            });
        }
    }
    (servers, unserved)
}

/// The outer `None` is a kind that we cannot read; the inner one comes with a problem.
#[expect(
    clippy::option_option,
    reason = "a kind that is not served is no problem until it is needed"
)]
fn read_kind(
    kind: &str,
    map: &mut MapReader<'_>,
    problems: &mut Problems,
) -> Option<Option<ServerKind>> {
    match kind {
        "local" => Some(read_local(map, problems)),
        "s3" => Some(read_s3(map, problems)),
        "postgres" | "postgresql" => Some(read_postgres(map, problems)),
        _ => None,
    }
}

fn custom_text(map: &mut MapReader<'_>, name: &str, problems: &mut Problems) -> Option<String> {
    let (_, value) = custom_property(map.optional("customProperties"), name, problems)?;
    value.non_empty_string(problems)
}

fn read_local(map: &mut MapReader<'_>, problems: &mut Problems) -> Option<ServerKind> {
    let path = map.string("path", problems);
    let format = read_format(map, problems);
    Some(ServerKind::Files(FileServer {
        place: FilePlace::Local { path: path? },
        format: format?,
    }))
}

fn read_s3(map: &mut MapReader<'_>, problems: &mut Problems) -> Option<ServerKind> {
    let location = map.string("location", problems);
    let endpoint_url = map.optional_string("endpointUrl", problems);
    let format = read_format(map, problems);
    Some(ServerKind::Files(FileServer {
        place: FilePlace::S3 {
            location: location?,
            endpoint_url,
            region: custom_text(map, "region", problems),
            addressing: Addressing::default(),
        },
        format: format?,
    }))
}

fn read_format(map: &mut MapReader<'_>, problems: &mut Problems) -> Option<FileFormat> {
    let node = map.required("format", problems)?;
    match node.non_empty_string(problems)?.as_str() {
        "parquet" => Some(FileFormat::Parquet),
        "csv" => Some(FileFormat::Csv {
            delimiter: ',',
            bad_rows: BadRows::default(),
        }),
        "json" | "jsonl" | "ndjson" => Some(FileFormat::JsonLines {
            bad_rows: BadRows::default(),
        }),
        "arrow" => Some(FileFormat::Arrow),
        "delta" => Some(FileFormat::Delta(TableVersion::default())),
        other => {
            let message = format!("files of the format `{other}` are not read");
            let help = "we read parquet, csv, json (one object in each line), arrow and delta";
            problems.push(node.error(message).with_help(help));
            None
        }
    }
}

fn read_postgres(map: &mut MapReader<'_>, problems: &mut Problems) -> Option<ServerKind> {
    let host = map.string("host", problems);
    let port = map.required("port", problems).and_then(|node| {
        let port = u16::try_from(node.i64(problems)?)
            .ok()
            .filter(|port| *port > 0);
        if port.is_none() {
            problems.push(node.error("expected a port from 1 to 65535"));
        }
        port
    });
    let database = map.string("database", problems);
    let schema = map.string("schema", problems);
    Some(ServerKind::Postgres(PostgresServer {
        host: host?,
        port: port?,
        database: database?,
        schema: schema?,
        tls: PostgresTls::VerifyFull { ca: None },
    }))
}
