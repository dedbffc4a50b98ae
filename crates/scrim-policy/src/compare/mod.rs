//! How one policy set stands to another: what more is shown, and what less.
//!
//! [`decisions`] compares what two policy sets decide of one request. Rules of rows are compared by
//! logic: each becomes a statement about the row (`logic`), and one admits what another does when
//! no row can make the first true and the second not (`solve`). What the logic does not understand
//! (a look-up, a function) is equal to itself and may otherwise be anything, so a claim holds for
//! every row or is not made: then the answer is [`Width::Unknown`].
//!
//! A column that several agreements show differently is compared row by row in the same way: of each
//! old treatment and each new one, whether a row can have both.

mod days;
mod domain;
mod gained;
mod grants;
mod logic;
mod sets;
mod shown;
mod solve;
mod terms;
#[cfg(test)]
mod tests;
mod together;
mod treatments;

use std::fmt;

use scrim_model::{Limits, TableName};
use serde::Serialize;

use crate::{Decision, PolicySet, Showing, Table, Verdict, digest};
use shown::Pair;

pub use gained::rows_gained;
pub use sets::{
    AgreementChange, Detail, Difference, GuardChange, OrganisationChange, Presence, TableChange,
    sets,
};

/// How new stands to old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Width {
    /// The same is shown.
    Equal,
    /// All that was shown is still shown, and there may be more.
    Wider,
    /// Nothing is shown that was not, and there may be less.
    Narrower,
    /// Something is shown that was not, and something is not that was.
    Incomparable,
    /// Logic cannot tell.
    Unknown,
}

impl Width {
    /// Whether anything may be shown that was not: what cannot be told counts as such.
    pub fn widens(self) -> bool {
        match self {
            Self::Equal | Self::Narrower => false,
            Self::Wider | Self::Incomparable | Self::Unknown => true,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Equal, one) | (one, Self::Equal) => one,
            (Self::Incomparable, _) | (_, Self::Incomparable) => Self::Incomparable,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (one, other) if one == other => one,
            (_, _) => Self::Incomparable,
        }
    }

    /// How old stands to new.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Wider => Self::Narrower,
            Self::Narrower => Self::Wider,
            Self::Equal | Self::Incomparable | Self::Unknown => self,
        }
    }

    /// From whether each side surely holds all of the other; `None` where it cannot be told.
    pub(crate) fn of(old_in_new: Option<bool>, new_in_old: Option<bool>) -> Self {
        match (old_in_new, new_in_old) {
            (Some(true), Some(true)) => Self::Equal,
            (Some(true), _) => Self::Wider,
            (_, Some(true)) => Self::Narrower,
            (Some(false), Some(false)) => Self::Incomparable,
            (None, _) | (_, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "equal",
            Self::Wider => "wider",
            Self::Narrower => "narrower",
            Self::Incomparable => "incomparable",
            Self::Unknown => "unknown",
        })
    }
}

/// What differs between two decisions about one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The table.
    pub table: TableName,
    /// Whether the table is shown, where that differs.
    pub verdict: Option<(Verdict, Verdict)>,
    /// Columns that are shown and were not.
    pub gained: Vec<String>,
    /// Columns that were shown and are not.
    pub lost: Vec<String>,
    /// Columns that are shown by both, and are now another column of the source or of another type.
    pub replaced: Vec<String>,
    /// Columns that are shown by both, differently.
    pub treatments: Vec<TreatmentChange>,
    /// The rows that are shown.
    pub rows: Width,
    /// The limits that differ.
    pub limits: Vec<LimitChange>,
}

/// A column, or a field inside one, that is shown differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TreatmentChange {
    /// The column, or the path of the field.
    pub column: String,
    /// How it was shown.
    pub old: Showing,
    /// How it is shown.
    pub new: Showing,
    /// How the new treatment stands to the old.
    pub width: Width,
    /// Whether it is so on some rows only, because agreements show the column differently.
    pub on_some_rows: bool,
}

/// A limit that differs; without a number it is the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitChange {
    /// Its name in a contract.
    pub limit: &'static str,
    /// What it was.
    pub old: Option<u64>,
    /// What it is.
    pub new: Option<u64>,
}

impl LimitChange {
    /// How the new limit stands to the old.
    pub fn width(&self) -> Width {
        match (self.old, self.new) {
            (None, None) => Width::Equal,
            (Some(_), None) => Width::Wider,
            (None, Some(_)) => Width::Narrower,
            (Some(old), Some(new)) => match new.cmp(&old) {
                std::cmp::Ordering::Less => Width::Narrower,
                std::cmp::Ordering::Equal => Width::Equal,
                std::cmp::Ordering::Greater => Width::Wider,
            },
        }
    }

