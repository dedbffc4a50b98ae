//! An answer against what is expected of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use scrim_document::{Location, nearest};
use scrim_model::Refusal;
use scrim_policy::{Decision, Verdict};

use super::answer::{Answer, Rows, told};
use super::compare;
use super::fixtures::is_named;
use super::format::{Columns, Count, DecisionExpect, Expect, Placed, Refused, Shown};
use super::pattern::Pattern;

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was expected, and what was found.
    pub message: String,
    /// Where the expectation stands.
    pub at: Location,
}

impl Difference {
    /// A difference from what stands in a place.
    pub(super) fn new(at: &Location, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: at.clone(),
        }
    }
}

/// The tables that a statement names.
#[derive(Debug)]
pub(super) struct Named<'a> {
    /// What was decided about them.
    pub(super) decisions: &'a [Arc<Decision>],
    /// Their columns, whoever sees them.
    pub(super) columns: BTreeSet<String>,
}

impl Named<'_> {
    /// Whether a column is clear on some rows and not on others.
    fn is_clear_here_and_there(&self, column: &str) -> bool {
        let mut decisions = self.decisions.iter();
        decisions.any(|decision| is_clear_here_and_there(decision, column))
    }

    /// Why it says nothing that a column is not there: there is none of that name to be hidden.
    fn unknown(&self, column: &str) -> Option<String> {
        let known = self.columns.iter().map(String::as_str);
        let tables = "the statement's tables have";
        (!self.columns.contains(column)).then(|| unknown_column(tables, column, known))
    }
}

/// Whether a column is clear on the rows of one agreement and not on those of another.
pub(super) fn is_clear_here_and_there(decision: &Decision, column: &str) -> bool {
    let mut columns = decision.columns.iter();
    columns.any(|one| {
        let clear = one.treatments.iter().filter(|shown| shown.is_clear());
        one.name == column && (1..one.treatments.len()).contains(&clear.count())
    })
}

/// Tells that nothing was looked for, since no column has the name.
pub(super) fn unknown_column<'a>(
    tables: &str,
    column: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let message = format!("{tables} no column `{column}`, so nothing was looked for");
    match nearest(column, known) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    }
}

/// Everything about an answer that is not as expected; `case` is where its case stands.
pub(super) fn answer(
    answer: &Answer,
    expect: &Expect,
    named: &Named<'_>,
    case: &Location,
) -> Vec<Difference> {
    match (answer, &expect.refused) {
        (Answer::Refused(refusal), Some(expected)) => refused(refusal, expected),
        (Answer::Refused(refusal), None) => {
            // What was decided explains a refusal, so a case may expect that alone.
            if expect.decision.is_some() && !expect.is_of_rows() {
                return Vec::new();
            }
            vec![Difference::new(case, format!("refused: {}", told(refusal)))]
        }
        (Answer::Rows(found), Some(Placed { at, value })) => {
            let (code, rows) = (&value.code, found.count());
            let message = format!("expected the refusal {code}, got {}", row_word(rows));
            vec![Difference::new(at, message)]
        }
        (Answer::Rows(found), None) => {
            let differences = rows(found, expect, named);
            differences.unwrap_or_else(|why| vec![Difference::new(case, why)])
        }
    }
}

fn refused(refusal: &Refusal, expected: &Placed<Refused>) -> Vec<Difference> {
    let Refused { code, message } = &expected.value;
    if refusal.code().as_str() != code {
        let message = format!("expected the refusal {code}, got {}", told(refusal));
        return vec![Difference::new(&expected.at, message)];
    }
    match message {
        Some(part) if !refusal.message().contains(part.as_str()) => {
            let found = refusal.message();
            let message = format!("expected a message with `{part}`, got `{found}`");
            vec![Difference::new(&expected.at, message)]
        }
        Some(_) | None => Vec::new(),
    }
}

/// Why rows say nothing: there are none, and nobody said that there should be none.
pub(super) fn nothing_compared(found: &Rows, expect: &Expect) -> Option<String> {
    let meant = expect.rows.is_some() || expect.row_count.is_some();
    (found.count() == 0 && !meant).then(|| {
        "the result has no row, so nothing was compared: ask for rows, or expect `row_count: 0`"
            .to_owned()
    })
}

