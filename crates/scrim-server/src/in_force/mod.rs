//! The policies in force: putting sets in force, and the one task that does so for whatever reason.

mod events;
mod folder;
mod handle;
mod keeper;
mod places;
mod start;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use scrim_document::{Problems, SourceFile};
use scrim_engine::Engine;
use scrim_ledger::{Event, Ledger, LedgerError, LoadCause};
use scrim_model::{Clock, Secret, TableName};
use scrim_policy::{LeftOut, PolicySet};
use tokio::sync::watch::{Receiver, Sender};

use crate::health::Health;
use crate::load::{self, Inputs, Loaded, OpenSources, Opening};
use crate::shadow::Shadow;
use crate::store::{PolicyStore, StoreError};
pub(crate) use folder::Found;
pub(crate) use handle::PoliciesHandle;
pub(crate) use keeper::Keeper;
pub(crate) use start::start;
pub(crate) use watch::Watch;

/// Problems that are told of one attempt; the files hold the rest.
const PROBLEMS_MAX: usize = 100;

/// The policies in force, and how they came to be.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The policy set.
    pub policy: Arc<PolicySet>,
    /// Its files, with their paths from the folder of policies on.
    pub files: Arc<[SourceFile]>,
    /// Since when it is in force.
    pub since: DateTime<Utc>,
    /// What caused it.
    pub cause: LoadCause,
    /// The operator who asked for it, if one did.
    pub by: Option<String>,
    /// While a rollback is in force: the version of the policies in the folder, which are not.
    pub folder: Option<String>,
    /// The contracts whose tables are not served, and why.
    pub left_out: Vec<LeftOut>,
    /// The last attempt to load policies, if it was refused.
    pub refused: Option<Refused>,
}

/// An attempt to load policies that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: DateTime<Utc>,
    /// The version of the policies, if they could be read.
    pub version: Option<String>,
    /// What caused the attempt.
    pub cause: LoadCause,
    /// The operator who asked for it, if one did.
    pub by: Option<String>,
    /// What is wrong, each with file, line and column.
    pub problems: Vec<String>,
}

/// Why policies are not put in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// What is wrong with them.
    #[error("{0}")]
    Problems(Problems),
    /// They cannot be kept, or are not there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be written down that they are in force.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<Problems> for LoadError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl LoadError {
    /// Whether the same policies may be put in force a moment later: a disk that was full may have
    /// room by then, a ledger that broke stays so.
    fn is_passing(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Problems(_) | Self::Ledger(_) => false,
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => lines(problems),
            Self::Store(_) | Self::Ledger(_) => vec![self.to_string()],
        }
    }
}

/// Problems as lines, each with its place; of very many the first.
pub(crate) fn lines(problems: &Problems) -> Vec<String> {
    let mut lines: Vec<_> = problems
        .iter()
        .take(PROBLEMS_MAX)
        .map(ToString::to_string)
        .collect();
    if problems.len() > PROBLEMS_MAX {
        lines.push(format!("… and {} more", problems.len() - PROBLEMS_MAX));
    }
    lines
}

/// Why policies are loaded, as the ledger says it.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) cause: LoadCause,
    pub(crate) by: Option<String>,
}

impl From<LoadCause> for Why {
    fn from(cause: LoadCause) -> Self {
        Self { cause, by: None }
    }
}

/// What it takes to put policies in force.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) inputs: Inputs,
    pub(crate) root_key: Secret<[u8; 32]>,
    pub(crate) engine: Engine,
    pub(crate) ledger: Ledger,
    pub(crate) store: PolicyStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Health,
    /// The policies that are read whenever those in force are replaced, and not enforced.
    pub(crate) shadow: Option<Shadow>,
}

/// A policy set that is kept and could be in force.
#[derive(Debug)]
struct Made {
    loaded: Loaded,
    /// Its files, each with the SHA-256 of its text.
    hashes: Vec<(String, String)>,
}

