//! The queries of a ledger, decided again under proposed policies: whose results would change.
//!
//! The hash of a decision is equal exactly when the same is shown, so most queries are done with one
//! decision and one look at the record. Where the hashes differ, the policies of then, if they are
//! there, make their decision again, and both are compared by logic; else what the record holds is
//! compared with the new decision by what it says.

mod report;
mod run;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use scrim_ledger::{Damage, Facts, Filter, Record, TableUse};
use scrim_model::TableName;
use scrim_policy::Decision;
use scrim_policy::compare::{self, Change};

use super::damaged;
use super::sets::{Sets, Then};
use crate::local::Local;
use crate::outcome::Failure;
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
            self.report.without_facts += 1;
            return Ok(());
        };
        let (mut same, mut affected) = (true, false);
        for used in &record.uses {
            let decision = narrowed(self.decide(facts, &used.table), used);
            if decision.hash == used.hash {
                continue;
            }
            let compared = self.compare(record, facts, used, &decision).await?;
            if let Some((change, how)) = compared {
                same = false;
                let affects = affects(&change, used);
                affected |= affects;
                self.report.add(record, &change, how, affects);
            }
        }
        let count = match (same, affected) {
            (true, _) => &mut self.report.same,
            (false, true) => &mut self.report.affected,
            (false, false) => &mut self.report.unaffected,
        };
        *count += 1;
        if let Some(runs) = &mut self.report.runs {
            let kept = match &record.policy_version {
                Some(version) => self.sets.get(version).await.ok(),
                None => None,
            };
            match kept {
                Some(then) => runs.add(record, facts, (&then.local, self.new), same).await,
                None => runs.without_policies += 1,
            }
        }
        Ok(())
    }

    fn decide(&self, facts: &Facts, table: &TableName) -> Decision {
        let policy = &self.new.policy;
        policy.decide(&facts.principal, &facts.context, &facts.settings, table)
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

/// A decision without what was taken away outside then: nobody can be asked what would be now.
fn narrowed(decision: Decision, used: &TableUse) -> Decision {
    match &used.narrowing {
        Some(narrowing) => decision.narrowed(narrowing),
        None => decision,
    }
}

/// Whether a change can be seen in the result of a query: not when only columns differ that it does
/// not use.
fn affects(change: &Change, used: &TableUse) -> bool {
    let Some(used) = &used.used else { return true };
    let top = |path: &str| path.split(['.', '[']).next().map(str::to_owned);
    let is_used = |path: &String| {
        top(path).is_some_and(|column| used.contains(&column)) || used.contains(path)
    };
    change.verdict.is_some()
        || change.rows != compare::Width::Equal
        || change.lost.iter().any(is_used)
        || change.replaced.iter().any(is_used)
        || change.treatments.iter().any(|one| is_used(&one.column))
        || change
            .limits
            .iter()
            .any(|limit| limit.width() != compare::Width::Wider)
}
