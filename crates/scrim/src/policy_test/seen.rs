//! Tables as personas see them: which are there, which columns, shown how, and what holds of values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scrim_engine::{Ask, VisibleTable};
use scrim_policy::{Decision, raw_name};

use super::answer::{Answer, Row, Rows, told};
use super::ask::{Stage, hear};
use super::check::{self, Difference, Found};
use super::fixtures::is_named;
use super::format::{Placed, SeenColumn, SeenColumns, SeenTable};

/// What a look at tables brought to light.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) differences: Vec<Difference>,
    /// Each decision with the columns that were looked at, and those that were not to be there.
    pub(super) touched: Vec<(Arc<Decision>, BTreeSet<String>, BTreeSet<String>)>,
}

/// Compares the tables that a persona sees with what is expected, as far as one world tells.
pub(super) async fn tables(
    stage: &Stage<'_>,
    ask: &Ask,
    sees: &[SeenTable],
    denied: &[Placed<String>],
) -> Look {
    let mut look = Look::default();
    let visible = match stage.bench.engine.visible(ask).await {
        Ok(visible) => visible,
        Err(refusal) => {
            let places = sees.iter().map(|seen| &seen.name.at);
            let mut places = places.chain(denied.iter().map(|name| &name.at));
            let told = places.next().map(|at| Difference::new(at, told(&refusal)));
            look.differences.extend(told);
            return look;
        }
    };
    for seen in sees {
        table(stage, ask, seen, &visible, &mut look).await;
    }
    for Placed { at, value } in denied {
        if visible.iter().any(|table| is_named(&table.name, value)) {
            let message = format!("expected {value} to be denied, it is visible");
            look.differences.push(Difference::new(at, message));
        }
        decided(stage, ask, value, &mut look).await;
    }
    look
}

async fn table(
    stage: &Stage<'_>,
    ask: &Ask,
    seen: &SeenTable,
    visible: &[VisibleTable],
    look: &mut Look,
) {
    let Placed { at, value: name } = &seen.name;
    let Some(found) = visible.iter().find(|table| is_named(&table.name, name)) else {
        let why = decided(stage, ask, name, look).await;
        let message = format!("expected {name} to be visible, it is not: {why}");
        return look.differences.push(Difference::new(at, message));
    };
    let names = found
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone());
    let names: Vec<String> = names.collect();
    let (mut read, mut missed) = (BTreeSet::new(), BTreeSet::new());
    match &seen.columns {
        SeenColumns::Exactly(Placed { at, value }) => {
            if *value != names {
                look.differences
                    .push(Difference::new(at, check::exactly(&names, value)));
            }
            missed.extend(hidden(stage, found));
        }
        SeenColumns::Some(columns) => {
            for named in columns {
                let (column, Placed { at, value }) = named;
                let place = names.iter().position(|name| name == column);
                let shown = Found::of(place, |at| found.columns.get(at)?.mask.as_deref());
                let wrong = match &value.shown {
                    Some(expected) => check::shown(column, shown, expected),
                    None if place.is_none() => Some(format!("there is no column `{column}`")),
                    None => None,
                };
                let wrong = wrong.map(|message| Difference::new(at, message));
                look.differences.extend(wrong);
                if place.is_some() {
                    read.insert(column.clone());
                    let wrong = values(stage, ask, found, named).await;
                    look.differences.extend(wrong);
                } else {
                    missed.insert(column.clone());
                }
            }
        }
    }
    if let Some(Placed { at, value }) = &seen.rows {
        let sql = format!("SELECT count(*) FROM {}", sql_name(found));
        let wrong = match counted(stage, ask, &sql).await {
            Ok(count) => check::count(count, *value),
            Err(why) => Some(why),
        };
        look.differences
            .extend(wrong.map(|message| Difference::new(at, message)));
    }
    look.touched
        .push((Arc::clone(&found.decision), read, missed));
}

/// The columns of a table that a principal does not see.
fn hidden(stage: &Stage<'_>, table: &VisibleTable) -> Vec<String> {
    let shown: Vec<&String> = table
        .schema
        .fields()
        .iter()
        .map(|field| field.name())
        .collect();
    let all = stage.columns(&table.name);
    all.into_iter()
        .filter(|name| !shown.contains(&name))
        .collect()
}

