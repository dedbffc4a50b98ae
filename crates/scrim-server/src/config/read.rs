//! From YAML to a checked configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use scrim_document::{MapReader, Node, Problems, Shape, SourceFile, Value};

use super::shapes::{CONFIG, KEYS, LEDGER, LIMITS, LISTEN, SECRETS, SPILL};
use super::units;
use super::{Administrator, Config, Limits, Listen, Networks};

const TIME_MAX: Duration = Duration::from_hours(24);

/// A configuration, or all that is wrong with it.
pub(super) fn config(file: &SourceFile, base_dir: &Path) -> Result<Config, Problems> {
    let root = Node::parse(file)?;
    let mut problems = Problems::default();
    let config = Reader {
        base_dir,
        problems: &mut problems,
    }
    .config(&root);
    problems.sort();
    match config {
        Some(config) if !problems.has_errors() => Ok(config),
        Some(_) | None => Err(problems),
    }
}

pub(super) struct Reader<'a> {
    base_dir: &'a Path,
    pub(super) problems: &'a mut Problems,
}

impl Reader<'_> {
    /// `None` only together with a problem.
    fn config(&mut self, root: &Node) -> Option<Config> {
        let mut map = MapReader::new(root, &CONFIG, self.problems)?;
        let tls = map.optional("tls").map(|node| self.tls(node));
        let listen = self.listen(map.optional("listen"), tls.is_some());
        let policies = map.string("policies", self.problems);
        let shadow = map.optional_string("shadow", self.problems);
        let environment = map.optional_string("environment", self.problems);
        let external = map
            .optional("external_decisions")
            .map(|node| self.external(node));
        let ledger = map
            .required("ledger", self.problems)
            .map(|node| self.one_path(node, &LEDGER));
        let keys = map
            .required("keys", self.problems)
            .map(|node| self.one_path(node, &KEYS));
        let shows_certificates = matches!(&tls, Some(Some(tls)) if tls.clients.is_some());
        let identity = map
            .required("identity", self.problems)
            .map(|node| self.identity(node, shows_certificates));
        let secrets = map
            .optional("secrets")
            .map(|node| self.one_path(node, &SECRETS));
        let sources = self.sources(map.optional("sources"));
        let lookups = self.lookups(map.optional("lookup"));
        let networks = self.networks(map.optional("networks"));
        let limits = self.limits(map.optional("limits"));
        let spill = map
            .optional("spill")
            .map(|node| self.one_path(node, &SPILL));
        let administrators = self.administrators(map.optional("administrators"));
        map.finish(self.problems);
        Some(Config {
            base_dir: self.base_dir.to_owned(),
            listen: listen?,
            tls: transpose(tls)?,
            policies: self.path(&policies?),
            shadow: shadow.map(|path| self.path(&path)),
            environment,
            external: transpose(external)?,
            ledger: ledger??,
            keys: keys??,
            identity: identity??,
            secrets: transpose(secrets)?,
            sources: sources?,
            lookups,
            networks,
            limits: limits?,
            spill: transpose(spill)?,
            administrators,
        })
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base_dir.join(text)
    }

    /// The path under the one key that a part has.
    fn one_path(&mut self, node: &Node, shape: &'static Shape) -> Option<PathBuf> {
        let mut map = MapReader::new(node, shape, self.problems)?;
        let [key] = shape.keys else { return None };
        let path = map.string(key.name, self.problems);
        map.finish(self.problems);
        path.map(|path| self.path(&path))
    }

    fn listen(&mut self, node: Option<&Node>, tls: bool) -> Option<Listen> {
        let mut listen = Listen {
            flight: ([127, 0, 0, 1], 50051).into(),
            allow_plaintext_beyond_loopback: false,
        };
        let Some(node) = node else {
            return Some(listen);
        };
        let mut map = MapReader::new(node, &LISTEN, self.problems)?;
        let flight = map.optional("flight");
        let allow = map.optional_bool("allow_plaintext_beyond_loopback", self.problems);
        map.finish(self.problems);
        listen.allow_plaintext_beyond_loopback = allow.unwrap_or(false);
        if let Some(node) = flight {
            listen.flight = self.address(node)?;
            if !tls && !listen.flight.ip().is_loopback() && !listen.allow_plaintext_beyond_loopback
            {
                self.problems.push(
                    node.error(format!(
                        "`{}` is reachable from other machines and there is no `tls`: passwords \
                         and data would travel unencrypted",
                        listen.flight
                    ))
                    .with_help(
                        "add `tls: {cert: …, key: …}`, listen on 127.0.0.1, or say \
                         `listen: {allow_plaintext_beyond_loopback: true}`",
                    ),
                );
            }
        }
        Some(listen)
    }

    fn address(&mut self, node: &Node) -> Option<SocketAddr> {
        let text = node.non_empty_string(self.problems)?;
        let parsed = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => text.parse(),
        };
        parsed
            .map_err(|_| {
                let help = "write an IP address and a port, like 127.0.0.1:50051 or [::1]:50051";
                self.problems.push(
                    node.error(format!("`{text}` is no address"))
                        .with_help(help),
                );
            })
            .ok()
    }

    pub(super) fn one_of(&mut self, node: &Node, words: &[&str]) -> Option<String> {
        let text = node.non_empty_string(self.problems)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        let help = format!("served here: {}", words.join(", "));
        self.problems.push(
            node.error(format!("`{text}` is not served"))
                .with_help(help),
        );
        None
    }

    fn administrators(&mut self, node: Option<&Node>) -> Vec<Administrator> {
        let items = node
            .and_then(|node| node.list(self.problems))
            .unwrap_or_default();
        let account = |item: &Node| {
            Some(Administrator {
                account: item.non_empty_string(self.problems)?,
                location: item.location(),
            })
        };
        items.iter().filter_map(account).collect()
    }

    fn networks(&mut self, node: Option<&Node>) -> Networks {
        let mut networks = BTreeMap::new();
        for entry in node
            .and_then(|node| node.map(self.problems))
            .unwrap_or_default()
        {
            let items = entry.value.list(self.problems).unwrap_or_default();
            let nets = items.iter().filter_map(|item| self.network(item)).collect();
            networks.insert(entry.name.to_string(), nets);
        }
        Networks::new(networks)
    }

    fn network(&mut self, node: &Node) -> Option<IpNet> {
        let text = node.string(self.problems)?;
        let net = scrim_policy::network(&text);
        if net.is_none() {
            let problem = node.error(format!("`{text}` is no network"));
            let help = "write it like 10.0.0.0/8 or 2001:db8::/32";
            self.problems.push(problem.with_help(help));
        }
        net
    }

    fn limits(&mut self, node: Option<&Node>) -> Option<Limits> {
        let mut limits = Limits::default();
        let Some(node) = node else {
            return Some(limits);
        };
        let mut map = MapReader::new(node, &LIMITS, self.problems)?;
        if let Some(bytes) = map
            .optional("memory")
            .and_then(|node| self.size(node, 16 << 20))
        {
            limits.memory_bytes = bytes;
        }
        if let Some(bytes) = map.optional("bytes").and_then(|node| self.size(node, 1)) {
            limits.bytes_max = bytes;
        }
        if let Some(rows) = map.optional("rows").and_then(|node| self.count(node)) {
            limits.rows_max = rows;
        }
        let times = Duration::from_millis(1)..=TIME_MAX;
        if let Some(time) = map
            .optional("time")
            .and_then(|node| self.duration(node, times))
        {
            limits.time = time;
        }
        let concurrent = map.optional("concurrent_per_principal");
        if let Some(queries) = concurrent.and_then(|node| self.count(node)) {
            limits.concurrent_per_principal = queries;
        }
        let sessions = map.optional("sessions_per_principal");
        if let Some(sessions) = sessions.and_then(|node| self.count(node)) {
            limits.sessions_per_principal = sessions;
        }
        let streams = map.optional("streams_per_principal");
        if let Some(streams) = streams.and_then(|node| self.count(node)) {
            limits.streams_per_principal = streams;
        }
        let times = Duration::from_secs(1)..=TIME_MAX;
        if let Some(time) = map
            .optional("idle_reader")
            .and_then(|node| self.duration(node, times))
        {
            limits.idle_reader = time;
        }
        map.finish(self.problems);
        Some(limits)
    }

    pub(super) fn count(&mut self, node: &Node) -> Option<u64> {
        let count = node.i64(self.problems)?;
        if count < 1 {
            self.problems
                .push(node.error(format!("expected at least 1, found {count}")));
            return None;
        }
        u64::try_from(count).ok()
    }

    pub(super) fn size(&mut self, node: &Node, min: u64) -> Option<u64> {
        let size = match node.value() {
            Value::Int(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => units::bytes(text),
            Value::Null | Value::Bool(_) | Value::Float(..) | Value::List(_) | Value::Map(_) => {
                None
            }
        };
        if size.is_none() {
            let help = "write it like 512MiB or 2GiB";
            self.problems
                .push(node.error("expected a size in bytes").with_help(help));
        } else if size < Some(min) {
            self.problems
                .push(node.error(format!("expected at least {min} bytes")));
            return None;
        }
        size
    }

    pub(super) fn duration(
        &mut self,
        node: &Node,
        range: std::ops::RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(duration) = node.as_str().and_then(units::duration) else {
            let help = "write it like 30s, 5m or 8h";
            self.problems
                .push(node.error("expected a duration").with_help(help));
            return None;
        };
        if !range.contains(&duration) {
            let [from, to] = [range.start(), range.end()].map(|end| units::written(*end));
            self.problems
                .push(node.error(format!("expected a duration from {from} to {to}")));
            return None;
        }
        Some(duration)
    }
}

