//! Starting and stopping a server.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use scrim_document::Problems;
use scrim_engine::{Engine, EngineConfig, EngineError, EngineLimits};
use scrim_identity::{Accounts, Authenticator, SessionRules, read_key_file};
use scrim_ledger::{Event, Ledger, LedgerError, LoadCause, Recovery};
use scrim_model::{Clock, Revocation, Revocations};
use scrim_policy::LeftOut;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server as Transport, ServerTlsConfig};
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};

use crate::auth::Door;
use crate::config::{Config, Tls};
use crate::flight::{Flight, Parts, Phase};
use crate::health::Health;
use crate::in_force::{self, Keeper, LoadError, Means, Policies, PoliciesHandle, Refused, Watch};
use crate::load::{self, Inputs};
use crate::opa::external_decisions;
use crate::revoke::{AccessChange, RevokeError, Revoked};
use crate::store::{PolicyStore, StoreError};

/// How often an idle connection is asked whether it lives: load balancers drop silent ones.
const KEEPALIVE: Duration = Duration::from_mins(1);
/// How long the answer may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Calls at once on one connection.
const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Bytes of a request's headers: tokens can be long.
const HEADER_BYTES_MAX: u32 = 64 * 1024;
/// How long a TLS handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long streams may take to end once they were told to.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something in the owner's files; every problem has its place.
    #[error("{0}")]
    Problems(Problems),
    /// The key file cannot be used.
    #[error("{0}")]
    Keys(String),
    /// The ledger cannot be used; without it nothing is served.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The policies cannot be kept beside the ledger, or those that were taken back are not there.
    #[error(transparent)]
    Store(StoreError),
    /// The engine cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        cause: std::io::Error,
    },
    /// Passwords and data would travel unencrypted.
    #[error(
        "refusing to listen on {0} without TLS: configure `tls`, or say \
         `listen: {{allow_plaintext_beyond_loopback: true}}`"
    )]
    Plaintext(SocketAddr),
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate: {0}")]
    Tls(String),
    /// The folder for spilled data cannot be made.
    #[error("cannot make the spill folder {path}: {cause}")]
    Spill {
        /// The folder.
        path: String,
        /// The operating system's reason.
        cause: std::io::Error,
    },
    /// The transport broke.
    #[error("the server broke: {0}")]
    Transport(String),
}

impl From<Problems> for StartError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<LoadError> for StartError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Problems(problems) => Self::Problems(problems),
            LoadError::Store(error) => Self::Store(error),
            LoadError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// A Flight SQL server.
#[derive(Debug, Clone, Copy)]
pub struct Server;

/// What clients hold of a server at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Results that are open, read or not.
    pub streams: usize,
    /// Prepared statements with values bound.
    pub statements: usize,
    /// Cancelled statements whose tickets have not expired.
    pub cancelled: usize,
}

