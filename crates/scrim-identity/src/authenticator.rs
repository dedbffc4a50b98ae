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
use zeroize::Zeroizing;

use crate::{
    Accounts, Authenticated, IdentityError, LoginRefusal, PASSWORD_BYTES_MAX, Sealer, TokenRefusal,
    accounts::{ID_BYTES_MAX, Mark},
    closed::ClosedSessions,
    gate::Gate,
    recent::{Credential, CredentialKey, RecentProofs},
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
/// The most runs of Argon2id at once, however many processors there are.
const CHECKS_AT_ONCE_MAX: usize = 8;

/// Knows the accounts and who is signed in.
#[derive(Debug)]
pub struct Authenticator {
    accounts: Accounts,
    sealer: Sealer,
    ttl: TimeDelta,
    started: DateTime<Utc>,
    gate: Gate,
    /// None when the operating system gave no random bytes; then nobody can sign in.
    pub(crate) credential_key: Option<CredentialKey>,
    recent: Mutex<RecentProofs>,
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
    /// When the session ends by itself; sooner if the server was started again with a shorter life
    /// of sessions.
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

/// Somebody wants to sign in.
#[derive(Debug, Clone, Copy)]
struct Attempt<'a> {
    user: &'a str,
    password: &'a Secret<String>,
    address: Option<IpAddr>,
    now: DateTime<Utc>,
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
    /// later time is taken to be before it: what had ended by then stays ended if the clock is set
    /// back.
    pub fn new(
        accounts: Accounts,
        sealer: Sealer,
        session_ttl: Duration,
        now: DateTime<Utc>,
    ) -> Self {
        // Half of the processors: those who are signed in want to be served during a storm, too.
        let checks = thread::available_parallelism().map_or(1, usize::from) / 2;
        Self {
            accounts,
            sealer,
            ttl: TimeDelta::from_std(session_ttl)
                .unwrap_or(TTL_MAX)
                .min(TTL_MAX),
            started: now,
            gate: Gate::new(checks.clamp(1, CHECKS_AT_ONCE_MAX)),
            credential_key: CredentialKey::generate().ok(),
            recent: Mutex::default(),
            throttle: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Checks a password and opens a session. Blocks while it computes, and while others do; a
    /// password that was right a short while ago is not computed again.
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
        let attempt = Attempt {
            user,
            password,
            address,
            now,
        };
        self.check_throttle(attempt)?;
        if user.len() > ID_BYTES_MAX || password.expose().len() > PASSWORD_BYTES_MAX {
            // No account has such a name or password, so the quick answer tells nobody anything;
            // counted, because each refusal costs the ledger an entry.
            return Err(self.wrong(attempt));
        }
        let credential = self.credential(attempt)?;
        if !self.recent().contains(&credential, now) {
            self.prove(attempt, &credential)?;
        }
        let known = self.accounts.mark(user);
        let (principal, mark) = known.ok_or(LoginRefusal::Wrong)?;
        self.throttle().succeeded(user);
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
        // A token of a server that gave longer lives is held to ours: `close` counts on it.
        let end = claims.expires.min(claims.issued + self.ttl);
        if end <= now {
            return Err(TokenRefusal::Expired);
        }
        if self.closed().contains(claims.id, end) {
            return Err(TokenRefusal::Closed);
        }
        Ok(session(principal, &claims))
    }

    /// Closes a session: its token is refused from now on.
    pub fn close(&self, id: SessionId, now: DateTime<Utc>) {
        // Whatever its token says, it was made before now, give or take the clocks, and `verify`
        // gives no token more than our life of sessions.
        let end = now.max(self.started) + self.ttl + LEEWAY;
        self.closed().close(id, end, now);
    }

    /// Closes a session that ends by itself at `end`: those that the ledger remembers from before
    /// a restart.
    pub fn close_until(&self, id: SessionId, end: DateTime<Utc>, now: DateTime<Utc>) {
        self.closed().close(id, end, now);
    }

    /// Checks the password of an attempt, and remembers it if it is right.
    fn prove(&self, attempt: Attempt<'_>, credential: &Credential) -> Result<(), LoginRefusal> {
        let now = attempt.now;
        let place = self.gate.enter(credential).ok_or(LoginRefusal::Busy)?;
        // Again inside the gate, where few are at a time: a burst of guesses that all passed the
        // first check meets what the first of them failed at, and a burst of one password that is
        // right finds it proven by the first of them.
        self.check_throttle(attempt)?;
        if !self.recent().contains(credential, now) {
            if !self.accounts.check(attempt.user, attempt.password) {
                return Err(self.wrong(attempt));
            }
            self.recent().insert(credential.clone(), now);
        }
        drop(place);
        Ok(())
    }

    fn credential(&self, attempt: Attempt<'_>) -> Result<Credential, LoginRefusal> {
        let key = self.credential_key.as_ref().ok_or_else(|| {
            let what = "there were none when the server started".to_owned();
            LoginRefusal::Internal(IdentityError::Random(what))
        })?;
        let hash = self.accounts.hash_of(attempt.user);
        let hash = Zeroizing::new(hash.map(ToString::to_string).unwrap_or_default());
        Ok(key.credential(attempt.user, attempt.password, &hash))
    }

    fn check_throttle(&self, attempt: Attempt<'_>) -> Result<(), LoginRefusal> {
        let Attempt {
            user, address, now, ..
        } = attempt;
        match self.throttle().wait_s(user, address, now) {
            0 => Ok(()),
            retry_after_s => Err(LoginRefusal::Throttled { retry_after_s }),
        }
    }

    /// Counts a failure.
    fn wrong(&self, attempt: Attempt<'_>) -> LoginRefusal {
        let Attempt {
            user, address, now, ..
        } = attempt;
        self.throttle().failed(user, address, now);
        LoginRefusal::Wrong
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

    fn recent(&self) -> MutexGuard<'_, RecentProofs> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
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
