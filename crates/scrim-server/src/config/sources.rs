//! Where data come from beside the contracts: `sources` and `lookup`.

use std::collections::BTreeMap;
use std::time::Duration;

use scrim_document::{MapReader, Node, Problem};
use scrim_policy::{ServerKind, read_source};
use scrim_sources::SourceSettings;

use super::Lookup;
use super::read::Reader;

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
        let mut map = MapReader::new(node, self.problems)?;
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
        let mut map = MapReader::new(node, self.problems)?;
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
