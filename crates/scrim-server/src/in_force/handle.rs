//! How others ask for policies to be put in force, and learn which are.

use scrim_ledger::LoadCause;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Policies, Refused, Why};

/// Requests that wait; each takes as long as a load, and operators are few.
const REQUESTS_MAX: usize = 16;

/// What is asked of the keeper, with where to answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ask: Ask,
    pub(crate) why: Why,
    pub(crate) reply: oneshot::Sender<Result<Policies, Refused>>,
}

/// What can be asked for.
#[derive(Debug)]
pub(crate) enum Ask {
    /// What the folder says now.
    Folder,
    /// The version that begins so.
    Version(String),
}

/// Asks for policies to be put in force, and tells which are.
#[derive(Debug, Clone)]
pub(crate) struct PoliciesHandle {
    requests: mpsc::Sender<Request>,
    policies: watch::Receiver<Policies>,
}

impl PoliciesHandle {
    pub(crate) fn new(policies: watch::Receiver<Policies>) -> (Self, mpsc::Receiver<Request>) {
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        (Self { requests, policies }, asked)
    }

    /// What is in force now.
    pub(crate) fn now(&self) -> Policies {
        self.policies.borrow().clone()
    }

    /// What is in force, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Policies> {
        self.policies.clone()
    }

    /// Puts in force what the folder says now. `None` when the server is stopping.
    pub(crate) async fn reload(
        &self,
        cause: LoadCause,
        by: Option<String>,
    ) -> Option<Result<Policies, Refused>> {
        self.ask(Ask::Folder, Why { cause, by }).await
    }

    /// Puts an earlier version in force. `None` when the server is stopping.
    pub(crate) async fn roll_back(
        &self,
        version: String,
        by: Option<String>,
    ) -> Option<Result<Policies, Refused>> {
        let cause = LoadCause::Rollback;
        self.ask(Ask::Version(version), Why { cause, by }).await
    }

    async fn ask(&self, ask: Ask, why: Why) -> Option<Result<Policies, Refused>> {
        let (reply, answer) = oneshot::channel();
        let request = Request { ask, why, reply };
        self.requests.send(request).await.ok()?;
        answer.await.ok()
    }
}
