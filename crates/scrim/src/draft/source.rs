//! Where a table lies, as it is said on the command line.

use std::path::Path;

use scrim_policy::{
    Addressing, BadRows, FileFormat, FilePlace, FileServer, PostgresServer, PostgresTls,
    ServerKind, TableVersion,
};
use url::{Url, form_urlencoded};

use crate::cli::FileKind;

/// What the command line says about a source beside its address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The table; files have one name for all.
    pub(crate) table: Option<String>,
    /// The schema in a database.
    pub(crate) schema: Option<String>,
    /// How files are written.
    pub(crate) format: Option<FileFormat>,
    /// Another store than the one the address is named after.
    pub(crate) endpoint_url: Option<String>,
    /// The region of a bucket.
    pub(crate) region: Option<String>,
}

/// A source that a contract can be drafted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Where it lies. Files of a format that nobody named are taken for Parquet.
    pub(crate) kind: ServerKind,
    /// Whether the format is a guess.
    pub(crate) guessed: bool,
    /// The source's own name of the table.
    pub(crate) table: String,
    /// Who asks a database, if the address says so.
    pub(crate) user: Option<String>,
}

impl Source {
    /// Reads an address. No message repeats it: it may hold what nobody should read again.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(from: &str, base: &Path, said: &Said) -> Result<Self, String> {
        match from.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => postgres(from, base, said),
            scheme => files(from, scheme, base, said),
        }
    }

    /// The same table, its files written in another way.
    pub(crate) fn with_format(&self, format: FileFormat) -> Self {
        let kind = match &self.kind {
            ServerKind::Files(files) => ServerKind::Files(FileServer {
                place: files.place.clone(),
                format,
            }),
            database @ ServerKind::Postgres(_) => database.clone(),
        };
        Self {
            kind,
            ..self.clone()
        }
    }
}

const SECRET: &str = "other people of this machine can read a command line, so no password may stand \
                      in an address: set PGPASSWORD, or name credentials with --credentials";

fn postgres(from: &str, base: &Path, said: &Said) -> Result<Source, String> {
    let form = "write the address like postgres://user@host:5432/database";
    let address = Url::parse(from).map_err(|error| format!("{error}; {form}"))?;
    if address.password().is_some() {
        return Err(SECRET.to_owned());
    }
    if said.format.is_some() || said.endpoint_url.is_some() || said.region.is_some() {
        return Err("--format, --endpoint-url and --region are for files".to_owned());
    }
    let host = address.host_str().map(decoded).unwrap_or_default();
    let database = decoded(address.path().trim_start_matches('/'));
    let table = said
        .table
        .clone()
        .ok_or("add --table, the table's name in the database")?;
    if host.is_empty() || database.is_empty() || database.contains('/') {
        return Err(form.to_owned());
    }
    let user = Some(decoded(address.username())).filter(|user| !user.is_empty());
    Ok(Source {
        kind: ServerKind::Postgres(PostgresServer {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: address.port().unwrap_or(5432),
            database,
            schema: said.schema.clone().unwrap_or_else(|| "public".to_owned()),
            tls: tls(&address, base)?,
        }),
        guessed: false,
        table,
        user,
    })
}

fn tls(address: &Url, base: &Path) -> Result<PostgresTls, String> {
    let mut mode = None;
    let mut ca = None;
    for (key, value) in address.query_pairs() {
        match key.as_ref() {
            "sslmode" => mode = Some(value.into_owned()),
            "sslrootcert" => ca = Some(relative(Path::new(value.as_ref()), base)?),
            "password" => return Err(SECRET.to_owned()),
            _ => {
                return Err(
                    "of a query in the address, sslmode and sslrootcert are read".to_owned(),
                );
            }
        }
    }
    match mode.as_deref() {
        None | Some("verify-full") => Ok(PostgresTls::VerifyFull { ca }),
        Some("disable") => Ok(PostgresTls::Off),
        Some(_) => Err("write sslmode=verify-full, or sslmode=disable for this machine".to_owned()),
    }
}

