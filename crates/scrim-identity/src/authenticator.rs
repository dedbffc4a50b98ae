//! Signing in, and staying signed in.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread,
};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_model::{Principal, Revocations, Secret, SessionId};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    Accounts, Authenticated, Certificates, IdentityError, LoginRefusal, PASSWORD_BYTES_MAX, Sealer,
    SessionRules, TokenRefusal,
    accounts::{ID_BYTES_MAX, Mark},
    certificates::{Certified, NameDigest},
    closed::ClosedSessions,
    gate::Gate,
    open::{OpenSessions, Span},
    recent::{Credential, CredentialKey, RecentProofs},
    throttle::Throttle,
};

/// What session tokens are sealed for.
const PURPOSE: &str = "session";
/// Longer texts are not looked at.
const TOKEN_BYTES_MAX: usize = 4096;
/// How far the clocks of two servers that share keys may be apart.
const LEEWAY: TimeDelta = TimeDelta::minutes(5);
/// The most runs of Argon2id at once, however many processors there are.
const CHECKS_AT_ONCE_MAX: usize = 8;

/// Knows the accounts and who is signed in.
#[derive(Debug)]
pub struct Authenticator {
    accounts: RwLock<Arc<Accounts>>,
    revocations: RwLock<Arc<Revocations>>,
    sealer: Sealer,
    pub(crate) certificates: Certificates,
    pub(crate) rules: SessionRules,
    started: DateTime<Utc>,
    /// Tells this server's own sessions from those of another, or of before a restart.
    run: u64,
    gate: Gate,
    /// None when the operating system gave no random bytes; then nobody can sign in.
    pub(crate) credential_key: Option<CredentialKey>,
    recent: Mutex<RecentProofs>,
    throttle: Mutex<Throttle>,
    sessions: Mutex<Sessions>,
}

/// All that is known about sessions, under one lock: what closes one must not meet what takes it in.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) open: OpenSessions,
    /// Of those that did not begin here.
    pub(crate) closed: ClosedSessions,
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
    /// When it ends unless it is renewed: the end of the token that shows it; sooner if the server was
    /// started again with a shorter life of sessions.
    pub expires: DateTime<Utc>,
    /// When it ends at the latest, however often it is renewed.
    pub ends: DateTime<Utc>,
    /// From when on it is to be renewed.
    pub(crate) renew_from: DateTime<Utc>,
    /// The name in the certificate that opened it, when no password did.
    pub(crate) certificate: Option<NameDigest>,
    /// Which password hash its account had.
    pub(crate) mark: Mark,
    /// Whether the token that shows it was made here, and not before a restart or elsewhere.
    pub(crate) is_ours: bool,
}

/// The outcome of signing in.
#[derive(Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// The token by which the client shows that the session is its own.
    pub token: Secret<String>,
    /// The session of the same account that was closed to make room for this one.
    pub dropped: Option<Session>,
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
    span: Span,
    mark: Mark,
    certificate: Option<NameDigest>,
    run: u64,
}

impl Authenticator {
    /// `now` is when the server started, and no later time is taken to be before it: what had ended by
    /// then stays ended if the clock is set back.
    pub fn new(
        accounts: Accounts,
        sealer: Sealer,
        rules: SessionRules,
        now: DateTime<Utc>,
    ) -> Self {
        // Half of the processors: those who are signed in want to be served during a storm, too.
        let checks = thread::available_parallelism().map_or(1, usize::from) / 2;
        Self {
            accounts: RwLock::new(Arc::new(accounts)),
            revocations: RwLock::default(),
            sealer,
            certificates: Certificates::default(),
            rules,
            started: now,
            run: RandomState::new().hash_one(now),
            gate: Gate::new(checks.clamp(1, CHECKS_AT_ONCE_MAX)),
            credential_key: CredentialKey::generate().ok(),
            recent: Mutex::default(),
            throttle: Mutex::default(),
            sessions: Mutex::new(Sessions {
                open: OpenSessions::new(rules.per_account),
                closed: ClosedSessions::default(),
            }),
        }
    }