/// A server that runs, until it is told to stop or dropped.
pub struct Running {
    address: SocketAddr,
    engine: Engine,
    ledger: Ledger,
    flight: Arc<Flight>,
    warnings: Problems,
    health: Health,
    left_out: watch::Receiver<Vec<LeftOut>>,
    policies: PoliciesHandle,
    at_once: Arc<Notify>,
    watching: JoinHandle<()>,
    keeping: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    phase: watch::Sender<Phase>,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
    spill: Spill,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the ledger, loads everything, and listens.
    ///
    /// # Errors
    /// The first thing that stands in the way; problems in files come all at once.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        let address = protected_address(&config)?;
        let transport = transport(config.tls.as_ref())?;
        let keys = read_key_file(&config.keys).map_err(|e| StartError::Keys(e.to_string()))?;
        let accounts = load::accounts(&config.identity.accounts, &config.identity.attributes)?;
        let certificates = load::certificates(&config.identity.certificates, &accounts)?;
        let administrators = load::administrators(&config.administrators, &accounts)?;
        let (ledger, recovery) = Ledger::open(&config.ledger, Arc::clone(&clock))?;
        let rules = session_rules(&config);
        let authenticator = Authenticator::new(accounts, keys.sealer(), rules, clock.now());
        let authenticator = authenticator.with_certificates(certificates);
        let authenticator = recovered(authenticator, &recovery, clock.as_ref());
        let spill = Spill::new(config.spill.as_deref().unwrap_or(&config.ledger))?;
        let (settings, external) = (engine_config(&config, &spill), external_decisions(&config)?);
        let engine = Engine::narrowed(settings, ledger.clone(), Arc::clone(&clock), external)?;
        engine.revoke_agreements(recovery.revocations.agreements());
        let (health, health_service) = Health::new().await;
        let mut means = Means {
            inputs: Inputs::new(&config)?,
            root_key: keys.root_key(),
            engine: engine.clone(),
            ledger: ledger.clone(),
            store: PolicyStore::open(&config.ledger),
            clock: Arc::clone(&clock),
            health: health.clone(),
            shadow: None,
        };
        means.shadow = config.shadow.as_deref().map(|folder| means.shadow(folder));
        let shadow = config.shadow.as_deref();
        let watch = Watch::new(&means.inputs, shadow, &config.identity.accounts);
        let (in_force, warnings) = in_force::start(means, &recovery).await?;
        let left_out = in_force.left_out();
        let (keeper, policies, at_once) = Keeper::new(in_force, watch);
        let (phase, phases) = watch::channel(Phase::Serving);
        let flight = Flight::new(Parts {
            engine: engine.clone(),
            ledger: ledger.clone(),
            authenticator,
            sealer: keys.sealer(),
            clock,
            networks: config.networks,
            phase: phases,
            limits: config.limits,
            policies: policies.clone(),
            administrators,
        });
        let flight = Arc::new(flight);
        let door = Door::new(Arc::clone(&flight));
        let (address, stop, task) = listen(address, transport, door, health_service)?;
        tracing::info!(%address, "serving");
        let watching = tokio::spawn(Arc::clone(&flight).keep_watch());
        let keeping = tokio::spawn(keep(keeper, Arc::clone(&flight), health.clone()));
        Ok(Running {
            address,
            engine,
            ledger,
            flight,
            warnings,
            health,
            left_out,
            policies,
            at_once,
            watching,
            keeping,
            stop: Some(stop),
            phase,
            task,
            spill,
        })
    }
}

impl Running {
    /// The address that is really listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine behind the server.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What clients hold at the moment.
    pub fn counts(&self) -> Counts {
        Counts {
            streams: *self.streams().borrow(),
            statements: self.flight.bindings.count(),
            cancelled: self.flight.streams.cancelled(),
        }
    }

    /// How many results are open, as it changes.
    pub fn streams(&self) -> watch::Receiver<usize> {
        self.flight.streams.count()
    }

    /// What the owner should look at in the policies.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The contracts whose tables are not served, since their sources are not there or do not fit;
    /// told again after each attempt to serve them.
    pub fn left_out(&self) -> watch::Receiver<Vec<LeftOut>> {
        self.left_out.clone()
    }

    /// The policies in force, as they change.
    pub fn policies(&self) -> watch::Receiver<Policies> {
        self.policies.watch()
    }

    /// Puts in force what the folder of policies says now, because the process was sent a signal. What
    /// is wrong with it leaves in force what was; `None` when the server is stopping.
    pub async fn reload(&self) -> Option<Result<Policies, Refused>> {
        self.policies.reload(LoadCause::Signal, None).await
    }

    /// Tries at once to serve what is left out, and not only when it is time.
    pub fn try_left_out(&self) {
        self.at_once.notify_one();
    }

    /// Takes access back: at once for all that runs, and for good until it is given again.
    ///
    /// # Errors
    /// When there is nothing of that name, or the ledger did not take it; then it holds until the
    /// server stops.
    pub async fn revoke(&self, change: &AccessChange) -> Result<Revoked, RevokeError> {
        self.flight.revoke(change).await
    }

