//! `scrim.yaml`: what a server listens on, where its policies, accounts, keys and ledger lie, and
//! what a query may use.

mod external;
mod identity;
mod read;
mod secrets;
mod shapes;
mod sources;
mod units;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use scrim_document::{Location, Problems, SourceFile};
use scrim_identity::CertificateName;
use scrim_model::ValueType;
use scrim_policy::ServerKind;
use scrim_sources::SourceSettings;

pub use external::External;
pub use secrets::credentials;
pub use shapes::CONFIG;

/// Everything that `scrim.yaml` says; paths are resolved against the folder it lies in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the file, where relative paths start.
    pub base_dir: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// Certificate and key; without them the server stays on loopback.
    pub tls: Option<Tls>,
    /// The folder of contracts and agreements.
    pub policies: PathBuf,
    /// The folder of contracts and agreements that are decided under as well, and not enforced.
    pub shadow: Option<PathBuf>,
    /// Which `servers` entry of the contracts to use; the first one when unsaid.
    pub environment: Option<String>,
    /// What decides outside the policies, and can only narrow what they give.
    pub external: Option<External>,
    /// The folder of the ledger.
    pub ledger: PathBuf,
    /// The key file.
    pub keys: PathBuf,
    /// Who may sign in, and for how long.
    pub identity: Identity,
    /// The file with the credentials of sources.
    pub secrets: Option<PathBuf>,
    /// Bounds of sources.
    pub sources: SourceSettings,
    /// Tables that only row rules may ask.
    pub lookups: BTreeMap<String, Lookup>,
    /// Names of networks, for `context.network`.
    pub networks: Networks,
    /// What queries may use.
    pub limits: Limits,
    /// Where queries spill; beside the ledger when unsaid, which only one server can hold.
    pub spill: Option<PathBuf>,
    /// The accounts that may ask the server about itself and change what is in force.
    pub administrators: Vec<Administrator>,
}

/// An account that may administer the server.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// The account's id.
    pub account: String,
    /// Where the configuration says so.
    pub location: Location,
}

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// The address for Flight SQL; port 0 takes any free one.
    pub flight: SocketAddr,
    /// Whether passwords and data may travel unencrypted beyond this machine.
    pub allow_plaintext_beyond_loopback: bool,
}

/// The files of a server's certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Which certificates clients may show; without it they are asked for none.
    pub clients: Option<ClientCa>,
}

/// Which certificates clients may show.
#[derive(Debug, Clone)]
pub struct ClientCa {
    /// The certificates of those who issue them, PEM.
    pub ca: PathBuf,
    /// Whether who shows none is turned away; otherwise a password or a token will do.
    pub required: bool,
}

/// Who may sign in, and for how long.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The accounts file.
    pub accounts: PathBuf,
    /// How long a token lasts. Who asks with it in its last quarter gets a fresh one.
    pub session_ttl: Duration,
    /// How long a session lasts at most, however often its token is renewed.
    pub session_max: Duration,
    /// Client certificates that stand for accounts.
    pub certificates: Vec<MappedCertificate>,
    /// The types of `principal.<attribute>`.
    pub attributes: BTreeMap<String, ValueType>,
}

/// A client certificate that stands for an account.
#[derive(Debug, Clone)]
pub struct MappedCertificate {
    /// The name that it bears.
    pub name: CertificateName,
    /// The account's id.
    pub account: String,
    /// Where the configuration says so.
    pub location: Location,
}

/// A table that only row rules may ask, as `lookup.<name>`.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Where it lies.
    pub kind: ServerKind,
    /// The source's own name of the table.
    pub table: String,
    /// The name of its credentials.
    pub credentials: Option<String>,
    /// The age at which it is read again; without one it is when its files change.
    pub refresh: Option<Duration>,
    /// Where the configuration says so.
    pub location: Location,
}

/// What queries may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that all running queries may hold together.
    pub memory_bytes: u64,
    /// Rows of one result.
    pub rows_max: u64,
    /// Bytes of one result, as Arrow buffers.
    pub bytes_max: u64,
    /// Time of one query.
    pub time: Duration,
    /// Queries that one principal may run at once.
    pub concurrent_per_principal: u64,
    /// Sessions that one principal may have; one more closes the one that was idle longest.
    pub sessions_per_principal: u64,
    /// Results that one principal may have open at once, read or not.
    pub streams_per_principal: u64,
    /// How long a reader may leave a result alone before it is ended.
    pub idle_reader: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            rows_max: 10_000_000,
            bytes_max: 4 << 30,
            time: Duration::from_mins(5),
            concurrent_per_principal: 8,
            sessions_per_principal: 256,
            streams_per_principal: 64,
            idle_reader: Duration::from_mins(5),
        }
    }
}

/// Named networks.
#[derive(Debug, Clone, Default)]
pub struct Networks(BTreeMap<String, Vec<IpNet>>);

impl Networks {
    /// Networks by name.
    pub fn new(networks: BTreeMap<String, Vec<IpNet>>) -> Self {
        Self(networks)
    }

    /// The names, for checking `context.network`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// An address in the network of that name.
    pub fn address_in(&self, name: &str) -> Option<IpAddr> {
        self.0.get(name)?.first()?.hosts().next()
    }

    /// The names of the networks that an address lies in. An IPv4 address that arrives over an
    /// IPv6 socket counts as the IPv4 address it is.
    pub fn containing(&self, address: IpAddr) -> Vec<String> {
        let address = address.to_canonical();
        self.0
            .iter()
            .filter(|(_, nets)| nets.iter().any(|net| net.contains(&address)))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

impl Config {
    /// Reads the text of a `scrim.yaml`; relative paths start at `base_dir`.
    ///
    /// # Errors
    /// All problems at once, each with its key, line, column and what to do.
    pub fn parse(file: &SourceFile, base_dir: &Path) -> Result<Self, Problems> {
        read::config(file, base_dir)
    }

    /// Reads `scrim.yaml` from disk.
    ///
    /// # Errors
    /// A file that cannot be read is a problem like any other.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file = crate::load::read_file(path)?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self::parse(&file, parent.unwrap_or_else(|| Path::new(".")))
    }
}
