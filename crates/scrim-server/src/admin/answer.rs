//! Answering operators.

use arrow_flight::Action;
use bytes::Bytes;
use scrim_identity::TokenRefusal;
use scrim_ledger::LoadCause;
use scrim_model::{Code, Refusal};
use serde::Serialize;
use tonic::Status;

use super::token::Shown;
use super::{
    ACTION, AccessReply, AccessRequest, AdminRequest, Document, DocumentsReply, LoadReply,
    Operator, decode,
};
use crate::flight::{Flight, malformed};
use crate::in_force::{Policies, Refused};
use crate::revoke::{AccessChange, RevokeError};
use crate::status::to_status;

/// Bytes of one message of a reply; the reply is all of them in a row.
const PART_BYTES: usize = 1 << 20;

impl Flight {
    /// Answers whoever showed an operator's token; for anything but the request that it was made for
    /// it is no token.
    pub(crate) async fn administer(
        &self,
        shown: Shown,
        action: &Action,
    ) -> Result<Vec<Bytes>, Status> {
        let operator = Some(shown)
            .filter(|_| action.r#type == ACTION)
            .and_then(|shown| shown.asks(&action.body, &self.used, self.clock.now()))
            .ok_or_else(|| to_status(&TokenRefusal::Invalid.into(), None))?;
        self.answer_operator(&operator, &action.body).await
    }

    /// Answers a request of an operator: with messages that every client accepts, all of which in a
    /// row are the reply.
    pub(crate) async fn answer_operator(
        &self,
        operator: &Operator,
        body: &[u8],
    ) -> Result<Vec<Bytes>, Status> {
        self.reply_to(operator, body).await.map(parts)
    }

    async fn reply_to(&self, operator: &Operator, body: &[u8]) -> Result<Vec<u8>, Status> {
        let request: AdminRequest = decode(body)
            .map_err(|e| malformed(&format!("this is no request of an operator: {e}")))?;
        tracing::info!(%operator, ?request, "an operator asks");
        let by = Some(operator.to_string());
        match request {
            AdminRequest::Status => encode(&self.status()),
            AdminRequest::Reload => {
                let outcome = self.policies.reload(LoadCause::Command, by).await;
                encode(&load_reply(outcome)?)
            }
            AdminRequest::Rollback { version } => {
                let outcome = self.policies.roll_back(version, by).await;
                encode(&load_reply(outcome)?)
            }
            AdminRequest::Documents => encode(&documents(&self.policies.now())),
            AdminRequest::Revoke(access) => {
                let revoked = self.revoke(&change(access, operator)).await;
                encode(&access_reply(revoked.map(AccessReply::Revoked)))
            }
            AdminRequest::Reinstate(access) => {
                let given = self.reinstate(&change(access, operator)).await;
                encode(&access_reply(given.map(AccessReply::Reinstated)))
            }
        }
    }
}

fn change(AccessRequest { scope, id, reason }: AccessRequest, by: &Operator) -> AccessChange {
    let by = by.to_string();
    AccessChange {
        scope,
        id,
        reason,
        by,
    }
}

fn access_reply(outcome: Result<AccessReply, RevokeError>) -> AccessReply {
    outcome.unwrap_or_else(|error| AccessReply::Refused {
        problem: error.told(),
        mistake: error.is_mistake(),
    })
}

/// `None` when there was no answer, as the server is stopping.
fn load_reply(outcome: Option<Result<Policies, Refused>>) -> Result<LoadReply, Status> {
    match outcome {
        Some(Ok(policies)) => Ok(LoadReply::Loaded((&policies).into())),
        Some(Err(refused)) => Ok(LoadReply::Refused((&refused).into())),
        None => {
            let stopping = Refusal::new(Code::Stopping, "the server is stopping");
            Err(to_status(&stopping, None))
        }
    }
}

fn documents(policies: &Policies) -> DocumentsReply {
    let files = policies.files.iter().map(|file| Document {
        path: file.path().to_owned(),
        text: file.text().to_owned(),
    });
    DocumentsReply {
        version: policies.policy.version().to_owned(),
        files: files.collect(),
    }
}

fn encode(reply: &impl Serialize) -> Result<Vec<u8>, Status> {
    serde_json::to_vec(reply)
        .map_err(|e| to_status(&Refusal::internal(format!("encode a reply: {e}")), None))
}

fn parts(reply: Vec<u8>) -> Vec<Bytes> {
    let mut rest = Bytes::from(reply);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        parts.push(rest.split_to(PART_BYTES.min(rest.len())));
    }
    parts
}
