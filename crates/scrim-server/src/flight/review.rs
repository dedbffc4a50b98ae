//! No stream outlives what it rests on: while any runs, each is looked at again and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use scrim_identity::{Session, TokenRefusal};
use scrim_model::{Code, Refusal};

use super::Flight;
use super::running::Basis;

/// How long after one look the next one follows; a swap of the policies does not wait for it.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a stream ends when its session is closed.
pub(super) fn session_closed() -> Refusal {
    Refusal::new(
        Code::Revoked,
        "the session of this result has ended; sign in and run the query again",
    )
}

impl Flight {
    /// Looks at the streams for as long as the service lives.
    pub(crate) async fn keep_watch(self: Arc<Self>) {
        let (mut count, mut worlds) = (self.streams.count(), self.engine.worlds());
        while count.wait_for(|count| *count > 0).await.is_ok() {
            let flight = Arc::clone(&self);
            // On a thread where it holds nobody up, however many streams there are.
            if let Err(error) = tokio::task::spawn_blocking(move || flight.review()).await {
                // Only while the server stops: each look contains its own panics.
                tracing::error!(%error, "the running results could not be looked at");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                Ok(()) = worlds.changed() => {}
            }
        }
    }

    /// Ends the streams that could not show now what they show; how many there were. Each is
    /// decided again, which takes microseconds.
    pub(crate) fn review(&self) -> usize {
        let now = self.clock.now();
        let bases = self.streams.flowing();
        let ended = bases.iter().filter(|basis| self.end_lapsed(basis, now));
        ended.count()
    }

    fn end_lapsed(&self, basis: &Basis, now: DateTime<Utc>) -> bool {
        let look = AssertUnwindSafe(|| self.lapsed(basis, now));
        // What cannot be decided is not granted.
        let lapsed = catch_unwind(look)
            .unwrap_or_else(|_| Some(right_ended("it could not be decided again")));
        let Some(refusal) = lapsed else {
            return false;
        };
        basis.valve.shut(&refusal);
        true
    }

    /// Why a stream may not go on.
    fn lapsed(&self, basis: &Basis, now: DateTime<Utc>) -> Option<Refusal> {
        let session = basis.session.get()?;
        let current = match self.authenticator.current(session, now) {
            Ok(current) => current,
            Err(refused) => return Some(self.without_session(session, refused)),
        };
        let rights = basis.rights.get()?;
        let reason = self.engine.lapsed(rights, &current.principal, now)?;
        Some(right_ended(&reason))
    }

    fn without_session(&self, session: &Session, refused: TokenRefusal) -> Refusal {
        match refused {
            TokenRefusal::Expired | TokenRefusal::Closed => session_closed(),
            TokenRefusal::Invalid => Refusal::new(
                Code::Revoked,
                "the account of this result has changed; sign in and run the query again",
            )
            .with_detail("the account is gone or has another password"),
            TokenRefusal::Revoked | TokenRefusal::SessionRevoked => {
                let revocations = self.authenticator.revocations();
                let principal = session.principal.get();
                let revocation = revocations
                    .of_principal(principal)
                    .or_else(|| revocations.of_session(session.id));
                let reason = revocation.map_or_else(String::new, |one| {
                    format!("the {} `{}` was revoked: {}", one.scope, one.id, one.reason)
                });
                Refusal::from(refused).with_detail(reason)
            }
        }
    }
}

/// The client learns that the right ended, the owner's record why.
fn right_ended(reason: &str) -> Refusal {
    Refusal::new(
        Code::Revoked,
        "the right to this result has ended; run the query again for what you may see now",
    )
    .with_detail(reason)
}
