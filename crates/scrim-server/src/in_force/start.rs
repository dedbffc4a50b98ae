//! The policies with which a server starts.

use scrim_document::Problems;
use scrim_ledger::{Event, LoadCause, Recovery, Rollback};
use tokio::sync::watch::Sender;

use super::folder::Found;
use super::{InForce, LoadError, Made, Means, Refused, Why, log_left_out, write_refusal};
use crate::load::{self, OpenSources, Opening};
use crate::store::StoreError;

/// Puts the first policy set in force: what the folder says, or the version that was taken back if the
/// folder has not changed since.
pub(crate) async fn start(
    means: Means,
    recovery: &Recovery,
) -> Result<(InForce, Problems), LoadError> {
    let found = Found::read(&means.inputs).await;
    let rollback = recovery.rollback.as_ref();
    let rollback = rollback.filter(|rollback| rollback.folder == found.version());
    let why = Why {
        cause: LoadCause::Start,
        by: rollback.and_then(|rollback| rollback.by.clone()),
    };
    let first = first(&means, &found, rollback).await;
    let made = match first {
        Ok(made) => made,
        Err(error) => {
            tell_refused(&means, recovery, &found, &why, &error).await;
            return Err(error);
        }
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    means.ledger.event(Event::ServerStarted { version }).await?;
    let warnings = made.loaded.warnings.clone();
    let unlisted = made.loaded.unlisted.clone();
    let folder = rollback.map(|rollback| rollback.folder.as_str());
    let (policies, open) = means.enforce(made, &why, folder).await?;
    if let Some(Rollback { version, .. }) = rollback {
        tracing::warn!(
            version,
            "a rollback is in force: the folder of policies has not changed since"
        );
    }
    let left_out = policies.left_out.clone();
    log_left_out(&[], &left_out);
    let mut in_force = InForce {
        means,
        policies: Sender::new(policies),
        left_out: Sender::new(left_out),
        open,
        told: std::collections::BTreeSet::new(),
        refused_before: None,
    };
    in_force.tell_unlisted(&unlisted);
    in_force.tell_health().await;
    Ok((in_force, warnings))
}

async fn first(
    means: &Means,
    found: &Found,
    rollback: Option<&Rollback>,
) -> Result<Made, LoadError> {
    let before = OpenSources::default();
    let files = match rollback {
        Some(rollback) => {
            let files = means.store.get(&rollback.version);
            files.map_err(|error| lost(means, rollback, &error))?
        }
        None => found.files.clone()?,
    };
    means.make(&files, (&before, Opening::Everything)).await
}

/// What was rolled back to is not there any more. What the folder says was taken back, so it does not
/// come into force instead.
fn lost(means: &Means, rollback: &Rollback, error: &StoreError) -> Problems {
    let version = &rollback.version;
    let message = format!("the rollback to {version} holds, and it cannot be had: {error}");
    let help = "restore the folder `policies` of the ledger, or end the rollback: change a file here, \
                if only a comment";
    let problem = load::about(&means.inputs.policies, message);
    problem.with_help(help).into()
}

/// A server that is started again and again over the same mistake writes it down once.
async fn tell_refused(
    means: &Means,
    recovery: &Recovery,
    found: &Found,
    why: &Why,
    error: &LoadError,
) {
    let refused = Refused {
        at: means.clock.now(),
        version: found.known_version(),
        cause: why.cause,
        by: None,
        problems: error.lines(),
    };
    let said = refused.problems.join("\n");
    // The ledger holds the beginning of what was said.
    let before = recovery.refused_policies.as_ref();
    if before.is_some_and(|before| said.starts_with(before.as_str())) {
        return;
    }
    if let Err(error) = write_refusal(&means.ledger, &refused).await {
        tracing::error!(%error, "a refused load is not in the ledger");
    }
}