/// Why a table is not visible; its decision counts as touched.
async fn decided(stage: &Stage<'_>, ask: &Ask, name: &str, look: &mut Look) -> String {
    let parts: Vec<String> = name.split('.').map(quoted).collect();
    let sql = format!("SELECT 1 FROM {}", parts.join("."));
    let decisions = stage
        .bench
        .engine
        .explain(ask, &sql)
        .await
        .unwrap_or_default();
    let mut why = "no contract governs it".to_owned();
    for decision in decisions {
        if decision.contract.is_some() {
            let (verdict, guard) = check::verdict(&decision);
            let unmatched = decision.unmatched.iter();
            let reasons = unmatched.map(|one| format!("{}: {}", one.agreement, one.reason));
            let guard = guard.map(|guard| format!("the guard {guard}"));
            let reasons: Vec<String> = guard.into_iter().chain(reasons).collect();
            why = match reasons.as_slice() {
                [] => verdict.to_owned(),
                reasons => format!("{verdict} ({})", reasons.join("; ")),
            };
        }
        look.touched
            .push((decision, BTreeSet::new(), BTreeSet::new()));
    }
    why
}

/// What does not hold of the values of a column.
async fn values(
    stage: &Stage<'_>,
    ask: &Ask,
    table: &VisibleTable,
    (column, expected): &(String, Placed<SeenColumn>),
) -> Vec<Difference> {
    let Placed {
        at,
        value: expected,
    } = expected;
    if expected.never_contains.is_empty() && expected.matches.is_none() && !expected.all_null {
        return Vec::new();
    }
    let sql = format!("SELECT {} FROM {}", quoted(column), sql_name(table));
    let found = match rows(stage, ask, &sql).await {
        Ok(found) => found,
        Err(why) => return vec![Difference::new(at, why)],
    };
    let values = match found.values(column) {
        Ok(values) => values.unwrap_or_default(),
        Err(why) => return vec![Difference::new(at, why)],
    };
    let mut differences = Vec::new();
    if expected.all_null {
        let wrong = check::all_null(column, &values);
        differences.extend(wrong.map(|message| Difference::new(at, message)));
    }
    if let Some(Placed { at, value }) = &expected.matches {
        let wrong = check::matches(column, &values, value);
        differences.extend(wrong.map(|message| Difference::new(at, message)));
    }
    for Placed { at, value } in &expected.never_contains {
        let mut shown = values.iter().flatten();
        if let Some(cell) = shown.find(|cell| cell.contains(value.as_str())) {
            let message = format!("expected `{value}` nowhere in `{column}`, got {cell}");
            differences.push(Difference::new(at, message));
        }
    }
    differences
}

async fn rows(stage: &Stage<'_>, ask: &Ask, sql: &str) -> Result<Rows, String> {
    match hear(stage.bench, ask, sql).await?.answer {
        Answer::Rows(rows) => Ok(rows),
        Answer::Refused(refusal) => Err(format!("refused: {}", told(&refusal))),
    }
}

/// The number that a statement counts.
async fn counted(stage: &Stage<'_>, ask: &Ask, sql: &str) -> Result<u64, String> {
    let found = rows(stage, ask, sql).await?;
    let cell = found
        .text()?
        .first()
        .and_then(|row| row.first()?.as_deref());
    let count = cell.and_then(|cell| cell.parse().ok());
    count.ok_or_else(|| "the rows could not be counted".to_owned())
}