/// What is in force, and what it takes to replace it.
#[derive(Debug)]
pub(crate) struct InForce {
    means: Means,
    policies: Sender<Policies>,
    left_out: Sender<Vec<LeftOut>>,
    /// The sources of what is served.
    open: OpenSources,
    /// Tables of which the log says what their contracts do not list.
    told: BTreeSet<TableName>,
    /// What was refused last and is in the ledger, and to whom; the same again is no news.
    refused_before: Option<(Option<String>, String)>,
}

impl Means {
    /// A second folder of policies, which is not enforced.
    pub(crate) fn shadow(&self, folder: &Path) -> Shadow {
        let (engine, ledger) = (self.engine.clone(), self.ledger.clone());
        Shadow::new(folder, &self.inputs, self.root_key.clone(), engine, ledger)
    }

    /// Makes a policy set of files, and keeps it.
    async fn make(
        &self,
        files: &[SourceFile],
        before: (&OpenSources, Opening),
    ) -> Result<Made, LoadError> {
        let folder = &self.inputs.policies;
        let files = files.iter().map(|file| load::in_folder(folder, file));
        let key = self.root_key.clone();
        let loaded = load::set(files.collect(), &self.inputs, key, &self.engine, before).await?;
        let version = loaded.world.policy.version().to_owned();
        let (store, files) = (self.store.clone(), loaded.files.clone());
        let put = load::aside(&self.inputs, move || store.put(&version, &files));
        let hashes = put.await??;
        Ok(Made { loaded, hashes })
    }

    /// Writes down what is in force from now on, then lets it decide.
    async fn enforce(
        &self,
        Made { loaded, hashes }: Made,
        why: &Why,
        folder: Option<&str>,
    ) -> Result<(Policies, OpenSources), LedgerError> {
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let policy = Arc::clone(&loaded.world.policy);
        // In force only once it is known which policies are in force.
        let event = Event::PolicyLoaded {
            version: policy.version().to_owned(),
            files: hashes,
            cause: why.cause,
            by: why.by.clone(),
            folder: folder.map(str::to_owned),
        };
        self.ledger.event(event).await?;
        self.engine.load(loaded.world);
        if let Some(shadow) = &self.shadow {
            shadow.read_again();
        }
        let policies = Policies {
            policy,
            files: loaded.files.into(),
            since: self.clock.now(),
            cause: why.cause,
            by: why.by.clone(),
            folder: folder.map(str::to_owned),
            left_out: loaded.left_out,
            refused: None,
        };
        Ok((policies, loaded.open))
    }
}

impl InForce {
    /// What is in force, as it changes.
    pub(crate) fn policies(&self) -> Receiver<Policies> {
        self.policies.subscribe()
    }

    /// What is left out, after each attempt to serve it.
    pub(crate) fn left_out(&self) -> Receiver<Vec<LeftOut>> {
        self.left_out.subscribe()
    }

    /// Puts files in force, whole or not at all.
    async fn load(
        &mut self,
        files: &[SourceFile],
        why: &Why,
        folder: Option<&str>,
        opening: Opening,
    ) -> Result<(), LoadError> {
        let made = self.means.make(files, (&self.open, opening)).await?;
        self.replace(made, why, folder).await?;
        Ok(())
    }

    /// Lets a policy set decide from now on. When the ledger does not take it, what was in force
    /// stays.
    async fn replace(
        &mut self,
        made: Made,
        why: &Why,
        folder: Option<&str>,
    ) -> Result<(), LedgerError> {
        self.tell_unlisted(&made.loaded.unlisted);
        let (mut policies, open) = self.means.enforce(made, why, folder).await?;
        let version = policies.policy.version();
        tracing::info!(
            version,
            cause = %why.cause,
            by = why.by,
            rollback = folder.is_some(),
            "policies are in force"
        );
        self.open = open;
        self.refused_before = None;
        if why.cause == LoadCause::SourceHealed {
            let before = self.policies.borrow();
            policies = Policies {
                since: before.since,
                cause: before.cause,
                by: before.by.clone(),
                refused: before.refused.clone(),
                ..policies
            };
        }
        let left_out = policies.left_out.clone();
        self.policies.send_replace(policies);
        self.tell_health().await;
        let before = self.left_out.borrow().clone();
        // Whoever waits for an attempt to serve what is left out is told of no other load.
        if why.cause == LoadCause::SourceHealed || names(&before) != names(&left_out) {
            self.left_out.send_replace(left_out.clone());
        }
        log_left_out(&before, &left_out);
        Ok(())
    }

