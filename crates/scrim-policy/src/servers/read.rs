//! Reading where data lie.

use chrono::DateTime;
use scrim_document::{MapReader, Node, Problems, Value, nearest};

use super::place::{self, Wrong};
use super::{
    Addressing, BadRows, FileFormat, FilePlace, FileServer, PostgresServer, PostgresTls, Server,
    ServerKind, SourceEntry, TableVersion, Unserved, secrets,
};
use crate::odcs::custom_property;
use crate::shapes::{EXTRAS, SERVER};

/// What is said of an entry that we cannot read.
pub(crate) const KINDS_HELP: &str = "we read local, s3, azure, postgres, and custom with a \
                                     location that starts with gs:// or https://";

/// Reads the `servers` of a contract.
pub(crate) fn read_servers(node: &Node, problems: &mut Problems) -> (Vec<Server>, Vec<Unserved>) {
    let mut servers = Vec::new();
    let mut unserved = Vec::new();
    for item in node.list(problems).unwrap_or_default() {
        let Some(mut map) = MapReader::new(item, &SERVER, problems) else {
            continue;
        };
        let name = map.string("server", problems);
        let environment = map.optional_string("environment", problems);
        let custom = map
            .optional("customProperties")
            .filter(|node| !node.is_null() && node.list(problems).is_some());
        if secrets::refuse(item, problems) {
            continue;
        }
        let mut entry = Entry {
            map: &mut map,
            extras: Extras::Custom(custom),
            problems,
        };
        match entry.read() {
            Read::Known(read) => servers.extend(name.map(|name| Server {
                name,
                environment,
                kind: read.kind,
                credentials: read.credentials,
                location: item.location(),
            })),
            Read::Unserved(kind) => unserved.push(Unserved {
                before: servers.len(),
                environment,
                kind,
                node: item.clone(),
            }),
            Read::Wrong => {}
        }
    }
    (servers, unserved)
}

/// Reads an entry of a configuration, which says of a source what an entry of a contract says, but
/// all in one map. The caller reads keys of its own and finishes the map.
pub fn read_source<'a>(
    node: &'a Node,
    map: &mut MapReader<'a>,
    problems: &mut Problems,
) -> Option<SourceEntry> {
    // After the first problem nothing more is said: of keys that nobody reads, and of lines in which
    // secrets may stand.
    let known: Vec<&str> = node
        .as_map()
        .unwrap_or_default()
        .iter()
        .map(|e| &*e.name)
        .collect();
    if secrets::refuse(node, problems) {
        map.ignore(&known);
        return None;
    }
    let mut entry = Entry {
        map,
        extras: Extras::Keys,
        problems,
    };
    match entry.read() {
        Read::Known(read) => Some(read),
        Read::Unserved(kind) => {
            map.ignore(&known);
            let problem = node.error(format!("sources of the type `{kind}` are not read"));
            problems.push(problem.with_help(KINDS_HELP));
            None
        }
        Read::Wrong => None,
    }
}

/// What became of an entry.
enum Read {
    /// It can be read from.
    Known(SourceEntry),
    /// It is of a kind that the standard knows and we do not.
    Unserved(String),
    /// There is a problem.
    Wrong,
}

/// Where stands what the standard has no key for.
#[derive(Clone, Copy)]
enum Extras<'a> {
    /// In the custom properties of the entry.
    Custom(Option<&'a Node>),
    /// Beside all else.
    Keys,
}

/// An entry while it is read.
struct Entry<'a, 'r> {
    map: &'r mut MapReader<'a>,
    extras: Extras<'a>,
    problems: &'r mut Problems,
}