    /// Gives access again that was taken back; what was taken.
    ///
    /// # Errors
    /// When it was not, or the ledger does not take it; then nothing changes.
    pub async fn reinstate(&self, change: &AccessChange) -> Result<Revocation, RevokeError> {
        self.flight.reinstate(change).await
    }

    /// What is revoked.
    pub fn revocations(&self) -> Arc<Revocations> {
        self.flight.revocations()
    }

    /// Has other accounts hold from now on, for what runs, too.
    ///
    /// # Errors
    /// When the ledger does not take that sessions were closed by it; they are all the same.
    pub async fn replace_accounts(&self, accounts: Accounts) -> Result<(), LedgerError> {
        self.flight.replace_accounts(accounts).await
    }

    /// Waits until the transport ends by itself, which it does only when it breaks.
    ///
    /// # Errors
    /// Why it broke.
    pub async fn ended(&mut self) -> Result<(), StartError> {
        match (&mut self.task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(StartError::Transport(e.to_string())),
            Err(e) => Err(StartError::Transport(e.to_string())),
        }
    }

    /// Takes no more calls, lets running ones end for as long as `patience` lasts, then ends them,
    /// and closes the ledger.
    ///
    /// # Errors
    /// When the ledger did not take its last entry.
    pub async fn shutdown(mut self, patience: Duration) -> Result<(), StartError> {
        if self.stop.take().is_some_and(|stop| stop.send(()).is_err()) {
            tracing::debug!("the transport is gone already");
        }
        self.keeping.abort();
        self.health.end().await;
        if tokio::time::timeout(patience, &mut self.task)
            .await
            .is_err()
        {
            tracing::warn!("calls are still running; ending them");
            self.phase.send_replace(Phase::Ending);
            if tokio::time::timeout(END_TIMEOUT, &mut self.task)
                .await
                .is_err()
            {
                self.task.abort();
            }
        }
        // Not before: what streams while the server stops must not outlive its right, either.
        self.watching.abort();
        // What the shadow would have shown is not lost for want of a moment.
        let mut waiting = self.engine.shadow_waiting();
        let settled = waiting.wait_for(|count| *count == 0);
        drop(tokio::time::timeout(END_TIMEOUT, settled).await);
        self.ledger.event(Event::ServerStopped).await?;
        self.ledger.shutdown().await?;
        self.spill.remove();
        tracing::info!("stopped");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Ending);
        self.watching.abort();
        self.keeping.abort();
        self.task.abort();
    }
}

/// Lets policies change for as long as the server runs. If that ever breaks, the server says that it is
/// not well: what it enforces would be out of date and nobody would know.
async fn keep(keeper: Keeper, flight: Arc<Flight>, health: Health) {
    let kept = AssertUnwindSafe(keeper.run(flight)).catch_unwind().await;
    if kept.is_err() {
        tracing::error!("policies change no more: start the server again, and please report this");
        health.tell(false, false).await;
    }
}

/// The address to listen on, if nothing travels unencrypted that must not.
fn protected_address(config: &Config) -> Result<SocketAddr, StartError> {
    let address = config.listen.flight;
    let plain = config.tls.is_none() && !config.listen.allow_plaintext_beyond_loopback;
    if plain && !address.ip().is_loopback() {
        return Err(StartError::Plaintext(address));
    }
    Ok(address)
}

/// Closed sessions stay closed, whatever happened in between. What is revoked is told.
fn recovered(
    authenticator: Authenticator,
    recovery: &Recovery,
    clock: &dyn Clock,
) -> Authenticator {
    let authenticator = authenticator.with_revocations(recovery.revocations.clone());
    if let Some(torn) = &recovery.torn {
        tracing::warn!(
            bytes = torn.bytes,
            "the ledger's last line was torn and is cut off"
        );
    }
    if !recovery.abandoned.is_empty() {
        tracing::warn!(
            queries = recovery.abandoned.len(),
            "queries were running at the last stop"
        );
    }
    for one in recovery.revocations.in_force() {
        tracing::warn!(scope = %one.scope, id = one.id, at = %one.at, "access is revoked");
    }
    for (session, end) in &recovery.closed_sessions {
        authenticator.close_until(*session, *end, clock.now());
    }
    authenticator
}

