//! What a case touches of the policies.

use std::collections::BTreeSet;
use std::sync::Arc;

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
        let missed = missed(stage, case, sql, heard, decision);
        (Arc::clone(decision), heard.named.clone(), missed)
    };
    heard.decisions.iter().map(touched).collect()
}

/// The columns that a case expects not to be there.
fn missed(
    stage: &Stage<'_>,
    case: &Case,
    sql: &str,
    heard: &Heard,
    decision: &Decision,
) -> BTreeSet<String> {
    let is_shown = |name: &String| decision.columns.iter().any(|column| column.name == *name);
    let hidden = stage.columns(&decision.table).into_iter();
    let hidden = hidden.filter(|name| !is_shown(name));
    if matches!(heard.answer, Answer::Refused(_)) {
        // A statement that is refused may be so because of what it names.
        let words: BTreeSet<&str> = sql
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        return hidden
            .filter(|name| words.contains(name.as_str()))
            .collect();
    }
    let mut missed = BTreeSet::new();
    match case.expect.columns.as_ref().map(|columns| &columns.value) {
        // The list is one of all columns only when the statement asks for all of them.
        Some(Columns::Exactly(_)) => {
            let mut shown = decision.columns.iter();
            if shown.all(|column| heard.named.contains(&column.name)) {
                missed.extend(hidden);
            }
        }
        Some(Columns::Some { lacks, .. }) => missed.extend(lacks.iter().cloned()),
        None => {}
    }
    let masks = case.expect.masks.iter();
    let hidden = masks.filter(|(_, shown)| shown.value == Shown::Hidden);
    missed.extend(hidden.map(|(column, _)| column.clone()));
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
