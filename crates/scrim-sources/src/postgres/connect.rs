//! Connections to databases: how they are protected, which settings they have, and how many there
//! may be.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime, TimeoutType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use scrim_engine::FaultKind;
use scrim_model::Secret;
use scrim_policy::{PostgresServer, PostgresTls};
use tokio::runtime::Handle;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::Failure;
use crate::{Credential, SourceError, SourceSettings};

/// How long asking for the end of a statement may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Silence after which the other side is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The databases that are in use, each with its connections.
#[derive(Debug, Default)]
pub(crate) struct Databases(Mutex<Vec<Arc<Database>>>);

/// A database as one user sees it, and the connections to it.
pub(crate) struct Database {
    key: Key,
    shown: String,
    settings: SourceSettings,
    pool: Pool,
    tls: MakeRustlsConnect,
}

/// What tables share if they share connections.
struct Key {
    host: String,
    port: u16,
    database: String,
    tls: Tls,
    user: Secret<String>,
    password: Secret<String>,
}

/// How connections are protected.
#[derive(PartialEq)]
enum Tls {
    /// By certificates of these authorities, in PEM as the file at the path had it.
    Authorities(PathBuf, Vec<u8>),
    /// By certificates of the authorities that this machine knows.
    System,
    Off,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.host == other.host
            && self.port == other.port
            && self.database == other.database
            && self.tls == other.tls
            && self.user.expose() == other.user.expose()
            && self.password.expose() == other.password.expose()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

impl Databases {
    /// The database that a contract names, with the connections that it has already.
    pub(crate) fn of(
        &self,
        at: &PostgresServer,
        credential: Option<&Credential>,
        base: &Path,
        settings: &SourceSettings,
    ) -> Result<Arc<Database>, SourceError> {
        let shown = format!("postgres {}:{}/{}", at.host, at.port, at.database);
        let refused = |cause: String| SourceError::Unreadable {
            at: shown.clone(),
            cause,
        };
        let key = Key::new(at, credential, base).map_err(refused)?;
        let mut databases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that no table uses any more had another password or certificate.
        databases.retain(|database| Arc::strong_count(database) > 1);
        if let Some(known) = databases.iter().find(|database| database.key == key) {
            return Ok(Arc::clone(known));
        }
        let database = Database::new(key, &shown, settings).map_err(refused)?;
        let database = Arc::new(database);
        databases.push(Arc::clone(&database));
        Ok(database)
    }
}

impl Key {
    fn new(
        at: &PostgresServer,
        credential: Option<&Credential>,
        base: &Path,
    ) -> Result<Self, String> {
        let field = |name: &str| {
            credential.and_then(|c| c.get(name)).cloned().ok_or_else(|| {
                format!(
                    "its credentials lack `{name}`; name credentials with `user` and `password` in \
                     the contract's server"
                )
            })
        };
        Ok(Self {
            host: at.host.clone(),
            port: at.port,
            database: at.database.clone(),
            tls: Tls::new(at, base)?,
            user: field("user")?,
            password: field("password")?,
        })
    }
}

impl Tls {
    fn new(at: &PostgresServer, base: &Path) -> Result<Self, String> {
        let is_socket = at.host.starts_with('/');
        match &at.tls {
            PostgresTls::Off if is_socket || is_loopback(&at.host) => Ok(Self::Off),
            PostgresTls::Off => Err("TLS may be off for servers of this machine only".to_owned()),
            PostgresTls::VerifyFull { .. } if is_socket => {
                Err("a Unix socket has no TLS; write `tls: off`".to_owned())
            }
            PostgresTls::VerifyFull { ca: None } => Ok(Self::System),
            PostgresTls::VerifyFull { ca: Some(path) } => {
                let path = base.join(path);
                let pem = std::fs::read(&path)
                    .map_err(|e| format!("cannot read certificates at {}: {e}", path.display()))?;
                Ok(Self::Authorities(path, pem))
            }
        }
    }