fn sql_name(table: &VisibleTable) -> String {
    let name = &table.name;
    format!("{}.{}", quoted(&name.schema), quoted(&name.table))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What is shown for each value of a column, in a world in which every value stands beside what is
/// shown of it.
async fn pairs(
    stage: &Stage<'_>,
    ask: &Ask,
    table: &str,
    column: &str,
) -> Result<Vec<(String, Option<String>)>, String> {
    let parts: Vec<String> = table.split('.').map(quoted).collect();
    let (raw, shown) = (quoted(&raw_name(column)), quoted(column));
    let sql = format!("SELECT {raw}, {shown} FROM {}", parts.join("."));
    let found = rows(stage, ask, &sql).await?;
    let pair = |row: &Row| match row.as_slice() {
        [Some(raw), shown] => Some((raw.clone(), shown.clone())),
        _ => None,
    };
    Ok(found.text()?.iter().filter_map(pair).collect())
}

/// Compares shown values of a column with those that they stand for. `others` ask as the personas
/// that the expectation names, in its order.
pub(super) async fn inputs(
    stage: &Stage<'_>,
    ask: &Ask,
    others: &[Ask],
    table: &str,
    (column, expected): (&str, &Placed<SeenColumn>),
) -> Vec<Difference> {
    let Placed { at, value } = expected;
    let pairs_of = match pairs(stage, ask, table, column).await {
        Ok(pairs) => pairs,
        Err(why) => return vec![Difference::new(at, why)],
    };
    let mut messages = Vec::new();
    if value.never_shows_input {
        messages.extend(shows_input(column, &pairs_of));
    }
    if value.same_for_same_input {
        messages.extend(differs_for_same(column, &pairs_of));
    }
    if value.distinct_for_distinct_input {
        messages.extend(same_for_distinct(column, &pairs_of));
    }
    let mut differences: Vec<Difference> = messages
        .into_iter()
        .map(|message| Difference::new(at, message))
        .collect();
    let mut known = vec![pairs_of];
    for (other, Placed { at, value }) in others.iter().zip(&value.differs_between) {
        match pairs(stage, other, table, column).await {
            Ok(pairs) => {
                let mut wrong = known
                    .iter()
                    .filter_map(|known| same_between(column, known, &pairs));
                let wrong = wrong.next().map(|why| format!("{value}: {why}"));
                differences.extend(wrong.map(|message| Difference::new(at, message)));
                known.push(pairs);
            }
            Err(why) => differences.push(Difference::new(at, format!("{value}: {why}"))),
        }
    }
    differences
}

type Pairs = [(String, Option<String>)];

/// Short values are found in others by chance.
const TELLING: usize = 3;

fn shows_input(column: &str, pairs: &Pairs) -> Option<String> {
    if pairs.is_empty() {
        return Some(format!("`{column}` has no value, so nothing was compared"));
    }
    let is_told = |(raw, shown): &&(String, Option<String>)| {
        let shown = shown.as_deref();
        let inside = raw.chars().count() >= TELLING;
        shown.is_some_and(|shown| shown == raw || (inside && shown.contains(raw.as_str())))
    };
    let (raw, shown) = pairs.iter().find(is_told)?;
    let shown = shown.as_deref().unwrap_or_default();
    Some(format!(
        "expected no value of `{column}` to show what it stands for, got {shown} for {raw}"
    ))
}

fn differs_for_same(column: &str, pairs: &Pairs) -> Option<String> {
    let (mut seen, mut again) = (BTreeMap::new(), false);
    for (raw, shown) in pairs {
        match seen.insert(raw, shown) {
            Some(before) if before != shown => {
                let text =
                    |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
                let (before, shown) = (text(before), text(shown));
                return Some(format!(
                    "expected one value of `{column}` for one input, got {before} and {shown}"
                ));
            }
            Some(_) => again = true,
            None => {}
        }
    }
    (!again).then(|| {
        format!("no two rows have the same `{column}`, so nothing was compared: add such rows")
    })
}

fn same_for_distinct(column: &str, pairs: &Pairs) -> Option<String> {
    let mut seen: BTreeMap<&String, &String> = BTreeMap::new();
    for (raw, shown) in pairs {
        let Some(shown) = shown else { continue };
        if seen.insert(shown, raw).is_some_and(|before| before != raw) {
            return Some(format!(
                "expected one value of `{column}` for each input, got {shown} for two"
            ));
        }
    }
    let inputs: BTreeSet<&String> = pairs.iter().map(|(raw, _)| raw).collect();
    (inputs.len() < 2).then(|| {
        format!("all rows have the same `{column}`, so nothing was compared: add other rows")
    })
}

fn same_between(column: &str, one: &Pairs, other: &Pairs) -> Option<String> {
    let known: BTreeMap<&String, &Option<String>> =
        one.iter().map(|(raw, shown)| (raw, shown)).collect();
    let mut compared = false;
    for (raw, shown) in other {
        let Some(known) = known.get(raw) else {
            continue;
        };
        compared = true;
        if *known == shown && shown.is_some() {
            let shown = shown.as_deref().unwrap_or_default();
            return Some(format!(
                "expected another value of `{column}` for the same input, got {shown}"
            ));
        }
    }
    (!compared).then(|| format!("no value of `{column}` is seen by both, so nothing was compared"))
}