    fn tell_unlisted(&mut self, unlisted: &BTreeMap<TableName, Vec<String>>) {
        for (table, columns) in unlisted {
            if self.told.insert(table.clone()) {
                let columns = columns.join(", ");
                tracing::info!(%table, columns, "what the contract does not list stays hidden");
            }
        }
    }

    /// Tells everybody whom it concerns that an attempt was refused: the log, the ledger once, the
    /// health service, those who ask for the status. The last two hear of the folder only: an earlier
    /// version that cannot be taken back changes nothing.
    async fn refuse(&mut self, version: Option<String>, why: &Why, error: &LoadError) -> Refused {
        let refused = Refused {
            at: self.means.clock.now(),
            version,
            cause: why.cause,
            by: why.by.clone(),
            problems: error.lines(),
        };
        let said = refused.problems.join("\n");
        tracing::warn!(
            cause = %why.cause,
            by = why.by,
            "the policies cannot be loaded, those in force stay: {said}"
        );
        let news = Some((refused.by.clone(), said));
        if self.refused_before != news {
            if let Err(error) = write_refusal(&self.means.ledger, &refused).await {
                tracing::error!(%error, "a refused load is not in the ledger");
            }
            self.refused_before = news;
        }
        if why.cause == LoadCause::Rollback {
            return refused;
        }
        let told = refused.clone();
        self.policies
            .send_modify(|policies| policies.refused = Some(told));
        self.tell_health().await;
        refused
    }

    /// What was refused is no longer there: the folder says again what is in force.
    async fn forget_refused(&mut self) {
        let forget = |policies: &mut Policies| policies.refused.take().is_some();
        if self.policies.send_if_modified(forget) {
            tracing::info!("the folder of policies is again what is in force");
            self.tell_health().await;
        }
    }

    async fn tell_health(&self) {
        let (sources, policies) = {
            let policies = self.policies.borrow();
            let settled = policies.refused.is_none() && policies.folder.is_none();
            (policies.left_out.is_empty(), settled)
        };
        self.means.health.tell(sources, policies).await;
    }

    /// Whether what was found in the folder is what was acted upon before.
    fn is_known(&self, found: &Found) -> bool {
        let policies = self.policies.borrow();
        let acted = policies.folder.as_deref();
        found.version() == acted.unwrap_or_else(|| policies.policy.version())
    }
}

/// Writes down that a load was refused.
async fn write_refusal(ledger: &Ledger, refused: &Refused) -> Result<(), LedgerError> {
    let event = Event::PolicyRefused {
        version: refused.version.clone(),
        cause: refused.cause,
        by: refused.by.clone(),
        problems: refused.problems.join("\n"),
    };
    ledger.event(event).await
}

fn log_left_out(before: &[LeftOut], after: &[LeftOut]) {
    if !after.is_empty() {
        tracing::warn!("{}", described(after));
    }
    if after.is_empty() != before.is_empty() {
        let health = if after.is_empty() {
            "whole"
        } else {
            "degraded"
        };
        tracing::warn!(
            left_out = after.len(),
            "the health of the sources is {health}"
        );
    }
}

fn names(left_out: &[LeftOut]) -> BTreeSet<&str> {
    left_out.iter().map(|one| one.contract.as_str()).collect()
}

fn described(left_out: &[LeftOut]) -> String {
    let one = |one: &LeftOut| format!("{} is left out: {}", one.table, one.problems);
    left_out.iter().map(one).collect::<Vec<_>>().join("\n")
}
