//! Tables as personas see them: which are there, which columns, shown how, and what holds of values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scrim_engine::{Ask, VisibleTable};
use scrim_model::TableName;
use scrim_policy::{Decision, raw_name};

use super::answer::{Answer, Row, Rows, told};
use super::ask::{Stage, hear};
use super::check::{self, Difference, Found};
use super::fixtures::is_named;
use super::format::{Placed, SeenColumn, SeenColumns, SeenTable, Shown};

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
        // The name is that of a contract, or the file would not have been read.
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
                let partly = check::is_clear_here_and_there(&found.decision, column);
                let shown = shown.or_partly(partly);
                let wrong = match &value.shown {
                    Some(Shown::Hidden) if place.is_none() => unknown(stage, found, column),
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
        let sql = format!("SELECT count(*) FROM {}", sql_name(&found.name));
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

/// Why it says nothing that a column is not there: the table has none of that name.
fn unknown(stage: &Stage<'_>, table: &VisibleTable, column: &str) -> Option<String> {
    let known = stage.columns(&table.name);
    if known.iter().any(|name| name == column) {
        return None;
    }
    let known = known.iter().map(String::as_str);
    Some(check::unknown_column("the table has", column, known))
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
    let Some(table) = stage.table(name) else {
        return "no contract governs it".to_owned();
    };
    let sql = format!("SELECT 1 FROM {}", sql_name(table));
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
    let sql = format!("SELECT {} FROM {}", quoted(column), sql_name(&table.name));
    let found = match rows(stage, ask, &sql).await {
        Ok(found) => found,
        Err(why) => return vec![Difference::new(at, why)],
    };
    let values = match found.values(column) {
        Ok(values) => values.unwrap_or_default(),
        Err(why) => return vec![Difference::new(at, why)],
    };
    if values.is_empty() {
        let message = format!("no row shows `{column}`, so nothing was compared: add rows");
        return vec![Difference::new(at, message)];
    }
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

fn sql_name(table: &TableName) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.table))
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
    let table = stage.table(table).ok_or("no contract governs the table")?;
    let (raw, shown) = (quoted(&raw_name(column)), quoted(column));
    let sql = format!("SELECT {raw}, {shown} FROM {}", sql_name(table));
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
    let mut seen: BTreeMap<&Option<String>, &String> = BTreeMap::new();
    for (raw, shown) in pairs {
        if seen.insert(shown, raw).is_some_and(|before| before != raw) {
            let shown = shown.as_deref().unwrap_or("null");
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

/// Where neither is shown anything, there is nothing to compare.
fn same_between(column: &str, one: &Pairs, other: &Pairs) -> Option<String> {
    let mut known: BTreeMap<&String, BTreeSet<&Option<String>>> = BTreeMap::new();
    for (raw, shown) in one {
        known.entry(raw).or_default().insert(shown);
    }
    let mut compared = false;
    for (raw, shown) in other {
        let Some(known) = known.get(raw) else {
            continue;
        };
        compared |= shown.is_some() || known.iter().any(|known| known.is_some());
        if let Some(shown) = shown.as_deref().filter(|_| known.contains(shown)) {
            return Some(format!(
                "expected another value of `{column}` for the same input, got {shown}"
            ));
        }
    }
    (!compared).then(|| format!("no value of `{column}` is seen by both, so nothing was compared"))
}

#[cfg(test)]
mod tests {
    use super::{same_between, same_for_distinct};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let shown = |text: &str| Some(text.to_owned()).filter(|text| text != "null");
        let pair = |(raw, text): &(&str, &str)| ((*raw).to_owned(), shown(text));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_is_not_shown_cannot_be_told_apart() {
        let told = same_for_distinct("c", &pairs(&[("1", "null"), ("2", "null")])).unwrap();
        assert!(told.ends_with("got null for two"), "{told}");
        assert_eq!(
            same_for_distinct("c", &pairs(&[("1", "x"), ("2", "null")])),
            None
        );
    }

    #[test]
    fn values_differ_between_two_only_where_one_sees_something() {
        let (own, nothing) = (pairs(&[("1", "x"), ("1", "y")]), pairs(&[("1", "null")]));
        let told = same_between("c", &nothing, &nothing).unwrap();
        assert!(told.ends_with("nothing was compared"), "{told}");
        assert_eq!(same_between("c", &own, &nothing), None);
        // one input may be shown in several ways, by rows
        let told = same_between("c", &own, &pairs(&[("1", "x")])).unwrap();
        assert!(told.ends_with("got x"), "{told}");
    }
}
