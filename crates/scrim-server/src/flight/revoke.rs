//! Taking access back at once, giving it again, and changing accounts.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;

use scrim_identity::{Accounts, Ended};
use scrim_ledger::{Event, LedgerError};
use scrim_model::{Revocation, RevocationScope, Revocations};

use super::Flight;
use crate::revoke::{AccessChange, Known, RevokeError, Revoked};

impl Flight {
    /// Takes access back. Streams have ended when this returns, and the ledger holds it.
    ///
    /// # Errors
    /// When there is no such thing to revoke. When the ledger did not take it, it holds all the
    /// same until the server stops.
    pub(crate) async fn revoke(&self, change: &AccessChange) -> Result<Revoked, RevokeError> {
        let before = self.authenticator.revocations();
        if let Some(before) = change.revoked_already(&self.known(), &before)? {
            let key = (before.revocation.scope, before.revocation.id.clone());
            if self.unrecorded().contains(&key) {
                self.record(&before.revocation, || ()).await?;
            }
            return Ok(before);
        }
        let revocation = change.revocation(self.clock.now());
        let streams = self.record(&revocation, || self.take_back(&revocation));
        let streams = streams.await?;
        tracing::warn!(scope = %revocation.scope, id = revocation.id, by = revocation.by, streams, "access is revoked");
        Ok(Revoked {
            revocation,
            already: false,
            streams,
        })
    }

    /// Writes a revocation down, and does what it says. It is queued before anything ends by it, so
    /// that the ledger tells the cause first; and not waited for, since access ends whatever becomes of
    /// the ledger. Whoever asked may go away meanwhile: it is written all the same.
    async fn record<T>(
        &self,
        revocation: &Revocation,
        act: impl FnOnce() -> T,
    ) -> Result<T, RevokeError> {
        let key = (revocation.scope, revocation.id.clone());
        self.unrecorded().insert(key.clone());
        let (ledger, event) = (self.ledger.clone(), Event::Revoked(revocation.clone()));
        let mut writing = Box::pin(async move { ledger.event(event).await });
        let queued = futures::poll!(&mut writing);
        let acted = act();
        let written = match queued {
            Poll::Ready(written) => written,
            Poll::Pending => match tokio::spawn(writing).await {
                Ok(written) => written,
                // The server stops.
                Err(_) => Err(LedgerError::Stopped),
            },
        };
        written.map_err(RevokeError::NotRecorded)?;
        self.unrecorded().remove(&key);
        Ok(acted)
    }

    fn unrecorded(&self) -> MutexGuard<'_, BTreeSet<(RevocationScope, String)>> {
        self.unrecorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn take_back(&self, revocation: &Revocation) -> usize {
        let ended = self.changing(|| {
            let now = self.clock.now();
            self.authenticator.revoke(revocation.clone(), now)
        });
        let streams = self.review();
        self.forget_all(&ended);
        streams
    }

    /// Gives access again that was taken back.
    ///
    /// # Errors
    /// When it was not taken back, or the ledger does not take it; then nothing changes.
    pub(crate) async fn reinstate(&self, change: &AccessChange) -> Result<Revocation, RevokeError> {
        change.may_reinstate(&self.authenticator.revocations())?;
        let now = self.clock.now();
        let recorded = self.ledger.event(change.reinstated(now)).await;
        recorded.map_err(RevokeError::Ledger)?;
        let ended = self.changing(|| self.authenticator.reinstate(change.scope, &change.id, now));
        tracing::warn!(scope = %change.scope, id = change.id, by = change.by, "access is given again");
        ended.ok_or_else(|| RevokeError::not_revoked(change, &self.authenticator.revocations()))
    }

    /// What is revoked.
    pub(crate) fn revocations(&self) -> Arc<Revocations> {
        self.authenticator.revocations()
    }

    /// Has other accounts hold. What ends by it: sessions of accounts that are gone or have another
    /// password, and results that their principal could not get as it is described now.
    ///
    /// # Errors
    /// When the ledger does not take that sessions are closed; they are all the same.
    pub(crate) async fn replace_accounts(&self, accounts: Accounts) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let ended = self.authenticator.replace_accounts(accounts, now);
        self.review();
        self.forget_all(&ended);
        for one in ended {
            let closed = Event::SessionClosed {
                principal: one.account,
                session: one.session,
                expires: one.ends,
            };
            self.ledger.event(closed).await?;
        }
        Ok(())
    }

    /// The authenticator and the engine agree on what is revoked, whoever changes it at the same
    /// time.
    fn changing<T>(&self, change: impl FnOnce() -> T) -> T {
        let held = self.revoking.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change();
        let revocations = self.authenticator.revocations();
        self.engine.revoke_agreements(revocations.agreements());
        drop(held);
        changed
    }

    fn forget_all(&self, ended: &[Ended]) {
        for one in ended {
            self.forget(one.session);
        }
    }

    fn known(&self) -> Known {
        let policy = self.engine.policy();
        let agreements = policy
            .map(|policy| -> BTreeSet<String> { policy.agreements().map(str::to_owned).collect() });
        Known::new(&self.authenticator.accounts(), agreements)
    }
}
