//! What a case touches of the policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use scrim_model::Code;
use scrim_policy::{Coverage, Decision, Verdict};

use super::answer::Answer;
use super::ask::{Heard, Stage};
use super::format::{Case, Columns, Shown};
use crate::outcome::Failure;

/// A decision with the columns that were read under it, and those that were expected not to be
/// there.
pub(super) type Touched = (Arc<Decision>, BTreeSet<String>, BTreeSet<String>);

/// What a statement with its expectations touches.
pub(super) fn of(stage: &Stage<'_>, case: &Case, sql: &str, heard: &Heard) -> Vec<Touched> {
    let touched = |decision: &Arc<Decision>| {
        let used = heard.used.get(&decision.table).cloned();
        let used = used.unwrap_or_default();
        let missed = missed(stage, case, (sql, heard), decision, &used);
        (Arc::clone(decision), used, missed)
    };
    heard.decisions.iter().map(touched).collect()
}

/// The columns that a case expects not to be there, of a table of which the statement uses some.
fn missed(
    stage: &Stage<'_>,
    case: &Case,
    (sql, heard): (&str, &Heard),
    decision: &Decision,
    used: &BTreeSet<String>,
) -> BTreeSet<String> {
    let is_shown = |name: &String| decision.columns.iter().any(|column| column.name == *name);
    let hidden = stage.columns(&decision.table).into_iter();
    let hidden = hidden.filter(|name| !is_shown(name));
    if let Answer::Refused(refusal) = &heard.answer {
        if refusal.code() != Code::NameNotFound {
            return BTreeSet::new();
        }
        // Which name was not found is not said, but it is one that stands in the statement.
        let words: BTreeSet<&str> = sql
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        return hidden
            .filter(|name| words.contains(name.as_str()))
            .collect();
    }
    // That a column is not in a result says something only of a result that asks for all of them.
    if !decision
        .columns
        .iter()
        .all(|column| used.contains(&column.name))
    {
        return BTreeSet::new();
    }
    let mut missed = BTreeSet::new();
    match case.expect.columns.as_ref().map(|columns| &columns.value) {
        Some(Columns::Exactly(_)) => missed.extend(hidden),
        Some(Columns::Some { lacks, .. }) => missed.extend(lacks.iter().cloned()),
        None => {}
    }
    let masks = case.expect.masks.iter();
    let masks = masks.filter(|(_, shown)| shown.value == Shown::Hidden);
    missed.extend(masks.map(|(column, _)| column.clone()));
    missed
}

/// Counts what cases touched, and the rows that their row filters keep and hide.
pub(super) async fn count(
    stage: &Stage<'_>,
    coverage: &mut Coverage,
    touched: impl Iterator<Item = &Touched>,
) -> Result<(), Failure> {
    let mut counted = BTreeSet::new();
    for (decision, read, missed) in touched {
        coverage.decided(decision);
        coverage.looked_at(decision, read, missed);
        let is_new = decision.verdict == Verdict::Shown && counted.insert(&decision.hash);
        let arms = decision.arms.iter().map(|arm| &arm.rows);
        let guards = decision.guards.iter().map(|guard| &guard.rows);
        let mut filters = arms.chain(guards).flatten();
        if is_new && filters.any(|filter| !coverage.is_counted(&filter.location)) {
            let tallies = stage.bench.engine.tally(decision).await;
            for tally in tallies.map_err(|refusal| Failure::failed(&refusal))? {
                coverage.counted(&tally.filter.location, tally.rows, tally.kept);
            }
        }
    }
    Ok(())
}
