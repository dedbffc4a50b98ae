//! Flight SQL over the engine.

mod actions;
mod bindings;
mod context;
mod handshake;
mod info;
mod keys;
mod metadata;
mod options;
mod params;
mod pattern;
mod prepared;
mod put;
mod service;
mod sessions;
mod set_statement;
mod settings;
mod sql_info;
mod statements;
mod tickets;
mod xdbc;

use std::fmt;
use std::sync::Arc;

use scrim_engine::Engine;
use scrim_identity::{Authenticator, Sealer};
use scrim_ledger::Ledger;
use scrim_model::{Clock, Code, Refusal};
use tokio::sync::watch;

pub(crate) use context::Caller;
pub(crate) use handshake::{Logins, bearer};

use crate::clock::until;
use crate::config::Networks;
use crate::wire::Ending;

/// How far the server is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// Streams must end now.
    Ending,
}

/// The service: everything that one request needs.
pub(crate) struct Flight {
    pub(crate) engine: Engine,
    pub(crate) ledger: Ledger,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) sealer: Sealer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) networks: Networks,
    pub(crate) logins: Logins,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) sessions: sessions::Sessions,
    pub(crate) bindings: bindings::Bindings,
}

/// What a [`Flight`] is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) ledger: Ledger,
    pub(crate) authenticator: Authenticator,
    pub(crate) sealer: Sealer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) networks: Networks,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl Flight {
    /// A service over these parts.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            engine: parts.engine,
            ledger: parts.ledger,
            authenticator: Arc::new(parts.authenticator),
            sealer: parts.sealer,
            clock: parts.clock,
            networks: parts.networks,
            phase: parts.phase,
            logins: Logins::default(),
            sessions: sessions::Sessions::default(),
            bindings: bindings::Bindings::default(),
        }
    }

    /// What ends a caller's stream before it ends by itself.
    pub(crate) fn ending(&self, caller: &Caller) -> Ending {
        let session = until(caller.session.expires, self.clock.now());
        let deadline = caller.deadline;
        let mut phase = self.phase.clone();
        Box::pin(async move {
            let deadline = async {
                match deadline {
                    Some(instant) => tokio::time::sleep_until(instant).await,
                    None => std::future::pending().await,
                }
            };
            let stopping = async {
                // The sender lives as long as the server; without it there is no server either.
                drop(phase.wait_for(|phase| *phase == Phase::Ending).await);
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(session) => {
                    Refusal::new(Code::SessionEnded, "the session has ended; sign in again")
                }
                () = deadline => {
                    Refusal::new(Code::TimeLimit, "the deadline that the client set has passed")
                }
                () = stopping => Refusal::new(Code::Stopping, "the server is stopping; run the query again"),
            }
        })
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
