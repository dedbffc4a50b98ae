//! Comparing what a record says with a decision, word by word, when the policies of then are gone.

use std::collections::BTreeSet;

use scrim_model::Limits;
use scrim_policy::compare::{Change, LimitChange, TreatmentChange, Width};
use scrim_policy::{Arm, Clause, ColumnDecision, Decision, Showing, Verdict};

use crate::past::path_in;

/// What differs; rows that are said otherwise may be any, and so may they be when the hashes differ
/// by something that a record does not tell: the types of columns, what they are in the source.
pub(crate) fn changes(old: &Decision, new: &Decision) -> Option<Change> {
    let names = |of: &Decision, other: &Decision| -> Vec<String> {
        let columns = of.columns.iter().map(|column| &column.name);
        let gone = columns.filter(|name| column(other, name).is_none());
        gone.cloned().collect()
    };
    let same_verdict = std::mem::discriminant(&old.verdict) == std::mem::discriminant(&new.verdict);
    let mut change = Change {
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
    if !differs && old.verdict == Verdict::Shown && old.hash != new.hash {
        change.rows = Width::Unknown;
        return Some(change);
    }
    differs.then_some(change)
}

fn column<'a>(decision: &'a Decision, name: &str) -> Option<&'a ColumnDecision> {
    decision.columns.iter().find(|column| column.name == name)
}

/// The columns, and the fields inside them, that are not shown in the same ways.
fn treatments(old: &Decision, new: &Decision) -> Vec<TreatmentChange> {
    let mut changes = Vec::new();
    for was in &old.columns {
        let Some(is) = column(new, &was.name) else {
            continue;
        };
        let both = was.treatments.iter().chain(&is.treatments);
        let nested = both.flat_map(|one| one.nested.iter().map(|(path, _)| path.as_str()));
        let paths: BTreeSet<&str> = nested.chain([""]).collect();
        let mut of_column = None;
        for path in paths {
            let (old, new) = (ways(was, path), ways(is, path));
            // What changes with its column is said there.
            if old == new || of_column.as_ref() == Some(&(old.clone(), new.clone())) {
                continue;
            }
            let mut pairs = old
                .iter()
                .flat_map(|old| new.iter().map(move |new| (*old, *new)));
            if let Some((one, other)) = pairs.find(|(old, new)| old != new) {
                changes.push(TreatmentChange {
                    column: path_in(&was.name, path),
                    old: one.clone(),
                    new: other.clone(),
                    width: Width::Unknown,
                    on_some_rows: old.len() > 1 || new.len() > 1,
                });
            }
            of_column.get_or_insert((old, new));
        }
    }
    changes
}

/// The different ways in which arms show a path of a column, in the order of the arms.
fn ways<'a>(column: &'a ColumnDecision, path: &str) -> Vec<&'a Showing> {
    let mut ways = Vec::new();
    for treatment in &column.treatments {
        let around = treatment.nested.iter().filter(|(named, _)| {
            path.strip_prefix(named.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        let nearest = around.max_by_key(|(named, _)| named.len());
        let way = nearest.map_or(&treatment.root, |(_, showing)| showing);
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
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
