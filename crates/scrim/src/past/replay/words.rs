//! Comparing what a record says with a decision, word by word, when the policies of then are gone.

use scrim_model::Limits;
use scrim_policy::compare::{Change, LimitChange, TreatmentChange, Width};
use scrim_policy::{Arm, Clause, ColumnDecision, Decision, Verdict};

/// What differs; rows that are said otherwise may be any.
pub(crate) fn changes(old: &Decision, new: &Decision) -> Option<Change> {
    let names = |of: &Decision, other: &Decision| -> Vec<String> {
        let columns = of.columns.iter().map(|column| &column.name);
        let gone = columns.filter(|name| column(other, name).is_none());
        gone.cloned().collect()
    };
    let same_verdict = std::mem::discriminant(&old.verdict) == std::mem::discriminant(&new.verdict);
    let change = Change {
        table: new.table.clone(),
        verdict: (!same_verdict).then(|| (old.verdict.clone(), new.verdict.clone())),
        gained: names(new, old),
        lost: names(old, new),
        replaced: Vec::new(),
        treatments: treatments(old, new),
        rows: rows(old, new),
        limits: limits(old.limits, new.limits),
    };
    let differs = change.verdict.is_some() || !change.lines().is_empty();
    differs.then_some(change)
}

fn column<'a>(decision: &'a Decision, name: &str) -> Option<&'a ColumnDecision> {
    decision.columns.iter().find(|column| column.name == name)
}

/// The arms in the order of their agreements, so a column is shown alike when all of them say so.
fn treatments(old: &Decision, new: &Decision) -> Vec<TreatmentChange> {
    let mut changes = Vec::new();
    for was in &old.columns {
        let Some(is) = column(new, &was.name) else {
            continue;
        };
        if was.treatments == is.treatments {
            continue;
        }
        let first = |column: &ColumnDecision| column.treatments.first().map(|one| one.root.clone());
        let (Some(old), Some(new)) = (first(was), first(is)) else {
            continue;
        };
        changes.push(TreatmentChange {
            column: was.name.clone(),
            old,
            new,
            width: Width::Unknown,
            on_some_rows: was.treatments.len() > 1 || is.treatments.len() > 1,
        });
    }
    changes
}

fn rows(old: &Decision, new: &Decision) -> Width {
    let said = |clause: Option<&Clause>| {
        clause.map(|clause| (clause.text.clone(), clause.bindings.clone()))
    };
    let arms = |decision: &Decision| -> Vec<_> {
        let arm = |arm: &Arm| (arm.agreement.clone(), said(arm.rows.as_ref()));
        decision.arms.iter().map(arm).collect()
    };
    let guards = |decision: &Decision| -> Vec<_> {
        let rows = decision.guards.iter().map(|guard| guard.rows.as_ref());
        rows.filter(Option::is_some).map(said).collect()
    };
    match (&old.verdict, &new.verdict) {
        (Verdict::Shown, Verdict::Shown)
            if arms(old) == arms(new) && guards(old) == guards(new) =>
        {
            Width::Equal
        }
        (Verdict::Shown, Verdict::Shown) => Width::Unknown,
        (Verdict::Shown, _) => Width::Narrower,
        (_, Verdict::Shown) => Width::Wider,
        (_, _) => Width::Equal,
    }
}

fn limits(old: Limits, new: Limits) -> Vec<LimitChange> {
    let all = [
        ("max_rows", old.max_rows, new.max_rows),
        ("max_bytes", old.max_bytes, new.max_bytes),
        (
            "queries_per_minute",
            old.queries_per_minute,
            new.queries_per_minute,
        ),
        (
            "concurrent_queries",
            old.concurrent_queries,
            new.concurrent_queries,
        ),
    ];
    let differ = all.into_iter().filter(|(_, old, new)| old != new);
    let change = |(limit, old, new)| LimitChange { limit, old, new };
    differ.map(change).collect()
}
