//! Putting policy sets in force, and trying again to serve what a set had to leave out.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scrim_document::Problems;
use scrim_engine::Engine;
use scrim_ledger::{Event, Ledger, LedgerError};
use scrim_model::{Secret, TableName};
use scrim_policy::LeftOut;
use tokio::sync::{Notify, watch};

use crate::health::Health;
use crate::load::{self, Inputs, Loaded};
use crate::shadow::Shadow;

const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// What is in force, and what it takes to replace it.
#[derive(Debug)]
pub(crate) struct InForce {
    inputs: Inputs,
    root_key: Secret<[u8; 32]>,
    engine: Engine,
    ledger: Ledger,
    health: Health,
    shadow: Option<Shadow>,
    version: String,
    left_out: watch::Sender<Vec<LeftOut>>,
    /// Tables of which the log says what their contracts do not list.
    told: BTreeSet<TableName>,
    /// What the last attempt said; the same again is no news.
    said: String,
}

impl InForce {
    /// Nothing is in force yet.
    pub(crate) fn new(
        inputs: Inputs,
        root_key: Secret<[u8; 32]>,
        engine: Engine,
        ledger: Ledger,
        health: Health,
    ) -> Self {
        Self {
            inputs,
            root_key,
            engine,
            ledger,
            health,
            shadow: None,
            version: String::new(),
            left_out: watch::Sender::new(Vec::new()),
            told: BTreeSet::new(),
            said: String::new(),
        }
    }

    /// Has a second folder read whenever policies are replaced.
    pub(crate) fn with_shadow(mut self, folder: Option<&Path>) -> Self {
        let (inputs, key) = (&self.inputs, &self.root_key);
        let shadow = |folder| {
            let (engine, ledger) = (self.engine.clone(), self.ledger.clone());
            Shadow::new(folder, inputs, key.clone(), engine, ledger)
        };
        self.shadow = folder.map(shadow);
        self
    }

    /// What is left out, after each attempt to serve it.
    pub(crate) fn left_out(&self) -> watch::Receiver<Vec<LeftOut>> {
        self.left_out.subscribe()
    }

    /// Reads everything anew.
    ///
    /// # Errors
    /// All problems with which there is no policy set.
    pub(crate) async fn load(&self) -> Result<Loaded, Problems> {
        load::policies(&self.inputs, self.root_key.clone(), &self.engine).await
    }

    /// Lets a policy set decide from now on.
    ///
    /// # Errors
    /// When the ledger does not take it; then what was in force stays.
    pub(crate) async fn replace(&mut self, loaded: Loaded) -> Result<(), LedgerError> {
        let version = loaded.world.policy.version().to_owned();
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        for (table, columns) in &loaded.unlisted {
            if self.told.insert(table.clone()) {
                let columns = columns.join(", ");
                tracing::info!(%table, columns, "what the contract does not list stays hidden");
            }
        }
        // In force only once it is known which policies are in force.
        let event = Event::PolicyLoaded {
            version: version.clone(),
            files: loaded.files,
        };
        self.ledger.event(event).await?;
        self.engine.load(loaded.world);
        if let Some(shadow) = &self.shadow {
            shadow.read_again();
        }
        self.version = version;
        let before = self.left_out.send_replace(loaded.left_out);
        let after = self.left_out.borrow().clone();
        self.health.tell(after.is_empty()).await;
        if !after.is_empty() {
            self.say(&described(&after));
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
        Ok(())
    }

    /// Tries to serve what is left out, after pauses that grow, or when it is told to, until
    /// everything is served.
    pub(crate) async fn heal(mut self, at_once: Arc<Notify>) {
        let mut pause = PAUSE_MIN;
        while !self.left_out.borrow().is_empty() {
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = at_once.notified() => {}
            }
            pause = if self.attempt().await {
                PAUSE_MIN
            } else {
                PAUSE_MAX.min(pause * 2)
            };
        }
    }

    /// Whether there was any progress. Whoever waits for the attempt is told that it was made.
    async fn attempt(&mut self) -> bool {
        let failed = match self.load().await {
            Ok(loaded) if self.is_progress(&loaded) => match self.replace(loaded).await {
                Ok(()) => return true,
                Err(error) => format!("the policies in force stay: {error}"),
            },
            Ok(loaded) => {
                let described = described(&loaded.left_out);
                if names(&loaded.left_out) == names(&self.left_out.borrow()) {
                    self.left_out.send_replace(loaded.left_out);
                }
                described
            }
            Err(problems) => {
                format!("the policies cannot be loaded anew, those in force stay: {problems}")
            }
        };
        self.say(&failed);
        self.left_out.send_modify(|_| {});
        false
    }

    /// Something is served again, or other documents hold, and nothing is lost: a source that is
    /// away for a moment must not take its table along.
    fn is_progress(&self, loaded: &Loaded) -> bool {
        let left_out = self.left_out.borrow();
        let (before, after) = (names(&left_out), names(&loaded.left_out));
        let news = after.len() < before.len() || loaded.world.policy.version() != self.version;
        news && after.is_subset(&before)
    }

    fn say(&mut self, text: &str) {
        if self.said != text {
            tracing::warn!("{text}");
            text.clone_into(&mut self.said);
        }
    }
}

fn names(left_out: &[LeftOut]) -> BTreeSet<&str> {
    left_out.iter().map(|one| one.contract.as_str()).collect()
}

fn described(left_out: &[LeftOut]) -> String {
    let one = |one: &LeftOut| format!("{} is left out: {}", one.table, one.problems);
    left_out.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A pause that is up to half as long again, so that servers that broke together do not try
/// together.
fn jittered(pause: Duration) -> Duration {
    // Without randomness from the system there is none, which harms nobody here.
    let random = getrandom::u32().unwrap_or_default();
    let more = pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
    PAUSE_MAX.min(pause + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_14_pauses_have_a_lower_and_an_upper_bound() {
        for pause in [PAUSE_MIN, PAUSE_MIN * 8, PAUSE_MAX] {
            for _ in 0..100 {
                let jittered = jittered(pause);
                assert!(pause <= jittered && jittered <= PAUSE_MAX, "{jittered:?}");
            }
        }
    }
}