fn session_rules(config: &Config) -> SessionRules {
    let per_principal = config.limits.sessions_per_principal;
    SessionRules {
        ttl: config.identity.session_ttl,
        max: config.identity.session_max,
        per_account: usize::try_from(per_principal).unwrap_or(usize::MAX),
    }
}

fn engine_config(config: &Config, spill: &Spill) -> EngineConfig {
    let limits = config.limits;
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    EngineConfig {
        memory_bytes: count(limits.memory_bytes),
        spill_dir: spill.path.clone(),
        partitions: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        limits: EngineLimits {
            rows_max: limits.rows_max,
            bytes_max: limits.bytes_max,
            time: limits.time,
            concurrent_per_principal: count(limits.concurrent_per_principal),
            ..EngineLimits::default()
        },
    }
}

/// The transport without its services; a certificate that cannot be used shows here.
fn transport(tls: Option<&Tls>) -> Result<Transport, StartError> {
    let transport = Transport::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX);
    let Some(tls) = tls else {
        return Ok(transport);
    };
    let read = |path: &Path| {
        std::fs::read(path).map_err(|e| StartError::Tls(format!("{}: {e}", path.display())))
    };
    let identity = Identity::from_pem(read(&tls.cert)?, read(&tls.key)?);
    let mut config = ServerTlsConfig::new()
        .identity(identity)
        .timeout(TLS_TIMEOUT);
    if let Some(clients) = &tls.clients {
        config = config
            .client_ca_root(Certificate::from_pem(read(&clients.ca)?))
            .client_auth_optional(!clients.required);
    }
    transport
        .tls_config(config)
        .map_err(|e| StartError::Tls(chain(&e)))
}

type Listening = (
    SocketAddr,
    oneshot::Sender<()>,
    JoinHandle<Result<(), tonic::transport::Error>>,
);

fn listen(
    address: SocketAddr,
    mut transport: Transport,
    door: Door,
    health: HealthServer<impl HealthService>,
) -> Result<Listening, StartError> {
    let failed = |cause| StartError::Listen { address, cause };
    let incoming = TcpIncoming::bind(address)
        .map_err(failed)?
        .with_nodelay(Some(true))
        .with_keepalive(Some(KEEPALIVE));
    let address = incoming.local_addr().map_err(failed)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = transport
        .add_service(health)
        .add_service(door)
        .serve_with_incoming_shutdown(incoming, async {
            // The sender's end is a reason to stop, too.
            drop(stopped.await);
        });
    Ok((address, stop, tokio::spawn(serving)))
}

/// An error with everything that its causes say.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The folder that queries spill to: for our eyes only, empty at the start, gone at the end.
#[derive(Debug)]
struct Spill {
    path: PathBuf,
}

impl Spill {
    /// A folder of our own inside `parent`: what else lies there is not ours to wipe. What is in it
    /// was left over by a server that was killed.
    fn new(parent: &Path) -> Result<Self, StartError> {
        let path = parent.join("scrim-spill");
        let spill = Self { path };
        spill.remove();
        spill.create().map_err(|cause| StartError::Spill {
            path: spill.path.display().to_string(),
            cause,
        })?;
        Ok(spill)
    }

    #[cfg(unix)]
    fn create(&self) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
    }

    #[cfg(not(unix))]
    fn create(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.path)
    }

    fn remove(&self) {
        // What is not there need not be removed, and what cannot be removed is told by `create`.
        drop(std::fs::remove_dir_all(&self.path));
    }
}
