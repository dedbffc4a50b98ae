//! The queries of a ledger, decided again under proposed policies: whose results would change.
//!
//! The hash of a decision is equal exactly when the same is shown, so most queries are done with one
//! decision and one look at the record. Where the hashes differ, the policies of then, if they are
//! there, make their decision again, and both are compared by logic; else what the record holds is
//! compared with the new decision by what it says.
//!
//! A name without a schema belongs to the first one that its principal sees, so policies can give it
//! to another table: the statement's names are looked up again, too.

mod affects;
mod report;
mod run;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use scrim_engine::{Ask, TimeZone};
use scrim_identity::Accounts;
use scrim_ledger::{Damage, Facts, Filter, Record, TableUse};
use scrim_model::TableName;
use scrim_policy::compare::{self, Change};
use scrim_policy::{Decision, Verdict};

use super::damaged;
use super::sets::{Sets, Then, is_left_out};
use crate::local::Local;
use crate::outcome::Failure;
use affects::affects;
use report::Fate;
pub(crate) use report::{Report, Style};
use run::Runs;

/// Comparisons that are remembered.
const COMPARED_MAX: usize = 10_000;

/// How two decisions were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By logic: the policies of then made their decision again.
    Logic,
    /// By what the record says alone.
    Words,
}

/// A change, and how it was found; none when the same is shown.
type Compared = Option<(Arc<Change>, How)>;

/// Decides the queries of a ledger again.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    new: &'a Local,
    sets: Sets,
    /// By the hashes of both decisions.
    compared: BTreeMap<(String, String), Compared>,
    report: Report,
}

impl<'a> Replay<'a> {
    /// Under these policies; `run` also runs the statements.
    pub(crate) fn new(sets: Sets, new: &'a Local, since: Option<DateTime<Utc>>, run: bool) -> Self {
        Self {
            report: Report::new(new, since, run.then(Runs::default)),
            new,
            sets,
            compared: BTreeMap::new(),
        }
    }

    /// Takes every query of a ledger.
    pub(crate) async fn of(mut self, ledger: &Path, filter: Filter) -> Result<Report, Failure> {
        let damaged = damaged(ledger);
        for record in scrim_ledger::read(ledger, filter).map_err(&damaged)? {
            let record = record.map_err(&damaged)?;
            self.record(&record).await.map_err(&damaged)?;
        }
        Ok(self.report)
    }

    async fn record(&mut self, record: &Record) -> Result<(), Damage> {
        let Some(facts) = &record.facts else {
            self.report.count_without_facts();
            return Ok(());
        };
        let moved = self.moved(record, facts).await;
        let mut fate = if moved.is_empty() {
            Fate::Same
        } else {
            Fate::Affected
        };
        let mut decided = Vec::new();
        for used in record.uses.iter().filter(|one| !moved.contains(&one.table)) {
            let (new, narrowed) = self.decide(facts, used);
            decided.push((used.hash.clone(), new.hash.clone()));
            if new.hash != used.hash {
                fate = fate.max(self.differing(record, facts, used, (new, narrowed)).await?);
            }
        }
        self.report.count(fate);
        if let Some(runs) = &mut self.report.runs {
            let kept = match &record.policy_version {
                Some(version) => self.sets.get(version).await.ok(),
                None => None,
            };
            match kept {
                Some(then) => {
                    let ask = as_recorded(facts);
                    let sides = (&then.local, self.new);
                    let alike = fate == Fate::Same;
                    runs.add(record, &ask, &decided, sides, alike).await;
                }
                None => runs.without_policies += 1,
            }
        }
        Ok(())
    }

    /// What becomes of a query because of a table that is decided otherwise.
    async fn differing(
        &mut self,
        record: &Record,
        facts: &Facts,
        used: &TableUse,
        (new, narrowed): (Decision, bool),
    ) -> Result<Fate, Damage> {
        if is_left_out(&self.new.policy, &used.table) {
            self.report.add_unknown();
            return Ok(Fate::Undecided);
        }
        let Some((change, how)) = self.compare(record, facts, used, &new).await? else {
            return Ok(Fate::Same);
        };
        if self.new.config.external.is_some() && new.verdict == Verdict::Shown && !narrowed {
            self.report.not_asked += 1;
        }
        let affects = affects(&change, used, &record.sql);
        self.report.add(record, &change, how, affects);
        Ok(if affects {
            Fate::Affected
        } else {
            Fate::Unaffected
        })
    }