impl<'a> Entry<'a, '_> {
    fn read(&mut self) -> Read {
        let Some(kind) = self.map.string("type", self.problems) else {
            return Read::Wrong;
        };
        let before = self.problems.len();
        let read = match kind.as_str() {
            "local" => self.local(),
            "s3" => self.s3(),
            "azure" => self.azure(),
            "postgres" | "postgresql" => self.postgres(),
            // The standard has no type for Google's store and for web servers.
            "custom" => match self.scheme() {
                Some("gs") => self.gcs(),
                Some("https" | "http") => self.http(),
                Some(_) | None => return Read::Unserved(kind),
            },
            _ => return Read::Unserved(kind),
        };
        let credentials = self.extra_text("credentials");
        match read {
            Some(kind) if self.problems.len() == before => {
                Read::Known(SourceEntry { kind, credentials })
            }
            Some(_) | None => Read::Wrong,
        }
    }

    /// The value of something that the standard has no key for.
    fn extra(&mut self, name: &'static str) -> Option<&'a Node> {
        match self.extras {
            Extras::Custom(node) => {
                custom_property(node, &EXTRAS, name, self.problems).map(|(_, value)| value)
            }
            Extras::Keys => self.map.optional(name),
        }
    }

    /// The value of something that the standard has a key for in some kinds only.
    fn key_or_extra(&mut self, name: &'static str) -> Option<&'a Node> {
        let key = self.map.optional(name);
        key.or_else(|| self.extra(name))
    }

    fn extra_text(&mut self, name: &'static str) -> Option<String> {
        self.extra(name)?.non_empty_string(self.problems)
    }

    /// One of a few words.
    fn extra_word<T: Copy>(&mut self, name: &'static str, words: [(&str, T); 2]) -> Option<T> {
        let node = self.extra(name)?;
        let text = node.non_empty_string(self.problems)?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let [(one, _), (other, _)] = words;
        let problem = node.error(format!("`{name}` is `{one}` or `{other}`, not `{text}`"));
        self.problems.push(match nearest(&text, [one, other]) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem,
        });
        None
    }

    fn local(&mut self) -> Option<ServerKind> {
        let path = self.map.string("path", self.problems);
        self.files(path.map(|path| FilePlace::Local { path }))
    }

    fn s3(&mut self) -> Option<ServerKind> {
        let location = self.location(&["s3"], "s3://bucket/path/*.parquet");
        let endpoint_url = self.endpoint();
        let region = self.extra_text("region");
        let words = [
            ("path", Addressing::Path),
            ("virtual", Addressing::VirtualHost),
        ];
        let addressing = self.extra_word("addressing", words).unwrap_or_default();
        self.files(location.map(|location| FilePlace::S3 {
            location,
            endpoint_url,
            region,
            addressing,
        }))
    }

    fn azure(&mut self) -> Option<ServerKind> {
        let example = "abfss://container@account.dfs.core.windows.net/path/*.parquet";
        let location = self.location(&["abfss", "abfs", "az"], example);
        let endpoint_url = self.endpoint();
        self.files(location.map(|location| FilePlace::Azure {
            location: place::azure(&location),
            endpoint_url,
        }))
    }

    fn gcs(&mut self) -> Option<ServerKind> {
        let location = self.location(&["gs"], "gs://bucket/path/*.parquet");
        let endpoint_url = self.endpoint();
        self.files(location.map(|location| FilePlace::Gcs {
            location,
            endpoint_url,
        }))
    }

    fn http(&mut self) -> Option<ServerKind> {
        let location = self.location(&["https", "http"], "https://host/path/file.parquet");
        self.files(location.map(|location| FilePlace::Http { location }))
    }

    fn scheme(&mut self) -> Option<&'a str> {
        self.map
            .optional("location")?
            .as_str()
            .and_then(place::scheme)
    }

    fn location(&mut self, schemes: &[&str], example: &str) -> Option<String> {
        let node = self.map.required("location", self.problems)?;
        self.address(node, schemes, example)
    }

    fn endpoint(&mut self) -> Option<String> {
        let node = self.key_or_extra("endpointUrl")?;
        self.address(node, &["https", "http"], "https://host:9000")
    }

    fn address(&mut self, node: &Node, schemes: &[&str], example: &str) -> Option<String> {
        let text = node.non_empty_string(self.problems)?;
        let wrong = match place::check(&text, schemes) {
            Ok(()) => return Some(text),
            Err(wrong) => wrong,
        };
        self.problems.push(match wrong {
            Wrong::Form => node.error(format!("expected an address like {example}")),
            Wrong::Credentials => secrets::problem(node, "credentials stand in this address"),
            Wrong::Query => secrets::problem(node, "an address with a query may hold a signature"),
        });
        None
    }

    fn files(&mut self, place: Option<FilePlace>) -> Option<ServerKind> {
        let node = self.map.required("format", self.problems)?;
        let format = match node.non_empty_string(self.problems)?.as_str() {
            "parquet" => FileFormat::Parquet,
            "csv" => FileFormat::Csv {
                delimiter: self.delimiter()?,
                bad_rows: self.bad_rows(),
            },
            "json" | "jsonl" | "ndjson" => {
                self.refuse_array();
                FileFormat::JsonLines {
                    bad_rows: self.bad_rows(),
                }
            }
            "arrow" => FileFormat::Arrow,
            "delta" => FileFormat::Delta(self.version()?),
            other => {
                let message = format!("files of the format `{other}` are not read");
                let help = "we read parquet, csv, json (one object in each line), arrow and delta";
                self.problems.push(node.error(message).with_help(help));
                return None;
            }
        };
        Some(ServerKind::Files(FileServer {
            place: place?,
            format,
        }))
    }

    fn bad_rows(&mut self) -> BadRows {
        let words = [("fail", BadRows::Fail), ("skip", BadRows::Skip)];
        self.extra_word("badRows", words).unwrap_or_default()
    }

    /// What stands between two fields of a CSV file.
    fn delimiter(&mut self) -> Option<char> {
        let Some(node) = self.key_or_extra("delimiter") else {
            return Some(',');
        };
        let text = node.string(self.problems)?;
        let mut characters = text.chars();
        match (text.as_str(), characters.next(), characters.next()) {
            ("tab" | "\\t", _, _) => Some('\t'),
            (_, Some(one), None) if one.is_ascii() && !matches!(one, '"' | '\n' | '\r') => {
                Some(one)
            }
            _ => {
                let problem = node.error("a delimiter is one ASCII character");
                self.problems
                    .push(problem.with_help("write it like \";\", or `tab`"));
                None
            }
        }
    }

    /// The standard also knows files that are one array.
    fn refuse_array(&mut self) {
        if let Some(node) = self.key_or_extra("delimiter")
            && node.as_str() != Some("new_line")
        {
            let problem = node.error("JSON is read with one object in each line");
            self.problems
                .push(problem.with_help("write `delimiter: new_line`, or leave it out"));
        }
    }

    /// The version of a table that keeps its past.
    fn version(&mut self) -> Option<TableVersion> {
        let (version, as_of) = (self.extra("version"), self.extra("asOf"));
        match (version, as_of) {
            (None, None) => Some(TableVersion::Latest),
            (Some(node), None) => {
                let number = match node.value() {
                    Value::Int(number) => u64::try_from(*number).ok(),
                    Value::Text(text) => text.parse().ok(),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Float(..)
                    | Value::List(_)
                    | Value::Map(_) => None,
                };
                if number.is_none() {
                    self.problems
                        .push(node.error("expected the number of a version, 0 or more"));
                }
                number.map(TableVersion::Number)
            }
            (None, Some(node)) => {
                let text = node.non_empty_string(self.problems)?;
                if DateTime::parse_from_rfc3339(&text).is_err() {
                    let problem = node.error(format!("`{text}` is no instant"));
                    self.problems
                        .push(problem.with_help("write it like 2026-03-02T23:00:00Z"));
                    return None;
                }
                Some(TableVersion::AsOf(text))
            }
            (Some(_), Some(node)) => {
                let problem = node.error("`version` and `asOf` cannot both hold");
                self.problems.push(problem.with_help("remove one of them"));
                None
            }
        }
    }

    fn postgres(&mut self) -> Option<ServerKind> {
        let host = self.host();
        let port = self.port();
        let database = self.map.string("database", self.problems);
        let schema = self.map.string("schema", self.problems);
        let tls = self.tls();
        Some(ServerKind::Postgres(PostgresServer {
            host: host?,
            port: port?,
            database: database?,
            schema: schema?,
            tls: tls?,
        }))
    }

    fn host(&mut self) -> Option<String> {
        let node = self.map.required("host", self.problems)?;
        let host = node.non_empty_string(self.problems)?;
        if host.contains('@') {
            self.problems
                .push(secrets::problem(node, "credentials stand in this host"));
            return None;
        }
        let is_folder = host.starts_with('/');
        let is_name = !host.contains(['/', ' ']) && host.matches(':').count() != 1;
        if !is_folder && !is_name {
            let problem = node.error(format!("`{host}` is no host"));
            let help =
                "write its name or address alone; the port and the database have keys of their own";
            self.problems.push(problem.with_help(help));
            return None;
        }
        Some(host)
    }

    fn port(&mut self) -> Option<u16> {
        let node = self.map.required("port", self.problems)?;
        let port = u16::try_from(node.i64(self.problems)?)
            .ok()
            .filter(|port| *port > 0);
        if port.is_none() {
            self.problems
                .push(node.error("expected a port from 1 to 65535"));
        }
        port
    }

    fn tls(&mut self) -> Option<PostgresTls> {
        let ca = self.extra("tlsCa");
        let words = [("verify-full", true), ("off", false)];
        let verified = self.extra_word("tls", words).unwrap_or(true);
        match (verified, ca) {
            (true, Some(node)) => {
                let ca = Some(node.non_empty_string(self.problems)?);
                Some(PostgresTls::VerifyFull { ca })
            }
            (true, None) => Some(PostgresTls::VerifyFull { ca: None }),
            (false, None) => Some(PostgresTls::Off),
            (false, Some(node)) => {
                let problem = node.error("`tlsCa` has no use with `tls: off`");
                self.problems.push(problem.with_help("remove one of them"));
                None
            }
        }
    }
}
