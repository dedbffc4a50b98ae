//! What a running query rests on, and whether it still stands.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use scrim_identity::Authenticated;
use scrim_model::{Principal, TableName};
use scrim_policy::{Decision, PolicySet};
use tokio::sync::watch;

use crate::ask::Ask;
use crate::engine::{Engine, Shared};
use crate::query::{Bound, Query};
use crate::world::World;

/// The agreements that are revoked, with the times since when.
pub(crate) type Revoked = Arc<BTreeMap<String, DateTime<Utc>>>;

/// What a query was bound under: who asked, in what circumstances, and what its tables were
/// decided to show.
#[derive(Debug)]
pub struct Rights {
    world: Arc<World>,
    ask: Ask,
    tables: Vec<TableName>,
    /// What the policies decided at the start, without what was taken away outside, which is asked
    /// about once; made when they are first compared with, since most queries have ended by then.
    decided: OnceLock<Vec<Arc<Decision>>>,
}

impl Rights {
    fn decided(&self) -> &[Arc<Decision>] {
        self.decided.get_or_init(|| {
            let tables = self.tables.iter();
            let decided = tables.map(|name| self.world.decide_alone(&self.ask, name));
            decided.collect()
        })
    }
}

impl Query<Bound> {
    /// What the query rests on, to be looked at again while it runs.
    pub fn rights(&self) -> Rights {
        let common = &self.common;
        Rights {
            world: Arc::clone(&common.world),
            ask: common.ask.clone(),
            tables: common.decisions.keys().cloned().collect(),
            decided: OnceLock::new(),
        }
    }
}

impl Engine {
    /// Why a query that runs could not show what it shows if it began now, in an owner's words;
    /// `None` while it could.
    ///
    /// `principal` is what is known of the principal now. The circumstances are those of the start,
    /// its recent activity too: a query must not end because of what it has read itself.
    pub fn lapsed(
        &self,
        rights: &Rights,
        principal: &Authenticated<Principal>,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let Ok(world) = self.shared.world() else {
            return Some("no policies are in force".to_owned());
        };
        let principal = principal.get();
        let mut context = rights.ask.context.clone();
        context.revoked = self.shared.revoked(&world.policy, &principal.org);
        let settings = &rights.ask.settings;
        rights.decided().iter().find_map(|before| {
            let policy = &world.policy;
            policy.lapsed(before, principal, &context, settings, now)
        })
    }

    /// Has these agreements, and no others, grant nothing from the next decision on.
    pub fn revoke_agreements(&self, revoked: BTreeMap<String, DateTime<Utc>>) {
        let held = self.shared.revoked.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Arc::new(revoked);
    }

    /// Tells of each world that was put in force.
    pub fn worlds(&self) -> watch::Receiver<u64> {
        self.shared.worlds.subscribe()
    }

    /// The policy set in force.
    pub fn policy(&self) -> Option<Arc<PolicySet>> {
        let world = self.shared.world().ok()?;
        Some(Arc::clone(&world.policy))
    }
}

impl Shared {
    /// The revoked agreements of an organisation.
    pub(crate) fn revoked(
        &self,
        policy: &PolicySet,
        organisation: &str,
    ) -> BTreeMap<String, DateTime<Utc>> {
        let all: Revoked = {
            let held = self.revoked.read();
            Arc::clone(&held.unwrap_or_else(PoisonError::into_inner))
        };
        let of = all
            .iter()
            .filter(|(id, _)| policy.has_agreement(id, organisation));
        of.map(|(id, at)| (id.clone(), *at)).collect()
    }
}