/// A part that is there but broken has been reported; one that is not there is fine.
#[expect(
    clippy::option_option,
    reason = "absent and broken differ here, and only here"
)]
pub(super) fn transpose<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(part) => part.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use scrim_model::ValueType;
    use scrim_sources::SourceSettings;

    use super::*;

    const WHOLE: &str = "
listen: {flight: 127.0.0.1:0}
tls: {cert: server.pem, key: server.key, client_ca: clients.pem, client_auth: optional}
policies: policies
shadow: policies-next
environment: production
external_decisions: {url: 'https://opa.internal/v1/data/scrim'}
ledger: {path: ledger}
keys: {file: keys.json}
identity:
  accounts: accounts.yaml
  session: {ttl: 1h, max: 12h}
  attributes: {clearance: int64}
  certificates:
    - {subject: 'CN=alice,O=Acme', account: alice}
    - {san: 'spiffe://acme.example/batch', account: batch}
secrets: {file: secrets.yaml}
sources:
  {postgres_connections: 3, connect_timeout: 2s, statement_timeout: 1m, read_timeout: 10s,
   footers: 8MiB, listing_age: 30s}
lookup: {entitlements: {type: local, path: lookups/entitlements.csv, format: csv}}
networks: {office: [10.0.0.0/8, '::ffff:192.0.2.7/128']}
limits:
  {memory: 1GiB, rows: 1000, bytes: 64MiB, time: 30s, concurrent_per_principal: 2,
   sessions_per_principal: 5, streams_per_principal: 3, idle_reader: 2m}
