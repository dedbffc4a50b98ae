//! Which of two treatments shows more.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use scrim_anonymize::{PathStep, format_path, parse_steps, type_at};

use super::{TreatmentChange, Width};
use crate::{Showing, Treatment};

/// A treatment, and another one that a row has instead.
pub(super) type Instead = (Showing, Showing);

/// In words that an owner reads.
pub(super) fn words(showing: &Showing) -> String {
    match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Masked(mask) => mask.to_string(),
        Showing::Hidden => "hidden".to_owned(),
    }
}

/// How a new way of showing values of a type stands to the old.
///
/// `same_keys`: whether keyed masks of both have the same keys; without, they give other values.
fn width(old: &Showing, new: &Showing, data_type: Option<&DataType>, same_keys: bool) -> Width {
    match new.openness().cmp(&old.openness()) {
        Ordering::Greater => return Width::Wider,
        Ordering::Less => return Width::Narrower,
        Ordering::Equal => {}
    }
    let (Showing::Masked(one), Showing::Masked(other)) = (old, new) else {
        return Width::Equal;
    };
    if one == other {
        let changed = !same_keys && is_keyed(old);
        return if changed {
            Width::Incomparable
        } else {
            Width::Equal
        };
    }
    match data_type.and_then(|data_type| other.tells(one, data_type)) {
        Some(Ordering::Less) => Width::Narrower,
        Some(Ordering::Equal) => Width::Equal,
        Some(Ordering::Greater) => Width::Wider,
        None => Width::Incomparable,
    }
}

/// Whether two ways give the same values.
pub(super) fn same(old: &Showing, new: &Showing, same_keys: bool) -> bool {
    old == new && (same_keys || !is_keyed(old))
}

fn is_keyed(showing: &Showing) -> bool {
    matches!(showing, Showing::Masked(mask) if mask.name() == "pseudonymize")
}

/// Tells of the arms' old and new showings of one path which can follow on which.
type Pairs<'a> = dyn Fn(&[Showing], &[Showing]) -> Vec<Instead> + 'a;

/// What changes of a column, and of the fields inside it, that both sides show, arm by arm.
pub(super) fn changes(
    column: &str,
    data_type: Option<&DataType>,
    (old, new): (&[Treatment], &[Treatment]),
    same_keys: bool,
    pairs: &Pairs<'_>,
) -> Vec<TreatmentChange> {
    let mut changes = Vec::new();
    let mut of_column: Option<Vec<Instead>> = None;
    for path in paths(old.iter().chain(new)) {
        let showings = |arms: &[Treatment]| -> Vec<Showing> {
            arms.iter()
                .map(|treatment| treatment.at(&path).clone())
                .collect()
        };
        let (was, is) = (showings(old), showings(new));
        let found = pairs(&was, &is);
        // What changes with its column is said there.
        if of_column.as_ref() == Some(&found) {
            continue;
        }
        let inside = data_type.and_then(|data_type| kind(column, data_type, &path));
        changes.extend(found.iter().map(|(old, new)| TreatmentChange {
            column: format_path(column, &path),
            old: old.clone(),
            new: new.clone(),
            width: width(old, new, inside, same_keys),
            on_some_rows: !(all_equal(&was) && all_equal(&is)),
        }));
        of_column.get_or_insert(found);
    }
    changes
}

/// A column, or a field inside one, that two agreements show through different masks.
pub(super) struct Conflict {
    pub(super) column: String,
    pub(super) steps: Vec<PathStep>,
    /// Both as one path.
    pub(super) path: String,
    pub(super) first: Showing,
    pub(super) second: Showing,
    /// How the second stands to the first.
    pub(super) width: Width,
}

/// Where two treatments of a column are masks, and the second may tell more than the first.
pub(super) fn conflicts(
    column: &str,
    data_type: Option<&DataType>,
    (first, second): (&Treatment, &Treatment),
    same_keys: bool,
) -> Vec<Conflict> {
    let mut found = Vec::new();
    for steps in paths([first, second].into_iter()) {
        let (one, other) = (first.at(&steps), second.at(&steps));
        if !matches!((one, other), (Showing::Masked(_), Showing::Masked(_))) {
            continue;
        }
        let inside = data_type.and_then(|data_type| kind(column, data_type, &steps));
        let width = width(one, other, inside, same_keys);
        if width.widens() {
            found.push(Conflict {
                column: column.to_owned(),
                path: format_path(column, &steps),
                steps,
                first: one.clone(),
                second: other.clone(),
                width,
            });
        }
    }
    found
}

/// What follows on what where each side has one way for all rows.
pub(super) fn single(old: &[Showing], new: &[Showing], same_keys: bool) -> Vec<Instead> {
    let pair = old.first().zip(new.first());
    let pair = pair.filter(|(old, new)| !same(old, new, same_keys));
    let pair = pair.map(|(old, new)| (old.clone(), new.clone()));
    pair.into_iter().collect()
}

pub(super) fn all_equal(showings: &[Showing]) -> bool {
    showings.windows(2).all(|pair| match pair {
        [one, other] => one == other,
        _ => true,
    })
}

/// The paths below a column that any treatment names, outer ones first, the column itself leading.
fn paths<'a>(treatments: impl Iterator<Item = &'a Treatment>) -> Vec<Vec<PathStep>> {
    let named: BTreeSet<&String> = treatments
        .flat_map(|treatment| treatment.nested.iter().map(|(path, _)| path))
        .collect();
    let mut paths = vec![Vec::new()];
    paths.extend(named.into_iter().filter_map(|path| parse_steps(path).ok()));
    paths
}

/// The type of what lies under a path of a column.
fn kind<'a>(column: &str, data_type: &'a DataType, path: &[PathStep]) -> Option<&'a DataType> {
    type_at(column, data_type, path).ok()
}

/// The arms, most open first; among equals in their order, which is that of their ids.
pub(super) fn by_openness(showings: &[&Showing]) -> Vec<usize> {
    let mut arms: Vec<usize> = (0..showings.len()).collect();
    arms.sort_by_key(|arm| {
        let openness = showings.get(*arm).map_or(0, |showing| showing.openness());
        (Reverse(openness), *arm)
    });
    arms
}
