//! Certificates that stand for accounts.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use chrono::{DateTime, Utc};
use scrim_model::{Code, Refusal};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
    time::Time,
};

use crate::{Authenticator, LoginRefusal, Session, SignedIn, authenticator::session};

/// How much of a name is repeated to the one who brought it.
const SHOWN_CHARS_MAX: usize = 256;

/// A name that a certificate can bear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateName {
    /// The whole subject, as RFC 4514 writes it.
    Subject(String),
    /// A URI among the alternative names, SPIFFE ids among them.
    Uri(String),
    /// A DNS name among the alternative names, in lower case.
    Dns(String),
    /// An e-mail address among the alternative names.
    Email(String),
}

impl CertificateName {
    /// A subject, as `openssl x509 -noout -subject -nameopt RFC2253` prints it.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn subject(text: &str) -> Result<Self, String> {
        let name = Name::from_str(text).ok();
        name.and_then(|name| written(&name))
            .map(Self::Subject)
            .ok_or_else(|| format!("`{text}` is no subject of a certificate"))
    }

    /// An alternative name: a URI, an e-mail address or a DNS name, told apart by their form.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn alternative(text: &str) -> Result<Self, String> {
        if text.parse::<IpAddr>().is_ok() {
            return Err("an IP address says where somebody is, not who".to_owned());
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) || !text.is_ascii() {
            return Err(format!("`{text}` is no alternative name of a certificate"));
        }
        if text.contains(':') {
            return Ok(Self::Uri(text.to_owned()));
        }
        if text.contains('@') {
            return Ok(Self::Email(text.to_owned()));
        }
        let is_label = |label: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !label.is_empty() && label.chars().all(plain)
        };
        if !text.split('.').all(is_label) {
            return Err(format!(
                "`{text}` is neither a URI nor an e-mail address nor a DNS name"
            ));
        }
        Ok(Self::Dns(text.to_ascii_lowercase()))
    }
}

/// A name under which a server with this certificate (DER) can be asked for, if it bears one. Of a
/// pattern it is one that fits.
pub fn server_name(der: &[u8]) -> Option<String> {
    let names = Bearer::read(der)?.names.into_iter();
    let mut names = names.filter_map(|name| match name {
        CertificateName::Dns(name) => Some(name),
        CertificateName::Subject(_) | CertificateName::Uri(_) | CertificateName::Email(_) => None,
    });
    let name = names.next()?;
    Some(match name.strip_prefix("*.") {
        Some(domain) => format!("scrim.{domain}"),
        None => name,
    })
}

/// Stands for a name wherever room is scarce.
pub(crate) type NameDigest = [u8; 32];

impl CertificateName {
    fn digest(&self) -> NameDigest {
        let (kind, text) = match self {
            Self::Subject(text) => ("subject\0", text),
            Self::Uri(text) => ("uri\0", text),
            Self::Dns(text) => ("dns\0", text),
            Self::Email(text) => ("email\0", text),
        };
        let digest = Sha256::new_with_prefix(kind).chain_update(text);
        digest.finalize().into()
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Subject(text) | Self::Uri(text) | Self::Dns(text) | Self::Email(text)) = self;
        let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        write!(f, "`{shown}`")
    }
}

/// Which name stands for which account.
#[derive(Debug, Clone, Default)]
pub struct Certificates(BTreeMap<NameDigest, String>);

impl Certificates {
    /// Names with the ids of their accounts.
    pub fn new(accounts: impl IntoIterator<Item = (CertificateName, String)>) -> Self {
        let accounts = accounts.into_iter();
        Self(
            accounts
                .map(|(name, account)| (name.digest(), account))
                .collect(),
        )
    }

    /// Whether a name still stands for an account.
    pub(crate) fn vouch(&self, name: &NameDigest, account: &str) -> bool {
        self.0.get(name).is_some_and(|known| known == account)
    }
}

/// A certificate that stands for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    account: String,
    pub(crate) name: NameDigest,
    pub(crate) not_after: DateTime<Utc>,
    fingerprint: [u8; 32],
}

impl Certified {
    /// The account's id.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The certificate's SHA-256, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut text = String::with_capacity(64);
        for nibble in self
            .fingerprint
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
        {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
        text
    }
}

/// Why a certificate stands for nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// It cannot be read.
    #[error("the client certificate cannot be read")]
    Malformed,
    /// Its time has not come or is over; the transport looked when the connection began.
    #[error("the client certificate is not valid now: connect again with one that is")]
    OutOfTime,
    /// No account has its name.
    #[error("the client certificate {0} stands for no account of this server")]
    Unmapped(CertificateName),
    /// Its names are those of several accounts.
    #[error("the client certificate has the names of several accounts: use one with fewer names")]
    Ambiguous,
}

