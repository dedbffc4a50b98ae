//! Signing in, and staying signed in.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_model::{Principal, Secret, SessionId};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{
    Accounts, Authenticated, IdentityError, LoginRefusal, PASSWORD_BYTES_MAX, Sealer, TokenRefusal,
    accounts::{ID_BYTES_MAX, Mark},
    closed::ClosedSessions,
    gate::Gate,
    throttle::Throttle,
};

/// What session tokens are sealed for.
const PURPOSE: &str = "session";
/// Longer texts are not looked at.
const TOKEN_BYTES_MAX: usize = 4096;
/// How far the clocks of two servers that share keys may be apart.
const LEEWAY: TimeDelta = TimeDelta::minutes(5);
/// The longest life of a session.
const TTL_MAX: TimeDelta = TimeDelta::days(30);
/// The most runs of Argon2id at once, whatever the number of processors.
const CHECKS_AT_ONCE_MAX: usize = 8;

/// Knows the accounts and who is signed in.
#[derive(Debug)]
pub struct Authenticator {
    accounts: Accounts,
    sealer: Sealer,
    ttl: TimeDelta,
    started: DateTime<Utc>,
    gate: Gate,
    throttle: Mutex<Throttle>,
    closed: Mutex<ClosedSessions>,
}

/// One who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// Who it is.
    pub principal: Authenticated<Principal>,
    /// When they signed in.
    pub issued: DateTime<Utc>,
    /// When the session ends by itself.
    pub expires: DateTime<Utc>,
}

/// The outcome of signing in.
#[derive(Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// The token by which the client shows that the session is its own.
    pub token: Secret<String>,
}

/// What a token holds.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    id: SessionId,
    account: String,
    issued: DateTime<Utc>,
    expires: DateTime<Utc>,
    mark: Mark,
}

impl Authenticator {
    /// Sessions live for `session_ttl`, at most 30 days; `now` is when the server started, and no
    /// later time is taken to be before it, so that a clock set back revives no token.
    pub fn new(
        accounts: Accounts,
        sealer: Sealer,
        session_ttl: Duration,
        now: DateTime<Utc>,
    ) -> Self {
        let checks = thread::available_parallelism().map_or(1, usize::from);
        Self {
            accounts,
            sealer,
            ttl: TimeDelta::from_std(session_ttl)
                .unwrap_or(TTL_MAX)
                .min(TTL_MAX),
            started: now,
            gate: Gate::new(checks.min(CHECKS_AT_ONCE_MAX)),
            throttle: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Checks a password and opens a session. Blocks while it computes, and while others do.
    ///
    /// An attempt that is throttled is refused before the password is looked at, and does not
    /// count as a failure.
    pub fn login(
        &self,
        user: &str,
        password: &Secret<String>,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<SignedIn, LoginRefusal> {
        self.check_throttle(user, address, now)?;
        if user.len() > ID_BYTES_MAX || password.expose().len() > PASSWORD_BYTES_MAX {
            // No account has such a name or password, so the quick answer tells nobody anything;
            // counted, because each refusal costs the ledger an entry.
            self.throttle().failed(user, address, now);
            return Err(LoginRefusal::Wrong);
        }
        let place = self.gate.enter().ok_or(LoginRefusal::Busy)?;
        // Again inside the gate, where few are at a time: a burst of guesses that all passed the
        // first check meets what the first of them failed at.
        self.check_throttle(user, address, now)?;
        let checked = self.accounts.check(user, password);
        let Some((principal, mark)) = checked else {
            self.throttle().failed(user, address, now);
            return Err(LoginRefusal::Wrong);
        };
        self.throttle().succeeded(user);
        drop(place);
        self.open(principal, mark, now)
            .map_err(LoginRefusal::Internal)
    }

    /// The session of a token, if it is one of ours and still open.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Session, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::Invalid);
        }
        let now = now.max(self.started);
        let bytes = self
            .sealer
            .open(PURPOSE, token)
            .map_err(|_| TokenRefusal::Invalid)?;
        let claims: Claims = serde_json::from_slice(&bytes).map_err(|_| TokenRefusal::Invalid)?;
        let known = self.accounts.mark(&claims.account);
        let (principal, mark) = known.ok_or(TokenRefusal::Invalid)?;
        if !bool::from(mark.ct_eq(&claims.mark)) || claims.issued > now + LEEWAY {
            return Err(TokenRefusal::Invalid);
        }
        if claims.expires <= now {
            return Err(TokenRefusal::Expired);
        }
        if self.closed().contains(claims.id, claims.expires) {
            return Err(TokenRefusal::Closed);
        }
        Ok(session(principal, &claims))
    }

    /// Whether a session that was verified before has not been closed since.
    pub fn is_open(&self, session: &Session) -> bool {
        !self.closed().contains(session.id, session.expires)
    }

    /// Closes a session: its token is refused from now on.
    pub fn close(&self, id: SessionId, now: DateTime<Utc>) {
        // Whatever its token says, it was made before now, give or take the clocks.
        let end = now.max(self.started) + self.ttl + LEEWAY;
        self.closed().close(id, end, now);
    }

    /// Closes a session that ends by itself at `end`: those that the ledger remembers from before
    /// a restart.
    pub fn close_until(&self, id: SessionId, end: DateTime<Utc>, now: DateTime<Utc>) {
        self.closed().close(id, end, now);
    }

    fn check_throttle(
        &self,
        user: &str,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), LoginRefusal> {
        match self.throttle().wait_s(user, address, now) {
            0 => Ok(()),
            retry_after_s => Err(LoginRefusal::Throttled { retry_after_s }),
        }
    }

    fn open(
        &self,
        principal: &Principal,
        mark: Mark,
        now: DateTime<Utc>,
    ) -> Result<SignedIn, IdentityError> {
        let (id, account) = (SessionId::new(), principal.id.clone());
        let claims = Claims {
            id,
            account,
            issued: now,
            expires: now + self.ttl,
            mark,
        };
        let bytes = serde_json::to_vec(&claims).map_err(|_| IdentityError::Seal)?;
        let token = Secret::new(self.sealer.seal(PURPOSE, &bytes)?);
        Ok(SignedIn {
            session: session(principal, &claims),
            token,
        })
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> MutexGuard<'_, ClosedSessions> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn session(principal: &Principal, claims: &Claims) -> Session {
    let principal = Principal {
        authenticated_at: Some(claims.issued),
        ..principal.clone()
    };
    Session {
        id: claims.id,
        principal: Authenticated::new(principal),
        issued: claims.issued,
        expires: claims.expires,
    }
}