/// Undoes the escapes of an address.
fn decoded(text: &str) -> String {
    // What this reads takes a plus for a blank, and `&` for the next pair.
    let text = text.replace('+', "%2B").replace('&', "%26");
    let query = format!("x={text}");
    let decoded = form_urlencoded::parse(query.as_bytes()).next();
    decoded
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn files(from: &str, scheme: Option<&str>, base: &Path, said: &Said) -> Result<Source, String> {
    if said.schema.is_some() {
        return Err("--schema is for databases".to_owned());
    }
    let rest = from.split_once("://").map_or(from, |(_, rest)| rest);
    if scheme.is_some() {
        refuse_secrets(rest, scheme)?;
    }
    let place = place(from, scheme, base, said)?;
    let named = match &place {
        FilePlace::S3 { .. } | FilePlace::Azure { .. } | FilePlace::Gcs { .. } => true,
        FilePlace::Local { .. } | FilePlace::Http { .. } => false,
    };
    if said.endpoint_url.is_some() && !named {
        return Err("--endpoint-url is for object stores".to_owned());
    }
    if said.region.is_some() && !matches!(place, FilePlace::S3 { .. }) {
        return Err("--region is for s3://".to_owned());
    }
    let format = said.format.clone().or_else(|| format_of(rest));
    let table = said.table.clone().or_else(|| table_of(rest));
    Ok(Source {
        guessed: format.is_none(),
        kind: ServerKind::Files(FileServer {
            place,
            format: format.unwrap_or(FileFormat::Parquet),
        }),
        table: table.ok_or("add --table, the table's name")?,
        user: None,
    })
}

/// A password before the host; a signature in the query.
fn refuse_secrets(rest: &str, scheme: Option<&str>) -> Result<(), String> {
    let host = rest.split('/').next().unwrap_or_default();
    let web = matches!(scheme, Some("http" | "https"));
    match host.rsplit_once('@') {
        Some((before, _)) if before.contains(':') || web => return Err(SECRET.to_owned()),
        _ => {}
    }
    if web && rest.contains('?') {
        let why =
            "an address with a query may hold a signature, which must not stand in a contract";
        return Err(why.to_owned());
    }
    Ok(())
}

fn place(from: &str, scheme: Option<&str>, base: &Path, said: &Said) -> Result<FilePlace, String> {
    let location = from.to_owned();
    let endpoint_url = said.endpoint_url.clone();
    match scheme {
        Some("s3") => Ok(FilePlace::S3 {
            location,
            endpoint_url,
            region: said.region.clone(),
            addressing: Addressing::default(),
        }),
        Some("az" | "abfs" | "abfss") => Ok(FilePlace::Azure {
            location,
            endpoint_url,
        }),
        Some("gs") => Ok(FilePlace::Gcs {
            location,
            endpoint_url,
        }),
        Some("http" | "https") => Ok(FilePlace::Http { location }),
        Some("file") => {
            let path = Url::parse(from)
                .ok()
                .and_then(|address| address.to_file_path().ok());
            let path = path.ok_or("write the address like file:///folder/file.parquet")?;
            local(&path, base)
        }
        None => local(Path::new(from), base),
        Some(_) => Err(
            "tables come from postgres://, s3://, az://, abfss://, gs://, https://, file:// \
                        or a path"
                .to_owned(),
        ),
    }
}

fn local(path: &Path, base: &Path) -> Result<FilePlace, String> {
    let path = relative(path, base)?;
    Ok(FilePlace::Local { path })
}

/// A path as a contract has it: relative to the folder of `scrim.yaml` where it lies below it.
fn relative(path: &Path, base: &Path) -> Result<String, String> {
    let full = |path: &Path| std::path::absolute(path).map_err(|error| error.to_string());
    let (full, base) = (full(path)?, full(base)?);
    let path = full.strip_prefix(&base).unwrap_or(&full);
    let text = path.to_str().ok_or("the path is no Unicode text")?;
    Ok(text.to_owned())
}

/// The format that a name ends in.
fn format_of(path: &str) -> Option<FileFormat> {
    let path = path.to_ascii_lowercase();
    let path = path.strip_suffix(".gz").unwrap_or(&path);
    let (_, ending) = path.rsplit_once('.')?;
    match ending {
        "parquet" => Some(FileKind::Parquet.into()),
        "csv" => Some(FileKind::Csv.into()),
        "json" | "jsonl" | "ndjson" => Some(FileKind::Json.into()),
        "arrow" | "arrows" | "ipc" | "feather" => Some(FileKind::Arrow.into()),
        _ => None,
    }
}

impl From<FileKind> for FileFormat {
    fn from(kind: FileKind) -> Self {
        let bad_rows = BadRows::Fail;
        match kind {
            FileKind::Parquet => Self::Parquet,
            FileKind::Csv => Self::Csv {
                delimiter: ',',
                bad_rows,
            },
            FileKind::Json => Self::JsonLines { bad_rows },
            FileKind::Arrow => Self::Arrow,
            FileKind::Delta => Self::Delta(TableVersion::Latest),
        }
    }
}

/// What the last name of a path calls the table: not a pattern, not a column's folder.
fn table_of(path: &str) -> Option<String> {
    let mut names = path.split('/').rev().filter(|name| !name.is_empty());
    let name =
        names.find(|name| !name.contains(['*', '?', '[', '=']) && *name != "." && *name != "..")?;
    let stem = name.split('.').find(|part| !part.is_empty())?;
    Some(stem.to_owned())
}

#[cfg(test)]
mod tests;