    /// The tables of a query that its statement, read under the new policies, does not name.
    ///
    /// A decision point outside can move names as well, and is not asked here. So the policies of
    /// then, if they are there, are asked the same, and only what they say otherwise counts.
    async fn moved(&mut self, record: &Record, facts: &Facts) -> BTreeSet<TableName> {
        let nothing = BTreeSet::new();
        if facts.default_schema.is_some() || record.uses.is_empty() {
            return nothing;
        }
        let ask = as_recorded(facts);
        let Some(is) = names(self.new, &ask, &record.sql).await else {
            return nothing;
        };
        let before: BTreeSet<_> = record.uses.iter().map(|used| used.table.clone()).collect();
        if before.is_subset(&is) {
            return nothing;
        }
        let then = match &record.policy_version {
            Some(version) => self.sets.get(version).await.ok(),
            None => None,
        };
        let was = match then {
            Some(then) => names(&then.local, &ask, &record.sql).await,
            None => None,
        };
        let was = was.unwrap_or_else(|| before.clone());
        let mut moved = BTreeSet::new();
        for from in before.intersection(&was).filter(|one| !is.contains(one)) {
            let mut come = is.difference(&was);
            if let Some(to) = come.find(|to| to.table == from.table) {
                self.report.add_moved(record, from, to);
                moved.insert(from.clone());
            }
        }
        moved
    }

    /// What the new policies decide about a table, and whether what was taken away outside then is
    /// taken away of it: nobody can be asked what would be now.
    fn decide(&self, facts: &Facts, used: &TableUse) -> (Decision, bool) {
        let policy = &self.new.policy;
        let (principal, context) = (&facts.principal, &facts.context);
        let decision = policy.decide(principal, context, &facts.settings, &used.table);
        let decision = narrowed(decision, used);
        let is_narrowed = decision.narrowing.is_some();
        (decision, is_narrowed)
    }

    async fn compare(
        &mut self,
        record: &Record,
        facts: &Facts,
        used: &TableUse,
        new: &Decision,
    ) -> Result<Compared, Damage> {
        let key = (used.hash.clone(), new.hash.clone());
        if let Some(compared) = self.compared.get(&key) {
            return Ok(compared.clone());
        }
        let compared = if let Some((then, old)) = self.again(record, facts, used).await {
            let (before, after) = (&then.local.policy, &self.new.policy);
            let change = compare::decisions((before, &old), (after, new));
            change.map(|change| (Arc::new(change), How::Logic))
        } else {
            let readings = record.readings()?;
            let old = readings.iter().map(|reading| &reading.decision);
            let old = old.rev().find(|decision| decision.table == used.table);
            let change = old.and_then(|old| words::changes(old, new));
            change.map(|change| (Arc::new(change), How::Words))
        };
        if self.compared.len() >= COMPARED_MAX {
            self.compared.clear();
        }
        self.compared.insert(key, compared.clone());
        Ok(compared)
    }

    /// The decision of then and the policies that made it, if they make it again.
    async fn again(
        &mut self,
        record: &Record,
        facts: &Facts,
        used: &TableUse,
    ) -> Option<(Rc<Then>, Decision)> {
        let then = self.sets.get(record.policy_version.as_ref()?).await.ok()?;
        let old = narrowed(then.decide(facts, &used.table), used);
        (old.hash == used.hash).then_some((then, old))
    }
}

/// A decision without what was taken away outside then.
fn narrowed(decision: Decision, used: &TableUse) -> Decision {
    match &used.narrowing {
        Some(narrowing) => decision.narrowed(narrowing),
        None => decision,
    }
}

/// The standing to ask that a record tells of.
fn as_recorded(facts: &Facts) -> Ask {
    let zone = facts.time_zone.as_ref();
    Ask {
        principal: Accounts::vouch_as_recorded(facts.principal.clone()),
        context: facts.context.clone(),
        settings: facts.settings.clone(),
        session: None,
        default_schema: facts.default_schema.clone(),
        time_zone: zone.and_then(|zone| TimeZone::parse(zone).ok()),
    }
}

/// The tables that a statement names under a policy set; none when it is not understood.
async fn names(local: &Local, ask: &Ask, sql: &str) -> Option<BTreeSet<TableName>> {
    let decisions = local.engine.explain(ask, sql).await.ok()?;
    Some(decisions.iter().map(|one| one.table.clone()).collect())
}