/// Everything about rows that is not as expected, or why they cannot be looked at.
fn rows(found: &Rows, expect: &Expect, named: &Named<'_>) -> Result<Vec<Difference>, String> {
    let mut differences = Vec::new();
    let mut differ = |at: &Location, message: Option<String>| {
        differences.extend(message.map(|message| Difference::new(at, message)));
    };
    if let Some(Placed { at, value }) = &expect.columns {
        for message in columns(&found.columns, value, named) {
            differ(at, Some(message));
        }
    }
    if let Some(Placed { at, value }) = &expect.row_count {
        differ(at, count(found.count(), *value));
    }
    if let Some(Placed { at, value }) = &expect.rows {
        let rows = found.text()?;
        let wrong = compare::difference(rows, value, found.ordered, &found.numbers);
        differ(at, wrong);
    }
    if let Some(at) = expect.first_of_values() {
        differ(at, nothing_compared(found, expect));
    }
    for Placed { at, value } in &expect.never_contains {
        let where_found = found.finds(value)?;
        differ(
            at,
            where_found.map(|found| format!("expected `{value}` nowhere, {found}")),
        );
    }
    for (column, Placed { at, value }) in &expect.masks {
        let place = found.columns.iter().position(|name| name == column);
        let mask = Found::of(place, |at| found.masks.get(at)?.as_deref());
        let mask = mask.or_partly(named.is_clear_here_and_there(column));
        let unknown = named
            .unknown(column)
            .filter(|_| place.is_none() && *value == Shown::Hidden);
        differ(at, unknown.or_else(|| shown(column, mask, value)));
    }
    let missing = |column: &str| Some(format!("the result has no column `{column}`"));
    for (column, Placed { at, value }) in &expect.matches {
        let values = found.values(column)?;
        differ(
            at,
            values.map_or_else(
                || missing(column),
                // Of no row it was said above, unless that is meant.
                |values| matches(column, &values, value).filter(|_| !values.is_empty()),
            ),
        );
    }
    for Placed { at, value } in &expect.all_null {
        let values = found.values(value)?;
        differ(
            at,
            values.map_or_else(|| missing(value), |values| all_null(value, &values)),
        );
    }
    Ok(differences)
}

/// Why values do not match a regular expression.
pub(super) fn matches(
    column: &str,
    values: &[Option<String>],
    pattern: &Pattern,
) -> Option<String> {
    if values.iter().all(Option::is_none) {
        return Some(format!("`{column}` has no value, so nothing was compared"));
    }
    let wrong = match pattern.misfit(values) {
        Ok(misfit) => format!("got {}", misfit?),
        Err(why) => why,
    };
    Some(format!(
        "expected `{column}` to match `{}`, {wrong}",
        pattern.as_str()
    ))
}

/// Why a column is not without values.
pub(super) fn all_null(column: &str, values: &[Option<String>]) -> Option<String> {
    let value = values.iter().flatten().next()?;
    Some(format!("expected no value in `{column}`, got {value}"))
}

fn columns(found: &[String], expected: &Columns, named: &Named<'_>) -> Vec<String> {
    match expected {
        Columns::Exactly(expected) if expected == found => Vec::new(),
        Columns::Exactly(expected) => vec![exactly(found, expected)],
        Columns::Some { has, lacks } => {
            let missing = has.iter().filter(|name| !found.contains(name));
            let missing = missing.map(|name| format!("expected a column `{name}`, there is none"));
            let there = lacks.iter().filter_map(|name| {
                if found.contains(name) {
                    Some(format!("expected no column `{name}`, there is one"))
                } else {
                    named.unknown(name)
                }
            });
            missing.chain(there).collect()
        }
    }
}

/// Tells that columns are not the expected ones.
pub(super) fn exactly(found: &[String], expected: &[String]) -> String {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    format!(
        "expected the columns {}, got {}",
        list(expected),
        list(found)
    )
}

/// Why a number is not the expected one.
pub(super) fn count(found: u64, expected: Count) -> Option<String> {
    let Count { min, max } = expected;
    if (min..=max).contains(&found) {
        return None;
    }
    let expected = match (min, max) {
        (min, max) if min == max => row_word(min),
        (min, u64::MAX) => format!("at least {}", row_word(min)),
        (0, max) => format!("at most {}", row_word(max)),
        (min, max) => format!("{min} to {}", row_word(max)),
    };
    Some(format!("expected {expected}, got {found}"))
}

