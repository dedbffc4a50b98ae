//! A decision point outside the policies: `external_decisions`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use scrim_document::{Location, MapReader, Node, Problem, SourceFile, Value};

use super::read::{Reader, transpose};
use super::shapes::EXTERNAL;

const TIMEOUT: Duration = Duration::from_millis(500);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const CACHE_MAX: Duration = Duration::from_hours(1);

/// A decision point outside the policies, which can only narrow what they give.
#[derive(Debug, Clone)]
pub struct External {
    /// Where questions are sent to.
    pub url: Url,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long an answer may be used again; zero is never.
    pub cache: Duration,
    /// The name of the credential with the bearer token.
    pub credentials: Option<String>,
    /// The certificates of those who may vouch for it, PEM; the system's when unsaid.
    pub ca: Option<PathBuf>,
    /// Whether it is told what differs with every request: the time, recent activity.
    pub volatile: bool,
    /// Where the configuration says so.
    pub location: Location,
}

impl Reader<'_> {
    pub(super) fn external(&mut self, node: &Node) -> Option<External> {
        let mut map = MapReader::new(node, &EXTERNAL, self.problems)?;
        let url = map.required("url", self.problems);
        let timeout = map.optional("timeout");
        let cache = map.optional("cache");
        let credentials = map.optional_string("credentials", self.problems);
        let ca = map.optional_string("ca", self.problems);
        let volatile = map.optional_bool("volatile", self.problems);
        let allow = map.optional_bool("allow_plaintext_beyond_loopback", self.problems);
        map.finish(self.problems);
        let url = url.map(|node| self.url(node, allow.unwrap_or(false)));
        let timeouts = Duration::from_millis(1)..=TIMEOUT_MAX;
        let timeout = timeout.map(|node| self.duration(node, timeouts));
        let cache = cache.map(|node| self.cache(node));
        Some(External {
            url: url??,
            timeout: transpose(timeout)?.unwrap_or(TIMEOUT),
            cache: transpose(cache)?.unwrap_or_default(),
            credentials,
            ca: ca.map(|path| self.path(&path)),
            volatile: volatile.unwrap_or(false),
            location: node.location(),
        })
    }

    fn cache(&mut self, node: &Node) -> Option<Duration> {
        match node.value() {
            Value::Int(0) => Some(Duration::ZERO),
            _ => self.duration(node, Duration::ZERO..=CACHE_MAX),
        }
    }

    /// Nothing of an address is repeated before it is known to hold no password, and so its line is
    /// not shown either.
    fn url(&mut self, node: &Node, plaintext: bool) -> Option<Url> {
        let text = node.non_empty_string(self.problems)?;
        let parsed = Url::parse(&text).ok();
        let served = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = served.filter(Url::has_host) else {
            let help = "write it like https://opa.internal:8181/v1/data/scrim/tables";
            self.problems
                .push(unshown(node, "this is no address of HTTP").with_help(help));
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            let help = "name them with `credentials`; their values stand in the secrets file";
            self.problems
                .push(unshown(node, "credentials do not stand here").with_help(help));
            return None;
        }
        if url.scheme() == "http" && !plaintext && !is_loopback(&url) {
            let message = format!(
                "`{url}` is on another machine, and what is asked and answered would travel \
                 unencrypted"
            );
            let help = "use https, or say `allow_plaintext_beyond_loopback: true` beside it";
            self.problems.push(node.error(message).with_help(help));
            return None;
        }
        Some(url)
    }
}

/// A problem whose line may hold a secret.
fn unshown(node: &Node, message: &str) -> Problem {
    let location = node.location();
    let file = SourceFile::new(Arc::clone(&location.file), "");
    Problem::error(&location, &file, message)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use scrim_document::Problems;

    use super::*;
    use crate::Config;

    fn parse(entry: &str) -> Result<Option<External>, Problems> {
        let text = format!(
            "policies: p\nledger: {{path: l}}\nkeys: {{file: k}}\nidentity: {{accounts: a}}\n\
             external_decisions: {entry}\n"
        );
        let file = SourceFile::new("scrim.yaml", text);
        Config::parse(&file, Path::new("/srv")).map(|config| config.external)
    }

    #[test]
    fn every_key_is_read_and_most_may_be_left_out() {
        let whole = "{url: 'https://opa:8181/v1/data/scrim', timeout: 2s, cache: 10s, \
                     credentials: opa, ca: opa.pem, volatile: true}";
        let external = parse(whole).unwrap().unwrap();
        assert_eq!(external.url.as_str(), "https://opa:8181/v1/data/scrim");
        assert_eq!(external.timeout, Duration::from_secs(2));
        assert_eq!(external.cache, Duration::from_secs(10));
        assert_eq!(external.credentials.as_deref(), Some("opa"));
        assert_eq!(external.ca.as_deref(), Some(Path::new("/srv/opa.pem")));
        assert!(external.volatile);
        let least = parse("{url: 'http://[::1]:1/'}").unwrap().unwrap();
        assert_eq!((least.timeout, least.cache), (TIMEOUT, Duration::ZERO));
        assert!(!least.volatile);
        let never = parse("{url: 'http://localhost:1/', cache: 0}").unwrap();
        assert_eq!(never.unwrap().cache, Duration::ZERO);
    }

    #[test]
    fn mistakes_have_their_place_and_a_hint() {
        for (entry, said) in [
            ("{}", "scrim.yaml:5:21: the key `url` is missing"),
            ("{url: opa}", "scrim.yaml:5:27: this is no address of HTTP"),
            ("{url: 'ftp://opa/'}", "this is no address of HTTP"),
            (
                "{url: 'http://opa:8181/'}",
                "would travel unencrypted (help: use https",
            ),
            ("{url: 'http://10.0.0.1/'}", "would travel unencrypted"),
            ("{url: 'https://opa/', cache: 1}", "expected a duration"),
            ("{url: 'https://opa/', cache: 2h}", "from 0ms to 1h"),
            ("{url: 'https://opa/', timeout: 1m}", "from 1ms to 30s"),
            ("{url: 'https://opa/', retry: 3}", "unknown key `retry`"),
        ] {
            let problems = parse(entry).unwrap_err().to_string();
            assert!(problems.contains(said), "{entry}: {problems}");
        }
        let allowed = "{url: 'http://opa/', allow_plaintext_beyond_loopback: true}";
        assert!(parse(allowed).unwrap().is_some());
    }

    #[test]
    fn inv_15_a_password_in_the_address_is_refused_and_not_repeated() {
        for url in ["https://me:hunter2@opa/", "http://hunter2@opa/"] {
            let problems = parse(&format!("{{url: '{url}'}}")).unwrap_err();
            let (line, shown) = (problems.to_string(), problems.render());
            assert!(line.contains("credentials do not stand here"), "{line}");
            assert!(!line.contains("hunter2"), "{line}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
