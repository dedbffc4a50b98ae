//! `scrim revoke` and `scrim reinstate`.

use std::fmt;
use std::sync::Arc;

use scrim_ledger::LedgerError;
use scrim_model::{Revocation, RevocationScope, SystemClock};
use scrim_server::Config;
use scrim_server::admin::{AccessReply, AccessRequest, AdminRequest};
use scrim_server::revoke::{AccessChange, Offline, OfflineError, RevokeError, change_offline};

use super::policy_versions::when;
use super::runtime;
use crate::admin::{Admin, own_name};
use crate::cli::Access;
use crate::out::Out;
use crate::outcome::Failure;
use crate::render::text;

/// Takes access back or gives it again: through the server that runs, else in its ledger.
pub(crate) fn run(what: Offline, arguments: &Access, out: &mut Out) -> Result<(), Failure> {
    let request = request(arguments)?;
    runtime()?.block_on(async {
        // Whoever names an address means a server that runs.
        if arguments.server.url.is_none()
            && let Some(revocation) = without_server(what, arguments, &request).await?
        {
            return tell(
                what,
                &revocation,
                "when the server starts: none runs now",
                out,
            );
        }
        let ask = match what {
            Offline::Revoke => AdminRequest::Revoke(request),
            Offline::Reinstate => AdminRequest::Reinstate(request),
        };
        let mut admin = Admin::connect(&arguments.server).await?;
        match admin.change_access(&ask).await? {
            AccessReply::Revoked(done) if done.already => {
                tell(what, &done.revocation, "already, and stays so", out)
            }
            AccessReply::Revoked(done) => {
                let ended = format!("at once; {} running results ended", done.streams);
                tell(what, &done.revocation, ended, out)
            }
            AccessReply::Reinstated(ended) => tell(what, &ended, "at once", out),
            AccessReply::Refused { problem, mistake } => {
                let problem = text::printable(&problem);
                Err(if mistake {
                    Failure::Usage(problem)
                } else {
                    Failure::Failed(problem)
                })
            }
        }
    })
}

fn request(arguments: &Access) -> Result<AccessRequest, Failure> {
    let scopes = [
        (RevocationScope::Principal, &arguments.principal),
        (RevocationScope::Organisation, &arguments.organisation),
        (RevocationScope::Agreement, &arguments.agreement),
        (RevocationScope::Session, &arguments.session),
    ];
    let named = scopes
        .into_iter()
        .find_map(|(scope, id)| Some((scope, id.clone()?)));
    let (scope, id) = named.ok_or_else(|| Failure::Usage("say whose access it is".to_owned()))?;
    Ok(AccessRequest {
        scope,
        id,
        reason: arguments.reason.clone(),
    })
}

/// `None` when a server runs, which holds the ledger.
async fn without_server(
    what: Offline,
    arguments: &Access,
    request: &AccessRequest,
) -> Result<Option<Revocation>, Failure> {
    let config = Config::load(&arguments.server.config)?;
    let change = AccessChange {
        scope: request.scope,
        id: request.id.clone(),
        reason: request.reason.clone(),
        by: format!("ledger ({})", own_name()),
    };
    match change_offline(&config, what, &change, Arc::new(SystemClock)).await {
        Ok(revocation) => Ok(Some(revocation)),
        Err(OfflineError::Change(RevokeError::Ledger(LedgerError::Locked { .. }))) => Ok(None),
        Err(OfflineError::Problems(problems)) => Err(Failure::Problems(problems)),
        Err(OfflineError::Change(error)) if error.is_mistake() => Err(Failure::Usage(error.told())),
        Err(OfflineError::Change(error)) => Err(Failure::failed(&error)),
    }
}

fn tell(
    what: Offline,
    revocation: &Revocation,
    how: impl fmt::Display,
    out: &mut Out,
) -> Result<(), Failure> {
    let done = match what {
        Offline::Revoke => "revoked",
        Offline::Reinstate => "reinstated",
    };
    let subject = subject(revocation);
    Ok(out.line(format_args!("{done}: {subject}, {how}"))?)
}

/// What a revocation is about.
pub(super) fn subject(revocation: &Revocation) -> String {
    let id = text::printable(&revocation.id);
    format!("{} {id}", revocation.scope)
}

/// A revocation in one line.
pub(crate) fn line(revocation: &Revocation) -> String {
    let (subject, since) = (subject(revocation), when(revocation.at));
    let (by, reason) = (
        text::printable(&revocation.by),
        text::printable(&revocation.reason),
    );
    format!("{subject} since {since} by {by}: {reason}")
}
