//! The lowered guards of a world, for as long as it lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Lowered;

/// How many are kept.
const KEPT_MAX: usize = 1_024;

/// The guards that one world has lowered, by the hash of their decision.
#[derive(Debug, Default)]
pub(crate) struct KeptGuards(Mutex<BTreeMap<String, Arc<Lowered>>>);

impl KeptGuards {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Lowered>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guard of a decision; whether its look-up tables are still the same is not looked at.
    pub(crate) fn get(&self, decision_hash: &str) -> Option<Arc<Lowered>> {
        self.lock().get(decision_hash).cloned()
    }

    /// Keeps the newest guard of a decision.
    pub(crate) fn keep(&self, lowered: &Arc<Lowered>) {
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        // What older snapshots hold must not stay in memory with guards that nobody asks for.
        kept.retain(|_, other| other.agrees(lowered));
        kept.insert(lowered.decision_hash.to_string(), Arc::clone(lowered));
    }
}