impl From<CertificateRefusal> for Refusal {
    fn from(refusal: CertificateRefusal) -> Self {
        Self::new(Code::Unauthenticated, refusal.to_string())
    }
}

impl Authenticator {
    /// The account that a certificate stands for.
    ///
    /// `der` must come from a connection whose other end has shown, to a transport that trusts its
    /// issuer, that it holds the key; nothing of that is checked here. Its time is checked: a
    /// connection can outlive it.
    pub fn certified(
        &self,
        der: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Certified, CertificateRefusal> {
        let bearer = Bearer::read(der).ok_or(CertificateRefusal::Malformed)?;
        let now = self.at_least_started(now);
        if now < bearer.not_before || bearer.not_after <= now {
            return Err(CertificateRefusal::OutOfTime);
        }
        let mut accounts: BTreeMap<&String, NameDigest> = BTreeMap::new();
        for digest in bearer.names.iter().map(CertificateName::digest) {
            if let Some(account) = self.certificates.0.get(&digest) {
                accounts.insert(account, digest);
            }
        }
        let mut accounts = accounts.into_iter();
        let (account, name) = match (accounts.next(), accounts.next()) {
            (Some(found), None) => found,
            (Some(_), Some(_)) => return Err(CertificateRefusal::Ambiguous),
            (None, _) => {
                let name = bearer.names.into_iter().next();
                let nameless = CertificateName::Subject(String::new());
                return Err(CertificateRefusal::Unmapped(name.unwrap_or(nameless)));
            }
        };
        Ok(Certified {
            account: account.clone(),
            name,
            not_after: bearer.not_after,
            fingerprint: Sha256::digest(der).into(),
        })
    }

    /// Opens a session for who holds a certificate; it ends no later than the certificate.
    pub fn open_certified(
        &self,
        certified: &Certified,
        now: DateTime<Utc>,
    ) -> Result<SignedIn, LoginRefusal> {
        let now = self.at_least_started(now);
        let accounts = self.accounts();
        let known = accounts.mark(&certified.account);
        let (principal, mark) = known.ok_or(LoginRefusal::NoAccount)?;
        self.open(principal, mark, Some(certified), now)
    }

    /// Makes an open session that of a connection, for clients that show no token.
    pub fn attach(&self, session: &Session, certified: &Certified, peer: SocketAddr) {
        let connection = (certified.fingerprint, peer);
        let mut sessions = self.sessions();
        sessions
            .open
            .attach(&certified.account, session.id, connection);
    }

    /// The session of a connection, if it has an open one.
    pub fn attached(
        &self,
        certified: &Certified,
        peer: SocketAddr,
        now: DateTime<Utc>,
    ) -> Option<Session> {
        let now = self.at_least_started(now);
        let account = &certified.account;
        let accounts = self.accounts();
        let (principal, mark) = accounts.mark(account)?;
        let mut sessions = self.sessions();
        let connection = (certified.fingerprint, peer);
        let (id, span) = sessions.open.of_connection(account, &connection, now)?;
        sessions.open.touch(account, id);
        Some(session(principal, mark, id, span, Some(certified.name)))
    }
}

/// What matters of a certificate.
struct Bearer {
    /// The subject first.
    names: Vec<CertificateName>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

impl Bearer {
    fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let certificate = certificate.tbs_certificate();
        let mut names = Vec::new();
        if !certificate.subject().is_empty() {
            names.push(CertificateName::Subject(written(certificate.subject())?));
        }
        let alternative = certificate.get_extension::<SubjectAltName>().ok()?;
        if let Some((_, alternative)) = alternative {
            names.extend(alternative.0.iter().filter_map(alternative_name));
        }
        let validity = certificate.validity();
        Some(Self {
            names,
            not_before: instant(validity.not_before)?,
            not_after: instant(validity.not_after)?,
        })
    }
}

/// A subject as RFC 4514 writes it.
fn written(name: &Name) -> Option<String> {
    let mut text = String::new();
    write!(text, "{name}").ok()?;
    Some(text)
}

fn alternative_name(name: &GeneralName) -> Option<CertificateName> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => {
            Some(CertificateName::Uri(uri.as_str().to_owned()))
        }
        GeneralName::DnsName(name) => {
            Some(CertificateName::Dns(name.as_str().to_ascii_lowercase()))
        }
        GeneralName::Rfc822Name(address) => {
            Some(CertificateName::Email(address.as_str().to_owned()))
        }
        _ => None,
    }
}

fn instant(time: Time) -> Option<DateTime<Utc>> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    DateTime::from_timestamp(seconds, 0)
}
