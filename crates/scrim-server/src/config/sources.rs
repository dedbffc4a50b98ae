//! Where data come from beside the contracts: `sources` and `lookup`.

use std::collections::BTreeMap;
use std::time::Duration;

use scrim_document::{MapReader, Node, Problem};
use scrim_policy::{ServerKind, read_source};
use scrim_sources::SourceSettings;

use super::Lookup;
use super::read::Reader;
use super::shapes::{LOOKUP, SOURCES};

/// The age at which a look-up table of a database is read again, when none is said: a database does
/// not tell that a table has changed.
const REFRESH: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);
const CONNECTIONS_MAX: u64 = 1_000;

impl Reader<'_> {
    pub(super) fn sources(&mut self, node: Option<&Node>) -> Option<SourceSettings> {
        let mut settings = SourceSettings::default();
        let Some(node) = node else {
            return Some(settings);
        };
        let mut map = MapReader::new(node, &SOURCES, self.problems)?;
        if let Some(node) = map.optional("postgres_connections") {
            settings.postgres_connections = self.connections(node)?;
        }
        let shortest = Duration::from_millis(10);
        for (key, longest, setting) in [
            (
                "connect_timeout",
                Duration::from_mins(1),
                &mut settings.connect_timeout,
            ),
            ("statement_timeout", DAY, &mut settings.statement_timeout),
            ("read_timeout", DAY, &mut settings.read_timeout),
        ] {
            if let Some(node) = map.optional(key) {
                *setting = self.duration(node, shortest..=longest)?;
            }
        }
        if let Some(node) = map.optional("footers") {
            let bytes = self.size(node, 1 << 20)?;
            settings.footers_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        if let Some(node) = map.optional("listing_age") {
            settings.listing_age = self.duration(node, Duration::ZERO..=DAY)?;
        }
        map.finish(self.problems);
        Some(settings)
    }

    fn connections(&mut self, node: &Node) -> Option<usize> {
        let count = self.count(node)?;
        if count > CONNECTIONS_MAX {
            let message = format!("expected at most {CONNECTIONS_MAX}, found {count}");
            self.problems.push(node.error(message));
            return None;
        }
        usize::try_from(count).ok()
    }

    pub(super) fn lookups(&mut self, node: Option<&Node>) -> BTreeMap<String, Lookup> {
        let entries = node
            .and_then(|node| node.map(self.problems))
            .unwrap_or_default();
        let mut lookups = BTreeMap::new();
        for entry in entries {
            if !is_plain_name(&entry.name) {
                self.problems.push(not_plain(&entry.key, &entry.name));
            }
            if let Some(lookup) = self.lookup(&entry.name, &entry.value) {
                lookups.insert(entry.name.to_string(), lookup);
            }
        }
        lookups
    }

    fn lookup(&mut self, name: &str, node: &Node) -> Option<Lookup> {
        let mut map = MapReader::new(node, &LOOKUP, self.problems)?;
        let table = map.optional_string("table", self.problems);
        let refresh = map.optional("refresh");
        let source = read_source(node, &mut map, self.problems);
        map.finish(self.problems);
        let refresh = match refresh {
            Some(node) => Some(self.duration(node, Duration::from_secs(1)..=DAY)?),
            None => None,
        };
        let source = source?;
        let unsaid = match source.kind {
            ServerKind::Files(_) => None,
            ServerKind::Postgres(_) => Some(REFRESH),
        };
        Some(Lookup {
            kind: source.kind,
            table: table.unwrap_or_else(|| name.to_owned()),
            credentials: source.credentials,
            refresh: refresh.or(unsaid),
            location: node.location(),
        })
    }
}

