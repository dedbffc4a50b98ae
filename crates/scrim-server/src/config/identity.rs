//! Who may sign in, how, and for how long: `tls` and `identity`.

use std::collections::BTreeMap;
use std::time::Duration;

use scrim_document::{MapReader, Node};
use scrim_identity::CertificateName;
use scrim_model::ValueType;

use super::read::Reader;
use super::shapes::{CERTIFICATE, IDENTITY, SESSION, TLS};
use super::{ClientCa, Identity, MappedCertificate, Tls};

const SESSION_TTL: Duration = Duration::from_hours(8);
const SESSION_MAX: Duration = Duration::from_hours(24);
const SESSION_LONGEST: Duration = Duration::from_hours(24 * 30);

impl Reader<'_> {
    pub(super) fn tls(&mut self, node: &Node) -> Option<Tls> {
        let mut map = MapReader::new(node, &TLS, self.problems)?;
        let cert = map.string("cert", self.problems);
        let key = map.string("key", self.problems);
        let ca = map.optional_string("client_ca", self.problems);
        let auth = map.optional("client_auth");
        map.finish(self.problems);
        if let (None, Some(node)) = (&ca, auth) {
            self.problems.push(
                node.error("`client_auth` without `client_ca`: no certificate could be checked")
                    .with_help(
                        "add `client_ca: FILE` with the certificates of those who issue them",
                    ),
            );
        }
        let required = match auth {
            Some(node) => self.one_of(node, &["required", "optional"])? == "required",
            None => true,
        };
        Some(Tls {
            cert: self.path(&cert?),
            key: self.path(&key?),
            clients: ca.map(|ca| ClientCa {
                ca: self.path(&ca),
                required,
            }),
        })
    }

    pub(super) fn identity(&mut self, node: &Node, shows_certificates: bool) -> Option<Identity> {
        let mut map = MapReader::new(node, &IDENTITY, self.problems)?;
        let accounts = map.string("accounts", self.problems);
        let session = map.optional("session");
        let attributes = map.optional("attributes");
        let certificates = map.optional("certificates");
        map.finish(self.problems);
        if let (Some(node), false) = (certificates, shows_certificates) {
            self.problems.push(
                node.error(
                    "`certificates` without `tls: {client_ca: …}`: no client is asked for one",
                )
                .with_help(
                    "add `client_ca: FILE` and `client_auth: optional` or `required` to `tls`",
                ),
            );
        }
        let times = self.session(session);
        let attributes = self.attributes(attributes);
        let certificates = self.certificates(certificates);
        let (session_ttl, session_max) = times?;
        Some(Identity {
            accounts: self.path(&accounts?),
            session_ttl,
            session_max,
            certificates,
            attributes,
        })
    }

    /// How long a token lasts, and a session.
    fn session(&mut self, node: Option<&Node>) -> Option<(Duration, Duration)> {
        let Some(node) = node else {
            return Some((SESSION_TTL, SESSION_MAX));
        };
        let mut map = MapReader::new(node, &SESSION, self.problems)?;
        let (ttl, max) = (map.optional("ttl"), map.optional("max"));
        map.finish(self.problems);
        let times = Duration::from_mins(1)..=SESSION_LONGEST;
        let ttl = match ttl {
            Some(node) => self.duration(node, times.clone())?,
            None => SESSION_TTL,
        };
        let Some(node) = max else {
            return Some((ttl, SESSION_MAX.max(ttl)));
        };
        let max = self.duration(node, times)?;
        if max < ttl {
            self.problems.push(
                node.error(format!(
                    "a session would end before its first token: `max` is shorter than `ttl`, {ttl:?}"
                ))
                .with_help("give a `max` that is no shorter than `ttl`"),
            );
            return None;
        }
        Some((ttl, max))
    }

    fn attributes(&mut self, node: Option<&Node>) -> BTreeMap<String, ValueType> {
        let mut types = BTreeMap::new();
        for entry in node
            .and_then(|node| node.map(self.problems))
            .unwrap_or_default()
        {
            let Some(word) = entry.value.string(self.problems) else {
                continue;
            };
            match ValueType::from_word(&word) {
                Some(value_type) => drop(types.insert(entry.name.to_string(), value_type)),
                None => self.problems.push(
                    entry
                        .value
                        .error(format!("`{word}` is no type of an attribute"))
                        .with_help("types are bool, int64, float64, timestamp, text and text_list"),
                ),
            }
        }
        types
    }

    fn certificates(&mut self, node: Option<&Node>) -> Vec<MappedCertificate> {
        let items = node
            .and_then(|node| node.list(self.problems))
            .unwrap_or_default();
        let mut certificates: Vec<MappedCertificate> = Vec::with_capacity(items.len());
        for item in items {
            let Some(found) = self.certificate(item) else {
                continue;
            };
            if let Some(first) = certificates.iter().find(|first| first.name == found.name) {
                let message = format!(
                    "the name {} is there twice: the first is on line {}",
                    found.name, first.location.line
                );
                let help = "a certificate stands for one account";
                self.problems.push(item.error(message).with_help(help));
            }
            certificates.push(found);
        }
        certificates
    }

    fn certificate(&mut self, node: &Node) -> Option<MappedCertificate> {
        let mut map = MapReader::new(node, &CERTIFICATE, self.problems)?;
        let (subject, alternative) = (map.optional("subject"), map.optional("san"));
        let account = map.string("account", self.problems);
        map.finish(self.problems);
        let name = match (subject, alternative) {
            (Some(node), None) => self.certificate_name(
                node,
                CertificateName::subject,
                "write it as `openssl x509 -noout -subject -nameopt RFC2253` prints it, like \
                 `CN=alice,O=Acme`",
            )?,
            (None, Some(node)) => self.certificate_name(
                node,
                CertificateName::alternative,
                "write a URI (`spiffe://…`), an e-mail address or a DNS name",
            )?,
            (Some(_), Some(_)) | (None, None) => {
                self.problems.push(
                    node.error("expected one of `subject` and `san`")
                        .with_help("name the certificate by one of them"),
                );
                return None;
            }
        };
        Some(MappedCertificate {
            name,
            account: account?,
            location: node.location(),
        })
    }

    fn certificate_name(
        &mut self,
        node: &Node,
        read: fn(&str) -> Result<CertificateName, String>,
        help: &str,
    ) -> Option<CertificateName> {
        let text = node.non_empty_string(self.problems)?;
        read(&text)
            .map_err(|what| self.problems.push(node.error(what).with_help(help)))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use scrim_document::{Problems, SourceFile};

    use super::*;
    use crate::Config;

    fn parse(tls: &str, identity: &str) -> Result<Config, Problems> {
        let text = format!(
            "policies: p\nledger: {{path: l}}\nkeys: {{file: k}}\ntls: {{cert: c, key: k{tls}}}\n\
             identity:\n  accounts: a.yaml\n{identity}"
        );
        Config::parse(&SourceFile::new("scrim.yaml", text), Path::new("/srv"))
    }

    fn check(tls: &str, identity: &str, expected: &[&str]) {
        let problems = parse(tls, identity).unwrap_err().to_string();
        assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn certificates_are_read_and_asked_for() {
        let identity = "  certificates:
    - {subject: 'CN=alice,O=Acme', account: alice}
    - {san: 'spiffe://acme.example/batch', account: batch}
    - {san: Host.Acme.Example, account: batch}
    - {san: bob@acme.example, account: bob}
";
        let config = parse(", client_ca: ca.pem", identity).unwrap();
        let clients = config.tls.unwrap().clients.unwrap();
        assert_eq!(clients.ca, Path::new("/srv/ca.pem"));
        assert!(clients.required);
        let read: Vec<_> = config
            .identity
            .certificates
            .into_iter()
            .map(|c| (c.name, c.account, c.location.line))
            .collect();
        let subject = CertificateName::subject("CN=alice,O=Acme").unwrap();
        let uri = CertificateName::Uri("spiffe://acme.example/batch".into());
        let dns = CertificateName::Dns("host.acme.example".into());
        let email = CertificateName::Email("bob@acme.example".into());
        assert_eq!(
            read,
            [
                (subject, "alice".into(), 8),
                (uri, "batch".into(), 9),
                (dns, "batch".into(), 10),
                (email, "bob".into(), 11)
            ]
        );
        let config = parse(", client_ca: ca.pem, client_auth: optional", "").unwrap();
        assert!(!config.tls.unwrap().clients.unwrap().required);
        assert!(parse("", "").unwrap().tls.unwrap().clients.is_none());
    }

    #[test]
    fn what_is_wrong_with_certificates_is_told_with_its_place() {
        check(
            ", client_auth: maybe",
            "  certificates:
    - {subject: alice, account: alice}
    - {san: '10.0.0.1', account: alice}
    - {san: '*.acme.example', account: alice}
    - {account: alice}
    - {san: a.example, subject: CN=a, account: alice}
    - {san: a.example}
    - {san: a@b.example, account: alice}
    - {san: a@b.example, account: bob}
",
            &[
                "scrim.yaml:4:37: `client_auth` without `client_ca`: no certificate could be checked \
                 (help: add `client_ca: FILE` with the certificates of those who issue them)",
                "scrim.yaml:4:37: `maybe` is not served (help: served here: required, optional)",
                "scrim.yaml:8:5: `certificates` without `tls: {client_ca: …}`: no client is asked for \
                 one (help: add `client_ca: FILE` and `client_auth: optional` or `required` to `tls`)",
                "scrim.yaml:8:17: `alice` is no subject of a certificate (help: write it as `openssl \
                 x509 -noout -subject -nameopt RFC2253` prints it, like `CN=alice,O=Acme`)",
                "scrim.yaml:9:13: an IP address says where somebody is, not who (help: write a URI \
                 (`spiffe://…`), an e-mail address or a DNS name)",
                "scrim.yaml:10:13: `*.acme.example` is neither a URI nor an e-mail address nor a DNS \
                 name (help: write a URI (`spiffe://…`), an e-mail address or a DNS name)",
                "scrim.yaml:11:7: expected one of `subject` and `san` (help: name the certificate by \
                 one of them)",
                "scrim.yaml:12:7: expected one of `subject` and `san` (help: name the certificate by \
                 one of them)",
                "scrim.yaml:13:7: the key `account` is missing",
                "scrim.yaml:15:7: the name `a@b.example` is there twice: the first is on line 14 \
                 (help: a certificate stands for one account)",
            ],
        );
    }

    #[test]
    fn a_session_is_no_shorter_than_its_token() {
        let times = |session: &str| {
            let config = parse("", &format!("  session: {session}\n"));
            config.map(|c| (c.identity.session_ttl, c.identity.session_max))
        };
        let hours = Duration::from_hours;
        assert_eq!(times("{}").unwrap(), (hours(8), hours(24)));
        assert_eq!(times("{ttl: 1h}").unwrap(), (hours(1), hours(24)));
        assert_eq!(times("{ttl: 2d}").unwrap(), (hours(48), hours(48)));
        assert_eq!(times("{ttl: 1h, max: 1h}").unwrap(), (hours(1), hours(1)));
        check(
            "",
            "  session: {max: 1h}\n",
            &[
                "scrim.yaml:7:18: a session would end before its first token: `max` is shorter than \
                 `ttl`, 28800s (help: give a `max` that is no shorter than `ttl`)",
            ],
        );
        assert!(times("{max: 31d}").is_err());
    }
}
