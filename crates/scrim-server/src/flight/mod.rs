//! Flight SQL over the engine.

mod about;
mod actions;
mod bindings;
mod cancel;
mod context;
mod handshake;
mod headers;
mod info;
mod keys;
mod metadata;
mod options;
mod params;
mod pattern;
mod peer;
mod prepared;
mod put;
mod review;
mod revoke;
mod running;
mod service;
mod sessions;
mod set_statement;
mod settings;
mod sign_in;
mod sql_info;
mod statements;
mod tickets;
mod xdbc;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use scrim_engine::Engine;
use scrim_identity::{Authenticator, Sealer};
use scrim_ledger::Ledger;
use scrim_model::{Clock, Code, Refusal, RevocationScope};
use tokio::sync::watch;

pub(crate) use context::Caller;
pub(crate) use handshake::{bearer, bearer_header};
pub(crate) use info::malformed;
pub(crate) use peer::{Peer, Standing};

use crate::admin::Used;
use crate::config::{Limits, Networks};
use crate::in_force::PoliciesHandle;
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
    pub(crate) turns: sign_in::Turns,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) sessions: sessions::Sessions,
    pub(crate) bindings: bindings::Bindings,
    pub(crate) streams: running::Streams,
    pub(crate) limits: Limits,
    /// Held while what is revoked changes in more than one place.
    revoking: Mutex<()>,
    /// What is revoked and not known to be in the ledger.
    unrecorded: Mutex<BTreeSet<(RevocationScope, String)>>,
    /// The operators' tokens that were used.
    pub(crate) used: Used,
    pub(crate) policies: PoliciesHandle,
    /// The accounts that may administer the server.
    pub(crate) administrators: BTreeSet<String>,
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
    pub(crate) limits: Limits,
    pub(crate) policies: PoliciesHandle,
    pub(crate) administrators: BTreeSet<String>,
}

/// Why nothing begins in a session that has ended.
fn session_ended() -> Refusal {
    Refusal::new(Code::SessionEnded, "the session has ended; sign in again")
}

impl Flight {
    /// A service over these parts.
    pub(crate) fn new(parts: Parts) -> Self {
        let started = parts.clock.now();
        Self {
            engine: parts.engine,
            ledger: parts.ledger,
            authenticator: Arc::new(parts.authenticator),
            sealer: parts.sealer,
            clock: parts.clock,
            networks: parts.networks,
            phase: parts.phase,
            turns: sign_in::Turns::default(),
            sessions: sessions::Sessions::default(),
            bindings: bindings::Bindings::default(),
            streams: running::Streams::new(
                usize::try_from(parts.limits.streams_per_principal).unwrap_or(usize::MAX),
            ),
            limits: parts.limits,
            revoking: Mutex::default(),
            unrecorded: Mutex::default(),
            used: Used::new(started),
            policies: parts.policies,
            administrators: parts.administrators,
        }
    }

    /// What ends a caller's stream before it ends by itself, beside the end of what it rests on.
    pub(crate) fn ending(&self, caller: &Caller) -> Ending {
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