fn is_plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn not_plain(node: &Node, name: &str) -> Problem {
    node.error(format!("`{name}` cannot be written in SQL without quotes"))
        .with_help("use lower-case letters, digits and `_`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use scrim_document::{Problems, SourceFile};
    use scrim_policy::{FilePlace, PostgresTls};

    use super::*;
    use crate::Config;

    fn parse(more: &str) -> Result<Config, Problems> {
        let text = format!(
            "policies: p\nledger: {{path: l}}\nkeys: {{file: k}}\nidentity: {{accounts: a}}\n{more}"
        );
        Config::parse(&SourceFile::new("scrim.yaml", text), Path::new("/srv"))
    }

    fn lookup(entry: &str) -> Lookup {
        let config = parse(&format!("lookup: {{wards: {{{entry}}}}}\n"));
        let mut config = config.unwrap_or_else(|problems| panic!("{problems}"));
        config.lookups.remove("wards").unwrap()
    }

    fn problems(more: &str) -> String {
        parse(more).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_look_up_table_lies_where_any_table_can() {
        let local = lookup("type: local, path: w.csv, format: csv");
        assert_eq!((local.table.as_str(), local.refresh), ("wards", None));
        assert_eq!(local.credentials, None);
        let lake = lookup(
            "type: s3, location: 's3://lake/w.parquet', format: parquet, credentials: lake, refresh: 90s",
        );
        let ServerKind::Files(files) = lake.kind else {
            panic!("{lake:?}")
        };
        assert!(matches!(files.place, FilePlace::S3 { .. }));
        assert_eq!(lake.credentials.as_deref(), Some("lake"));
        assert_eq!(lake.refresh, Some(Duration::from_secs(90)));
        let database = "type: postgres, host: db, port: 5432, database: d, schema: s, table: ward";
        let read = lookup(database);
        let ServerKind::Postgres(postgres) = read.kind else {
            panic!("{read:?}")
        };
        assert_eq!(postgres.tls, PostgresTls::VerifyFull { ca: None });
        assert_eq!((read.table.as_str(), read.refresh), ("ward", Some(REFRESH)));
        let read = lookup(&format!("{database}, refresh: 1h"));
        assert_eq!(read.refresh, Some(Duration::from_hours(1)));
    }

    #[test]
    fn mistakes_in_sources_have_their_place_and_a_hint() {
        for (more, said) in [
            (
                "secrets: {path: s}",
                "scrim.yaml:5:10: the key `file` is missing",
            ),
            (
                "sources: {postgres_connections: 0}",
                "scrim.yaml:5:33: expected at least 1, found 0",
            ),
            (
                "sources: {postgres_connections: 5000}",
                "scrim.yaml:5:33: expected at most 1000",
            ),
            (
                "sources: {connect_timeout: 2h}",
                "scrim.yaml:5:28: expected a duration from 10ms to 1m",
            ),
            (
                "sources: {listing_age: soon}",
                "scrim.yaml:5:24: expected a duration",
            ),
            (
                "sources: {footers: 1KiB}",
                "scrim.yaml:5:20: expected at least 1048576 bytes",
            ),
            (
                "sources: {footer: 1MiB}",
                "unknown key `footer` (help: did you mean `footers`?)",
            ),
            (
                "lookup: {w: {type: local, path: w, format: avro}}",
                "`avro` are not read",
            ),
            (
                "lookup: {w: {type: local, path: w, format: csv, refresh: 1ms}}",
                "expected a duration from 1s",
            ),
            (
                "lookup: {w: {type: local, path: w, format: csv, tabel: w}}",
                "did you mean `table`?",
            ),
            (
                "lookup: {W: {type: local, path: w, format: csv}}",
                "`W` cannot be written in SQL",
            ),
            (
                "lookup: {w: {type: snowflake, account: a}}",
                "`snowflake` are not read",
            ),
        ] {
            let problems = problems(&format!("{more}\n"));
            assert!(problems.contains(said), "{more}: {problems}");
        }
    }

    #[test]
    fn inv_15_a_password_in_the_configuration_is_refused_and_not_repeated() {
        let entry =
            "type: postgres, host: db, port: 5432, database: d, schema: s, password: hunter2";
        let problems = parse(&format!("lookup: {{w: {{{entry}}}}}\n"))
            .map(drop)
            .unwrap_err();
        let (line, shown) = (problems.to_string(), problems.render());
        assert!(
            line.contains("`password`: credentials do not stand here"),
            "{line}"
        );
        assert!(
            !line.contains("hunter2") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