    fn client_config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Authorities(path, pem) => {
                let found = CertificateDer::pem_slice_iter(pem).flatten();
                roots.add_parsable_certificates(found);
                if roots.is_empty() {
                    return Err(format!("there is no certificate at {}", path.display()));
                }
            }
            Self::System => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    let cause =
                        "this machine knows no certificate authorities; name one with `tlsCa`";
                    return Err(cause.to_owned());
                }
            }
            Self::Off => {}
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Database {
    fn new(key: Key, shown: &str, settings: &SourceSettings) -> Result<Self, String> {
        let tls = MakeRustlsConnect::new(key.tls.client_config()?);
        let mut config = tokio_postgres::Config::new();
        config
            .host(&key.host)
            .port(key.port)
            .dbname(&key.database)
            .user(key.user.expose())
            .password(key.password.expose())
            .application_name("scrim")
            .options(session_options(settings))
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE / 3)
            .keepalives_retries(3)
            .tcp_user_timeout(KEEPALIVE * 2)
            .ssl_mode(match key.tls {
                Tls::Authorities(..) | Tls::System => SslMode::Require,
                Tls::Off => SslMode::Disable,
            });
        let manager_config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config, tls.clone(), manager_config);
        let pool = Pool::builder(manager)
            .max_size(settings.postgres_connections.max(1))
            .wait_timeout(Some(settings.connect_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| Box::pin(has_settings(client))))
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self {
            key,
            shown: shown.to_owned(),
            settings: *settings,
            pool,
            tls,
        })
    }

    /// Its host, port and name, for the owner.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn settings(&self) -> &SourceSettings {
        &self.settings
    }

    /// A connection for one piece of work, as soon as there is one.
    pub(super) async fn lease(&self) -> Result<Lease, Failure> {
        let object = self.pool.get().await;
        object
            .map(|object| self.lent(object))
            .map_err(|e| self.refused(&e))
    }

    /// One more connection, if that leaves half of them to others. Who has one already must not
    /// wait for another, or all could wait for each other.
    pub(super) async fn lease_another(&self) -> Option<Lease> {
        let status = self.pool.status();
        let used = status.size.saturating_sub(status.available);
        if used >= status.max_size / 2 {
            return None;
        }
        let mut timeouts = self.pool.timeouts();
        timeouts.wait = Some(Duration::ZERO);
        let object = self.pool.timeout_get(&timeouts).await;
        object.ok().map(|object| self.lent(object))
    }

    fn lent(&self, object: Object) -> Lease {
        Lease {
            is_reused: Object::metrics(&object).recycle_count > 0,
            object: Some(object),
            tls: self.tls.clone(),
            runtime: Handle::current(),
        }
    }

    /// Ends the connections that nobody uses.
    pub(super) fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    fn refused(&self, error: &PoolError) -> Failure {
        let limit = self.settings.connect_timeout;
        match error {
            PoolError::Backend(error) => Failure::of(error, &self.settings),
            PoolError::Timeout(TimeoutType::Wait) => {
                let all = self.pool.status().max_size;
                let cause = format!("all {all} connections to it were in use for {limit:?}");
                Failure::new(FaultKind::Busy, cause)
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                let cause = format!("it did not take a connection within {limit:?}");
                Failure::new(FaultKind::Unavailable, cause)
            }
            PoolError::PostCreateHook(HookError::Backend(error)) => {
                Failure::of(error, &self.settings)
            }
            PoolError::PostCreateHook(HookError::Message(cause)) => {
                Failure::new(FaultKind::Unavailable, cause.to_string())
            }
            PoolError::Closed | PoolError::NoRuntimeSpecified => {
                Failure::new(FaultKind::Unavailable, "its connections are closed")
            }
        }
    }
}

/// What every session starts with. No setting of the server or of the user's role can take any of
/// it back: names mean what they mean in the catalog, texts are printed in one way, nothing is
/// written, and nothing lasts for ever.
fn session_options(settings: &SourceSettings) -> String {
    // Zero would mean no limit at all.
    let millis = |limit: Duration| limit.as_millis().clamp(1, 1 << 30);
    let statement = millis(settings.statement_timeout);
    let lock = millis(settings.connect_timeout);
    format!(
        "-c search_path= -c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres \
         -c extra_float_digits=1 -c bytea_output=hex -c standard_conforming_strings=on \
         -c default_transaction_read_only=on -c statement_timeout={statement} \
         -c lock_timeout={lock} -c idle_in_transaction_session_timeout={statement}"
    )
}

/// Whether the session has the settings that it was started with. A pooler between us and the server
/// may leave them out, and then names and texts in our statements could mean something else.
async fn has_settings(client: &ClientWrapper) -> Result<(), HookError> {
    let names = [
        "search_path",
        "standard_conforming_strings",
        "default_transaction_read_only",
        "TimeZone",
    ];
    let asked = names.map(|name| format!("pg_catalog.current_setting('{name}')"));
    let asked = format!("SELECT {}", asked.join(", "));
    let answer = client.simple_query(&asked).await;
    let rows = answer.map_err(HookError::Backend)?;
    let has = rows.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let settings = [0, 1, 2, 3].map(|index| row.get(index));
            settings == [Some(""), Some("on"), Some("on"), Some("UTC")]
        }
        _ => false,
    });
    if has {
        return Ok(());
    }
    Err(HookError::message(
        "it does not keep the settings that a session starts with (search_path, \
         standard_conforming_strings, default_transaction_read_only, TimeZone); connect to the \
         server itself, or let the pooler pass the startup options on",
    ))
}

/// A connection that is in use. Unless it is given back in good order, whatever runs on it is
/// cancelled and it is closed: a connection that saw an error or half an answer serves nobody else.
pub(super) struct Lease {
    object: Option<Object>,
    is_reused: bool,
    tls: MakeRustlsConnect,
    runtime: Handle,
}

impl Lease {
    /// Whether the connection was used before, so that it may have died since.
    pub(super) fn is_reused(&self) -> bool {
        self.is_reused
    }

    pub(super) fn client(&self) -> Result<&Client, Failure> {
        let gone = || Failure::new(FaultKind::Unavailable, "the connection was given back");
        self.object.as_ref().ok_or_else(gone)
    }

    /// Ends the transaction and gives the connection back, in its own time.
    pub(super) fn settle(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(async move {
            let Ok(client) = self.client() else { return };
            if client.batch_execute("COMMIT").await.is_ok() {
                self.give_back();
            }
        });
    }

    /// Gives the connection back; it must be in no transaction.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.runtime.spawn(discard(object, self.tls.clone()));
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// Cancels what runs on a connection and closes it. Its place in the pool is free only then, so
/// that the server never has more connections of us than it was told.
async fn discard(object: Object, tls: MakeRustlsConnect) {
    if !object.is_closed() {
        let token = object.cancel_token();
        let cancel = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(tls));
        if let Ok(Err(error)) = cancel.await {
            tracing::debug!(%error, "a statement could not be cancelled; its connection is closed");
        }
    }
    drop(Object::take(object));
}
