//! Sessions: opened, prolonged and closed, each with its record.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use scrim_identity::{Certified, Renewal, Session, SignedIn};
use scrim_ledger::Event;
use scrim_model::{Code, Refusal, Secret, SessionId};
use tokio::sync::{Mutex, MutexGuard};

use super::peer::Peer;
use super::{Flight, review};

/// Things of which one may be done at a time, unless their names collide.
const TURNS: usize = 64;

/// Lets one at a time look whether something is recorded, and record it if not.
#[derive(Debug)]
pub(crate) struct Turns {
    hasher: RandomState,
    turns: Vec<Mutex<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Turns {
    async fn take(&self, name: impl Hash) -> Option<MutexGuard<'_, ()>> {
        let count = self.turns.len().max(1) as u64;
        let at = usize::try_from(self.hasher.hash_one(name) % count).unwrap_or_default();
        match self.turns.get(at) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }
}

impl Flight {
    /// The session of a bearer token.
    pub(crate) fn verify(&self, token: &str) -> Result<Session, Refusal> {
        self.authenticator
            .verify(token, self.clock.now())
            .map_err(Into::into)
    }

    /// Opens a session by password.
    pub(crate) async fn login(
        &self,
        user: String,
        password: Secret<String>,
        address: Option<IpAddr>,
    ) -> Result<Secret<String>, Refusal> {
        let (authenticator, now, name) = (
            Arc::clone(&self.authenticator),
            self.clock.now(),
            user.clone(),
        );
        // The authenticator itself lets few passwords be checked, and few wait, at once.
        let checked = tokio::task::spawn_blocking(move || {
            authenticator.login(&user, &password, address, now)
        });
        match checked.await.map_err(Refusal::internal)? {
            Ok(signed_in) => {
                self.record_opened(&signed_in, address, None).await?;
                Ok(signed_in.token)
            }
            Err(refused) => {
                let refusal = refused.into();
                self.record_refused(&name, address, &refusal).await?;
                Err(refusal)
            }
        }
    }

    /// Opens a session for who holds a certificate.
    pub(crate) async fn open_certified(
        &self,
        certified: &Certified,
        peer: &Peer,
    ) -> Result<SignedIn, Refusal> {
        let now = self.clock.now();
        let signed_in = self
            .authenticator
            .open_certified(certified, now)
            .map_err(Refusal::from)?;
        let fingerprint = certified.fingerprint();
        self.record_opened(&signed_in, peer.ip(), Some(fingerprint))
            .await?;
        Ok(signed_in)
    }

    /// The session of a connection whose certificate is all that it shows: one for each, opened by
    /// its first request, and again when it has ended or was closed.
    pub(crate) async fn session_of(
        &self,
        certified: &Certified,
        peer: &Peer,
    ) -> Result<Session, Refusal> {
        let address = peer
            .address
            .ok_or_else(|| Refusal::internal("a connection without an address"))?;
        let attached = || {
            let now = self.clock.now();
            self.authenticator.attached(certified, address, now)
        };
        if let Some(session) = attached() {
            return Ok(session);
        }
        let _turn = self.turns.take(address).await;
        if let Some(session) = attached() {
            return Ok(session);
        }
        let session = self.open_certified(certified, peer).await?.session;
        self.authenticator.attach(&session, certified, address);
        Ok(session)
    }

    /// A fresh token when it is time for one; recorded before it is handed out, once.
    pub(crate) async fn renew(&self, old: &Session) -> Option<Renewal> {
        let renewal = self.renewal(old)?;
        if !renewal.is_new {
            return Some(renewal);
        }
        let _turn = self.turns.take(old.id).await;
        let renewal = self.renewal(old)?;
        if renewal.is_new {
            let session = &renewal.session;
            let event = Event::SessionRenewed {
                principal: session.principal.get().id.clone(),
                session: session.id,
                expires: session.expires,
            };
            if let Err(error) = self.ledger.event(event).await {
                tracing::warn!(%error, "a session is not renewed");
                return None;
            }
            self.authenticator.renewed(session);
        }
        Some(renewal)
    }

    /// The old token is good for a while yet: that there is no new one is no reason to fail.
    fn renewal(&self, old: &Session) -> Option<Renewal> {
        let renewal = self.authenticator.renewal(old, self.clock.now());
        renewal.unwrap_or_else(|error| {
            tracing::error!(%error, "a session is not renewed");
            None
        })
    }

    /// Closes a caller's session: its tokens are refused from now on.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Refusal> {
        self.authenticator.close(session, self.clock.now());
        self.forget(session.id);
        let closed = self.ledger.event(closed(session)).await;
        closed.map_err(Into::into)
    }

    /// Forgets what a session that is closed has set, bound and cancelled, and ends its streams.
    pub(super) fn forget(&self, session: SessionId) {
        self.sessions.close(session);
        self.bindings.close_session(session);
        self.streams.end_session(session, &review::session_closed());
    }

    /// No session without its record.
    async fn record_opened(
        &self,
        signed_in: &SignedIn,
        address: Option<IpAddr>,
        certificate: Option<String>,
    ) -> Result<(), Refusal> {
        let session = &signed_in.session;
        let principal = session.principal.get();
        let opened = self.ledger.event(Event::SignedIn {
            principal: principal.id.clone(),
            org: principal.org.clone(),
            session: session.id,
            address,
            certificate,
            expires: session.expires,
        });
        let Some(dropped) = &signed_in.dropped else {
            return opened.await.map_err(Into::into);
        };
        tracing::info!(
            principal = principal.id,
            "too many sessions: the idlest is closed"
        );
        self.forget(dropped.id);
        let (opened, closed) = tokio::join!(opened, self.ledger.event(closed(dropped)));
        opened.and(closed).map_err(Into::into)
    }

    async fn record_refused(
        &self,
        account: &str,
        address: Option<IpAddr>,
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        // A storm of throttled attempts must not become a storm of entries.
        if refusal.code() == Code::Throttled {
            tracing::warn!(?address, "log-in throttled");
            return Ok(());
        }
        let refused = Event::SignInRefused {
            account: account.chars().take(128).collect(),
            address,
            code: refusal.code(),
        };
        self.ledger.event(refused).await.map_err(Into::into)
    }
}

fn closed(session: &Session) -> Event {
    Event::SessionClosed {
        principal: session.principal.get().id.clone(),
        session: session.id,
        expires: session.ends,
    }
}