    /// With client certificates that stand for accounts.
    #[must_use]
    pub fn with_certificates(mut self, certificates: Certificates) -> Self {
        self.certificates = certificates;
        self
    }

    /// The accounts as they are now. Who looks twice at one request keeps them, so that it sees
    /// the same ones.
    pub fn accounts(&self) -> Arc<Accounts> {
        let accounts = self.accounts.read();
        Arc::clone(&accounts.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put_accounts(&self, accounts: Accounts) {
        let held = self.accounts.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
        // What was proven was proven of the accounts that were.
        *self.recent() = RecentProofs::default();
    }

    /// What is revoked.
    pub fn revocations(&self) -> Arc<Revocations> {
        let revocations = self.revocations.read();
        Arc::clone(&revocations.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change_revocations<T>(&self, change: impl FnOnce(&mut Revocations) -> T) -> T {
        let held = self.revocations.write();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut held))
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
        let accounts = self.accounts();
        let credential = self.credential(attempt, &accounts)?;
        if !self.recent().contains(&credential, now) {
            self.prove(attempt, &credential, &accounts)?;
        }
        let known = accounts.mark(user);
        let (principal, mark) = known.ok_or(LoginRefusal::Wrong)?;
        self.throttle().succeeded(user);
        self.open(principal, mark, None, now)
    }

    /// The session of a token, if it is one of ours and still open.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Session, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::Invalid);
        }
        let now = self.at_least_started(now);
        let bytes = self
            .sealer
            .open(PURPOSE, token)
            .map_err(|_| TokenRefusal::Invalid)?;
        let claims: Claims = serde_json::from_slice(&bytes).map_err(|_| TokenRefusal::Invalid)?;
        let accounts = self.accounts();
        let known = accounts.mark(&claims.account);
        let (principal, mark) = known.ok_or(TokenRefusal::Invalid)?;
        let Claims {
            id,
            span,
            certificate,
            run,
            ..
        } = claims;
        if !bool::from(mark.ct_eq(&claims.mark)) || span.issued > now + LEEWAY {
            return Err(TokenRefusal::Invalid);
        }
        let stands = |name| self.certificates.vouch(name, &claims.account);
        if !certificate.as_ref().is_none_or(stands) {
            return Err(TokenRefusal::Invalid);
        }
        self.check_revoked(principal, id, span.issued)?;
        let span = self.rules.held(span);
        if span.expires <= now {
            return Err(TokenRefusal::Expired);
        }
        let mut sessions = self.sessions();
        let is_known = sessions.open.touch(&claims.account, id);
        let is_closed = if run == self.run {
            !is_known
        } else {
            sessions.closed.contains(id, span.ends)
        };
        if is_closed {
            return Err(TokenRefusal::Closed);
        }
        if !is_known {
            sessions.open.adopt(&claims.account, id, span, now);
        }
        Ok(Session {
            is_ours: run == self.run,
            ..session(principal, mark, id, span, certificate)
        })
    }

    /// Whether a session that was verified before has not been closed or revoked since. One from
    /// elsewhere may be open without being known, when there was no room to take it in.
    pub fn is_open(&self, session: &Session) -> bool {
        let principal = session.principal.get();
        let revoked = self.check_revoked(principal, session.id, session.issued);
        if revoked.is_err() {
            return false;
        }
        let account = &principal.id;
        let sessions = self.sessions();
        sessions.open.get(account, session.id).is_some()
            || !session.is_ours && !sessions.closed.contains(session.id, session.ends)
    }

    /// How many sessions are open, as far as they are known.
    pub fn sessions_open(&self, now: DateTime<Utc>) -> usize {
        self.sessions().open.count_at(now)
    }

    /// Closes a session: its tokens are refused from now on.
    pub fn close(&self, session: &Session, now: DateTime<Utc>) {
        let account = &session.principal.get().id;
        let mut sessions = self.sessions();
        let open = sessions.open.remove(account, session.id);
        if !open.is_some_and(|open| open.is_ours) {
            sessions.closed.close(session.id, session.ends, now);
        }
    }

