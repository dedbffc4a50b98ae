//! `scrim serve`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use scrim_model::SystemClock;
use scrim_server::{Config, Server, StartError};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::runtime;
use crate::cli::Serve;
use crate::on_panic;
use crate::out::Out;
use crate::outcome::Failure;

/// How long running queries may take to end after a stop.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until told to stop, then lets running queries end.
pub(crate) fn run(arguments: &Serve, out: &mut Out) -> Result<(), Failure> {
    log();
    let config = Config::load(&arguments.config)?;
    runtime()?.block_on(async {
        // before the line that says we are ready, so that a stop right after it is a clean one, and a
        // reload no end
        let mut stop = Stop::new()?;
        let mut reload = Reload::new()?;
        let mut running = Server::start(config, Arc::new(SystemClock)).await?;
        out.line(format_args!(
            "scrim: serving Flight SQL on {}",
            running.address()
        ))?;
        loop {
            tokio::select! {
                () = stop.wait() => break,
                // What came of it is in the log, the ledger and the status. A source may take its time,
                // and whoever wants the server to stop does not wait for it.
                () = reload.wait() => tokio::select! {
                    () = stop.wait() => break,
                    _ = running.reload() => {}
                },
                ended = running.ended() => return Ok(ended?),
            }
        }
        out.remark("scrim: stopping");
        Ok(running.shutdown(PATIENCE).await?)
    })
}

/// The log goes to standard error; `RUST_LOG` says how much of it, and cannot ask for too much.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    logger(filter, io::stderr).init();
    on_panic(|place| tracing::error!(place, "panic"));
}

fn logger<W>(filter: EnvFilter, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_writer(to)
        .with_env_filter(filter)
        .finish()
        .with(filter_fn(may_be_logged))
}

/// What libraries say in detail is what clients send, tokens among it, and what files hold: only we
/// may go into detail. What the library of Delta tables says of a failure holds values of its log; the
/// failure itself reaches us without them.
fn may_be_logged(event: &Metadata<'_>) -> bool {
    let target = event.target();
    target.starts_with("scrim")
        || (*event.level() <= Level::INFO && !target.starts_with("delta_kernel"))
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Problems(problems) => Self::Problems(problems),
            StartError::Keys(_) | StartError::Plaintext(_) | StartError::Tls(_) => {
                Self::usage(&error)
            }
            StartError::Ledger(_)
            | StartError::Store(_)
            | StartError::Engine(_)
            | StartError::Listen { .. }
            | StartError::Spill { .. }
            | StartError::Transport(_) => Self::failed(&error),
        }
    }
}

/// A polite request to end: Ctrl-C or SIGTERM.
#[cfg(unix)]
pub(crate) struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    /// From now on such a request does not end the process by itself.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A polite request to end: Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Stop;

#[cfg(not(unix))]
impl Stop {
    /// Nothing to prepare here.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for one.
    pub(crate) async fn wait(&mut self) {
        // if the console cannot be listened to, nobody can ask politely
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A request to load the policies anew: SIGHUP.
#[cfg(unix)]
struct Reload(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Reload {
    /// From now on such a request does not end the process.
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for one.
    async fn wait(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Here nobody can ask so.
#[cfg(not(unix))]
struct Reload;

#[cfg(not(unix))]
impl Reload {
    /// Nothing to prepare.
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for ever.
    async fn wait(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tracing_subscriber::EnvFilter;

    use super::logger;

    #[test]
    fn inv_15_no_filter_lets_libraries_talk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let to = std::sync::Arc::new(File::create(&path).unwrap());
        let filter = EnvFilter::new("trace,h2=trace,h2::codec=trace,tonic::transport[call]=trace");
        tracing::subscriber::with_default(logger(filter, to), || {
            tracing::trace!(target: "h2::codec", "authorization: one");
            tracing::debug!(target: "tonic", "authorization: two");
            tracing::trace!(target: "datafusion_datasource_parquet::page_filter", "authorization: three");
            tracing::error!(target: "delta_kernel::scan", "stats: three");
            tracing::info!(target: "h2", "a connection");
            tracing::trace!(target: "scrim_server", "a step");
        });
        let log = std::fs::read_to_string(path).unwrap();
        assert!(
            !log.contains("authorization") && !log.contains("three"),
            "{log}"
        );
        assert!(
            log.contains("a connection") && log.contains("a step"),
            "{log}"
        );
    }
}