";

    fn parse(text: &str) -> Result<Config, Problems> {
        Config::parse(
            &SourceFile::new("scrim.yaml", text),
            Path::new("/srv/scrim"),
        )
    }

    fn check(text: &str, expected: &[&str]) {
        let problems = parse(text).unwrap_err().to_string();
        assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(WHOLE).unwrap();
        assert_eq!(config.policies, Path::new("/srv/scrim/policies"));
        assert_eq!(
            config.shadow.as_deref(),
            Some(Path::new("/srv/scrim/policies-next"))
        );
        assert!(config.external.is_some());
        assert_eq!(config.ledger, Path::new("/srv/scrim/ledger"));
        assert_eq!(config.tls.unwrap().cert, Path::new("/srv/scrim/server.pem"));
        assert_eq!(config.identity.attributes["clearance"], ValueType::Int64);
        assert_eq!(
            config.secrets.as_deref(),
            Some(Path::new("/srv/scrim/secrets.yaml"))
        );
        let sources = SourceSettings {
            postgres_connections: 3,
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_mins(1),
            read_timeout: Duration::from_secs(10),
            footers_bytes: 8 << 20,
            listing_age: Duration::from_secs(30),
        };
        assert_eq!(config.sources, sources);
        assert_eq!(config.lookups["entitlements"].table, "entitlements");
        assert_eq!(
            config.networks.containing("10.9.8.7".parse().unwrap()),
            ["office"]
        );
        assert_eq!(
            config
                .networks
                .containing("::ffff:192.0.2.7".parse().unwrap()),
            ["office"]
        );
        assert!(
            config
                .networks
                .containing("192.0.2.8".parse().unwrap())
                .is_empty()
        );
        let limits = Limits {
            memory_bytes: 1 << 30,
            rows_max: 1_000,
            bytes_max: 64 << 20,
            time: Duration::from_secs(30),
            concurrent_per_principal: 2,
            sessions_per_principal: 5,
            streams_per_principal: 3,
            idle_reader: Duration::from_mins(2),
        };
        assert_eq!(config.limits, limits);
    }

    #[test]
    fn inv_14_what_is_not_said_has_a_bound() {
        let config = parse(
            "policies: p\nledger: {path: l}\nkeys: {file: k}\nidentity: {accounts: a.yaml}\n",
        )
        .unwrap();
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.sources, SourceSettings::default());
        assert_eq!(config.identity.session_ttl, Duration::from_hours(8));
        assert_eq!(config.identity.session_max, Duration::from_hours(24));
        assert!(config.listen.flight.ip().is_loopback());
        assert!(!config.listen.allow_plaintext_beyond_loopback);
    }

    #[test]
    fn all_problems_at_once_each_with_its_place() {
        check(
            "listen: {flight: 0.0.0.0:50051}
polices: policies
ledger: {path: ledger}
keys: {file: keys.json}
identity: {accounts: accounts.yaml, session: {ttl: forever}, attributes: {clearance: integer}}
lookup: {Bad-Name: {type: s3, path: x, format: csv}}
networks: {office: [10.0.0.0/99]}
limits: {memory: lots, rows: 0, idle_reader: 1ms, streams_per_principal: 0}
",
            &[
                "scrim.yaml:1:1: the key `policies` is missing",
                "scrim.yaml:1:18: `0.0.0.0:50051` is reachable from other machines and there is no \
                 `tls`: passwords and data would travel unencrypted (help: add `tls: {cert: …, key: …}`, \
                 listen on 127.0.0.1, or say `listen: {allow_plaintext_beyond_loopback: true}`)",
                "scrim.yaml:2:1: unknown key `polices` (help: did you mean `policies`?)",
                "scrim.yaml:5:52: expected a duration (help: write it like 30s, 5m or 8h)",
                "scrim.yaml:5:86: `integer` is no type of an attribute (help: types are bool, int64, \
                 float64, timestamp, text and text_list)",
                "scrim.yaml:6:10: `Bad-Name` cannot be written in SQL without quotes (help: use \
                 lower-case letters, digits and `_`)",
                "scrim.yaml:6:20: the key `location` is missing",
                "scrim.yaml:6:31: unknown key `path` (help: known keys are addressing, badRows, \
                 credentials, delimiter, endpointUrl, format, location, refresh, region, table, type)",
                "scrim.yaml:7:21: `10.0.0.0/99` is no network (help: write it like 10.0.0.0/8 or \
                 2001:db8::/32)",
                "scrim.yaml:8:18: expected a size in bytes (help: write it like 512MiB or 2GiB)",
                "scrim.yaml:8:30: expected at least 1, found 0",
                "scrim.yaml:8:46: expected a duration from 1s to 1d",
                "scrim.yaml:8:74: expected at least 1, found 0",
            ],
        );
    }

    #[test]
    fn plaintext_beyond_loopback_must_be_said_in_so_many_words() {
        let text = "listen: {flight: 0.0.0.0:1, allow_plaintext_beyond_loopback: true}
policies: p
ledger: {path: l}
keys: {file: k}
identity: {accounts: a.yaml}
";
        assert!(parse(text).unwrap().listen.allow_plaintext_beyond_loopback);
        assert!(parse(&text.replace("true", "false")).is_err());
        assert!(
            parse(
                &text
                    .replace("0.0.0.0:1", "localhost:1")
                    .replace("true", "false")
            )
            .is_ok()
        );
    }
}