fn row_word(rows: u64) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// How a column turned out to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    /// It is not there.
    Absent,
    /// As it is.
    Clear,
    /// Through masks of these names, joined with commas.
    Through(&'a str),
    /// As it is on some rows, and through such masks on others.
    Partly(&'a str),
}

impl<'a> Found<'a> {
    /// A column at its place among all, by the name of its mask.
    pub(super) fn of(place: Option<usize>, mask: impl Fn(usize) -> Option<&'a str>) -> Self {
        match place.map(mask) {
            None => Self::Absent,
            Some(None) => Self::Clear,
            Some(Some(name)) => Self::Through(name),
        }
    }

    /// The same, when it is masked and may be clear on some rows.
    pub(super) fn or_partly(self, partly: bool) -> Self {
        match self {
            Self::Through(masks) if partly => Self::Partly(masks),
            Self::Absent | Self::Clear | Self::Through(_) | Self::Partly(_) => self,
        }
    }
}

/// Why a column is not shown as expected.
pub(super) fn shown(column: &str, found: Found<'_>, expected: &Shown) -> Option<String> {
    let holds = match (expected, found) {
        (Shown::Hidden, Found::Absent)
        | (Shown::Clear, Found::Clear)
        | (Shown::Masked, Found::Through(_)) => true,
        // A column that several agreements mask bears all their names.
        (Shown::Through(name), Found::Through(masks)) => masks.split(',').any(|mask| mask == name),
        (Shown::Hidden, Found::Clear | Found::Through(_) | Found::Partly(_))
        | (Shown::Clear, Found::Absent | Found::Through(_) | Found::Partly(_))
        | (Shown::Masked | Shown::Through(_), Found::Absent | Found::Clear | Found::Partly(_)) => {
            false
        }
    };
    let word = match expected {
        Shown::Clear => "clear".to_owned(),
        Shown::Masked => "masked".to_owned(),
        Shown::Hidden => "hidden".to_owned(),
        Shown::Through(name) => format!("masked by {name}"),
    };
    let is = match found {
        Found::Absent => "it is not there".to_owned(),
        Found::Clear => "it is clear".to_owned(),
        Found::Through(masks) => format!("it is masked by {masks}"),
        Found::Partly(masks) => format!("it is clear on some rows, and else masked by {masks}"),
    };
    (!holds).then(|| format!("expected `{column}` {word}, {is}"))
}

/// Everything about a decision that is not as expected.
pub(super) fn decision(
    expected: &Placed<DecisionExpect>,
    decisions: &[impl AsRef<Decision>],
) -> Vec<Difference> {
    let Placed { at, value } = expected;
    let wanted = |decision: &&Decision| match &value.table {
        Some(name) => is_named(&decision.table, name),
        None => true,
    };
    let found: Vec<&Decision> = decisions.iter().map(AsRef::as_ref).filter(wanted).collect();
    let [decision] = found.as_slice() else {
        let message = match found.len() {
            0 => "the statement names no such table",
            _ => "the statement names several tables: say which with `table`",
        };
        return vec![Difference::new(at, message)];
    };
    let mut messages = Vec::new();
    let (verdict, guard) = verdict(decision);
    if let Some(expected) = value
        .verdict
        .as_deref()
        .filter(|expected| *expected != verdict)
    {
        messages.push(format!("expected the verdict {expected}, got {verdict}"));
    }
    if let Some(expected) = value
        .guard
        .as_deref()
        .filter(|expected| Some(*expected) != guard)
    {
        let found = guard.unwrap_or("none");
        messages.push(format!(
            "expected the guard {expected} to close the table, got {found}"
        ));
    }
    if let Some(expected) = &value.agreements {
        messages.extend(agreements(decision, expected));
    }
    messages
        .into_iter()
        .map(|message| Difference::new(at, message))
        .collect()
}

/// Why other agreements match than the expected ones.
fn agreements(decision: &Decision, expected: &[String]) -> Option<String> {
    let arms = decision.arms.iter();
    let found: Vec<&str> = arms.map(|arm| arm.agreement.as_str()).collect();
    if *expected == found {
        return None;
    }
    let list = |ids: &[&str]| match ids {
        [] => "none".to_owned(),
        ids => ids.join(", "),
    };
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let (expected, found) = (list(&expected), list(&found));
    let message = format!("expected the agreements {expected}, got {found}");
    let unmatched = decision.unmatched.iter();
    let reasons = unmatched.map(|one| format!("{} does not match: {}", one.agreement, one.reason));
    let parts: Vec<String> = std::iter::once(message).chain(reasons).collect();
    Some(parts.join("; "))
}

/// The word for a verdict, and the guard that closes the table.
pub(super) fn verdict(decision: &Decision) -> (&'static str, Option<&str>) {
    match &decision.verdict {
        Verdict::Shown => ("shown", None),
        Verdict::NoAgreement => ("no-agreement", None),
        Verdict::PurposeRequired => ("purpose-required", None),
        Verdict::Closed { guard, .. } => ("closed", Some(guard)),
    }
}
