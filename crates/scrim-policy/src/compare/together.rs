//! Agreements of one organisation that show a column through different masks.
//!
//! Where both admit a row, the mask of the one whose id sorts first counts. When that one gives less
//! than it did, the other's mask is seen in its place, beside everything else that is shown of the
//! row, and it may tell more. So it is not enough to compare each agreement with what it was.

use std::collections::BTreeMap;

use super::grants::Grant;
use super::sets::{AgreementChange, Detail};
use super::solve::{Possible, possible};
use super::terms::Terms;
use super::treatments::{self, Conflict};
use super::{Width, is_replaced};
use crate::Showing;

/// The agreements of one organisation over one table, by id.
pub(super) type Grants<'a> = BTreeMap<&'a str, Grant<'a>>;

/// Adds to what is said of agreements which masks of others are seen in the place of theirs.
pub(super) fn add(old: &Grants<'_>, new: &Grants<'_>, changes: &mut [AgreementChange]) {
    for change in changes {
        let found = match change.width {
            Width::Narrower => instead(change, old, new),
            // The same the other way round: its mask is seen in the place of others.
            Width::Wider => instead(change, new, old),
            Width::Equal | Width::Incomparable | Width::Unknown => continue,
        };
        if found.is_empty() {
            continue;
        }
        let back = change.width == Width::Wider;
        change.width = Width::Unknown;
        change
            .details
            .extend(found.into_iter().map(|(beside, one)| {
                let (first, second) = (
                    treatments::words(&one.first),
                    treatments::words(&one.second),
                );
                let (old, new) = if back {
                    (second, first)
                } else {
                    (first, second)
                };
                Detail {
                    part: format!("{} where {beside} admits the row, too", one.path),
                    old: Some(old),
                    new: Some(new),
                    width: Some(if back {
                        one.width.reversed()
                    } else {
                        one.width
                    }),
                }
            }));
    }
}

/// The masks that are seen in the place of an agreement's that gives less in `less` than in `more`,
/// and of which it is not certain that they tell no more.
fn instead(
    change: &AgreementChange,
    more: &Grants<'_>,
    less: &Grants<'_>,
) -> Vec<(String, Conflict)> {
    let id = change.agreement.as_str();
    let Some(first) = more.get(id) else {
        return Vec::new();
    };
    let rest = less.get(id);
    // What guards and limits alone take away leaves the masks as they are: guards hold for all.
    let gives_up = rest.is_none() || !change.details.is_empty();
    let mut found = Vec::new();
    for (beside, second) in less.iter().filter(|(beside, _)| **beside > id) {
        if !more.contains_key(beside) || first.agreement.purpose != second.agreement.purpose {
            continue;
        }
        let mut conflicts = first.conflicts(second);
        conflicts.retain(|one| {
            let hidden =
                |rest: &Grant<'_>| rest.shows(&one.column, &one.steps) == Some(Showing::Hidden);
            gives_up || rest.is_some_and(hidden)
        });
        if !conflicts.is_empty() && meet(first, second) {
            found.extend(conflicts.into_iter().map(|one| ((*beside).to_owned(), one)));
        }
    }
    found
}

/// Whether both may admit one row to one request.
fn meet(first: &Grant<'_>, second: &Grant<'_>) -> bool {
    if !first.gives() || !second.gives() {
        return false;
    }
    let mut terms = Terms::default();
    let is_other = |name: &str| is_replaced(&first.governed.table, &second.governed.table, name);
    let statements = [
        first.requests(&mut terms),
        second.requests(&mut terms),
        first.rows(&mut terms, &|_| false),
        second.rows(&mut terms, &is_other),
    ];
    possible(&statements.each_ref(), &terms) != Possible::No
}