    /// Closes a session that ends by itself at `end`: those that the ledger remembers from before
    /// a restart.
    pub fn close_until(&self, id: SessionId, end: DateTime<Utc>, now: DateTime<Utc>) {
        self.sessions().closed.close(id, end, now);
    }

    /// Checks the password of an attempt, and remembers it if it is right.
    fn prove(
        &self,
        attempt: Attempt<'_>,
        credential: &Credential,
        accounts: &Accounts,
    ) -> Result<(), LoginRefusal> {
        let now = attempt.now;
        let place = self.gate.enter(credential).ok_or(LoginRefusal::Busy)?;
        // Again inside the gate, where few are at a time: a burst of guesses that all passed the
        // first check meets what the first of them failed at, and a burst of one password that is
        // right finds it proven by the first of them.
        self.check_throttle(attempt)?;
        if !self.recent().contains(credential, now) {
            if !accounts.check(attempt.user, attempt.password) {
                return Err(self.wrong(attempt));
            }
            self.recent().insert(credential.clone(), now);
        }
        drop(place);
        Ok(())
    }

    fn credential(
        &self,
        attempt: Attempt<'_>,
        accounts: &Accounts,
    ) -> Result<Credential, LoginRefusal> {
        let key = self.credential_key.as_ref().ok_or_else(|| {
            let what = "there were none when the server started".to_owned();
            LoginRefusal::Internal(IdentityError::Random(what))
        })?;
        let hash = accounts.hash_of(attempt.user);
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

    /// Opens a session by password, or by a certificate, and then it ends no later than that. It is
    /// proven who asks: only now may they learn that their access is revoked.
    pub(crate) fn open(
        &self,
        principal: &Principal,
        mark: Mark,
        certified: Option<&Certified>,
        now: DateTime<Utc>,
    ) -> Result<SignedIn, LoginRefusal> {
        let (limit, name) = certified.map(|c| (c.not_after, c.name)).unzip();
        let (id, span) = (SessionId::new(), self.rules.span(now, limit));
        let opened = session(principal, mark, id, span, name);
        let token = self.token(&opened).map_err(LoginRefusal::Internal)?;
        let mut sessions = self.sessions();
        // Under the lock: whoever revokes says so first and ends what is open then, so that a session
        // is either refused here or ended there.
        if self.revocations().of_principal(principal).is_some() {
            return Err(LoginRefusal::Revoked);
        }
        let dropped = sessions.open.add(&principal.id, id, span, now);
        if let Some((id, open)) = dropped
            && !open.is_ours
        {
            sessions.closed.close(id, open.span.ends, now);
        }
        Ok(SignedIn {
            session: opened,
            token,
            dropped: dropped.map(|(id, open)| session(principal, mark, id, open.span, None)),
        })
    }

    /// Makes a token for a session.
    pub(crate) fn token(&self, session: &Session) -> Result<Secret<String>, IdentityError> {
        let claims = Claims {
            id: session.id,
            account: session.principal.get().id.clone(),
            span: session.span(),
            mark: session.mark,
            certificate: session.certificate,
            run: self.run,
        };
        let bytes = serde_json::to_vec(&claims).map_err(|_| IdentityError::Seal)?;
        Ok(Secret::new(self.sealer.seal(PURPOSE, &bytes)?))
    }

    pub(crate) fn at_least_started(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.started)
    }

    fn recent(&self) -> MutexGuard<'_, RecentProofs> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub(crate) fn span(&self) -> Span {
        Span {
            issued: self.issued,
            renew_from: self.renew_from,
            expires: self.expires,
            ends: self.ends,
        }
    }
}

pub(crate) fn session(
    principal: &Principal,
    mark: Mark,
    id: SessionId,
    span: Span,
    certificate: Option<NameDigest>,
) -> Session {
    let principal = Principal {
        authenticated_at: Some(span.issued),
        ..principal.clone()
    };
    Session {
        id,
        principal: Authenticated::new(principal),
        issued: span.issued,
        expires: span.expires,
        ends: span.ends,
        renew_from: span.renew_from,
        certificate,
        mark,
        is_ours: true,
    }
}