    /// The limits that differ.
    pub(crate) fn between(old: Limits, new: Limits) -> Vec<Self> {
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
        differ
            .map(|(limit, old, new)| Self { limit, old, new })
            .collect()
    }
}

impl Change {
    /// Everything together: how what is shown now stands to what was.
    pub fn width(&self) -> Width {
        let when = |differs: bool, width| if differs { width } else { Width::Equal };
        let treatments = self.treatments.iter().map(|change| change.width);
        let limits = self.limits.iter().map(LimitChange::width);
        [
            self.rows,
            when(!self.gained.is_empty(), Width::Wider),
            when(!self.lost.is_empty(), Width::Narrower),
            when(!self.replaced.is_empty(), Width::Unknown),
        ]
        .into_iter()
        .chain(treatments)
        .chain(limits)
        .fold(Width::Equal, Width::and)
    }

    /// What differs, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((old, new)) = &self.verdict {
            lines.push(format!("{} → {}", verdict(old), verdict(new)));
        }
        for (what, columns) in [
            ("columns gained", &self.gained),
            ("columns lost", &self.lost),
            ("columns replaced", &self.replaced),
        ] {
            if !columns.is_empty() {
                lines.push(format!("{what}: {}", columns.join(", ")));
            }
        }
        lines.extend(self.treatments.iter().map(ToString::to_string));
        if self.rows != Width::Equal && self.verdict.is_none() {
            lines.push(format!("rows: {}", self.rows));
        }
        lines.extend(self.limits.iter().map(ToString::to_string));
        lines
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Shown => "shown".to_owned(),
        Verdict::NoAgreement => "no agreement".to_owned(),
        Verdict::PurposeRequired => "a purpose must be stated".to_owned(),
        Verdict::Closed { guard, .. } => format!("closed by {guard}"),
    }
}

impl fmt::Display for TreatmentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (treatments::words(&self.old), treatments::words(&self.new));
        if self.old == self.new {
            write!(f, "{}: {new}, of other keys", self.column)?;
        } else {
            write!(f, "{}: {old} → {new}", self.column)?;
        }
        if self.on_some_rows {
            f.write_str(" on some rows")?;
        }
        write!(f, " ({})", self.width)
    }
}

impl fmt::Display for LimitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |n| n.to_string());
        let (old, new) = (number(self.old), number(self.new));
        write!(f, "{}: {old} → {new} ({})", self.limit, self.width())
    }
}

/// Compares what two policy sets decided of one request; `None` when nothing that is shown differs.
///
/// Each decision must be its policy set's own.
pub fn decisions(old: (&PolicySet, &Decision), new: (&PolicySet, &Decision)) -> Option<Change> {
    if old.1.hash == new.1.hash {
        return None;
    }
    let pair = Pair::new(old, new);
    let columns = |decision: &Decision, other: &Decision| -> Vec<String> {
        let names = decision.columns.iter().map(|column| &column.name);
        let others = |name: &&String| other.columns.iter().any(|column| column.name == **name);
        names.filter(|name| !others(name)).cloned().collect()
    };
    let shown = |decision: &Decision| decision.verdict == Verdict::Shown;
    // Limits of a table that is not shown are nobody's.
    let mut limits = Vec::new();
    let (rows, treatments) = match (shown(old.1), shown(new.1)) {
        (true, true) => {
            limits = LimitChange::between(old.1.limits, new.1.limits);
            pair.compare()
        }
        (true, false) => (Width::Narrower, Vec::new()),
        (false, true) => (Width::Wider, Vec::new()),
        (false, false) => (Width::Equal, Vec::new()),
    };
    let change = Change {
        table: new.1.table.clone(),
        verdict: verdicts(&old.1.verdict, &new.1.verdict),
        gained: columns(new.1, old.1),
        lost: columns(old.1, new.1),
        replaced: pair.replaced(),
        treatments,
        rows,
        limits,
    };
    let differs = change.verdict.is_some() || !change.lines().is_empty();
    differs.then_some(change)
}

/// Which guard closes a table is nothing that is shown.
fn verdicts(old: &Verdict, new: &Verdict) -> Option<(Verdict, Verdict)> {
    let same = std::mem::discriminant(old) == std::mem::discriminant(new);
    (!same).then(|| (old.clone(), new.clone()))
}

/// Whether the column of a name is another column of the source, or of another type.
pub(crate) fn is_replaced(old: &Table, new: &Table, name: &str) -> bool {
    let find = |table: &Table| {
        let mut columns = table.columns.iter().zip(table.schema.fields());
        let (column, field) = columns.find(|(column, _)| column.name == name)?;
        let data_type = digest::without_nullability(field.data_type());
        Some((column.physical_name.clone(), data_type))
    };
    match (find(old), find(new)) {
        (Some(old), Some(new)) => old != new,
        (None, _) | (_, None) => false,
    }
}
