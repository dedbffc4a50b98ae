//! Tables as personas see them, without a statement.

use scrim_document::{Entry, MapReader, Node, Problems};

use super::expect::{Count, Shown, count, pattern, shown};
use super::{Placed, text_list};
use crate::policy_test::pattern::Pattern;
use crate::policy_test::shapes::{SEEN, SEES};

/// A table that is visible.
#[derive(Debug, Clone)]
pub(crate) struct SeenTable {
    /// Its name, as written.
    pub(crate) name: Placed<String>,
    /// How many of its rows are visible.
    pub(crate) rows: Option<Placed<Count>>,
    /// Its columns.
    pub(crate) columns: SeenColumns,
}

/// What is said about columns.
#[derive(Debug, Clone)]
pub(crate) enum SeenColumns {
    /// These are all, in this order.
    Exactly(Placed<Vec<String>>),
    /// How some of them are shown.
    Some(Vec<(String, Placed<SeenColumn>)>),
}

/// What must hold of one column.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of a test file that holds or is not asked"
)]
pub(crate) struct SeenColumn {
    /// How it is shown.
    pub(crate) shown: Option<Shown>,
    /// Texts that are in no value.
    pub(crate) never_contains: Vec<Placed<String>>,
    /// What each value matches.
    pub(crate) matches: Option<Placed<Pattern>>,
    /// Whether there is no value.
    pub(crate) all_null: bool,
    /// No value contains the one that it stands for.
    pub(crate) never_shows_input: bool,
    /// Equal values are shown as equal ones.
    pub(crate) same_for_same_input: bool,
    /// Different values are shown as different ones.
    pub(crate) distinct_for_distinct_input: bool,
    /// Personas to whom every value is shown differently.
    pub(crate) differs_between: Vec<Placed<String>>,
}

impl SeenTable {
    /// The columns of which more is said than that they are there.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&String, &SeenColumn)> {
        let named = match &self.columns {
            SeenColumns::Exactly(_) => &[],
            SeenColumns::Some(named) => named.as_slice(),
        };
        named.iter().map(|(name, column)| (name, &column.value))
    }
}

impl SeenColumn {
    /// Whether values must be looked at.
    pub(crate) fn asks_values(&self) -> bool {
        !self.never_contains.is_empty()
            || self.matches.is_some()
            || self.all_null
            || self.asks_inputs()
    }

    /// Whether values must be compared with those that they stand for.
    pub(crate) fn asks_inputs(&self) -> bool {
        self.never_shows_input
            || self.same_for_same_input
            || self.distinct_for_distinct_input
            || !self.differs_between.is_empty()
    }
}

/// Reads the tables that are visible.
pub(super) fn tables(node: Option<&Node>, problems: &mut Problems) -> Vec<SeenTable> {
    let entries = node.and_then(|node| node.map(problems)).unwrap_or_default();
    let table = |entry: &Entry| table(entry, problems);
    entries.iter().filter_map(table).collect()
}

fn table(entry: &Entry, problems: &mut Problems) -> Option<SeenTable> {
    let name = Placed::new(&entry.key, entry.name.to_string());
    let mut seen = SeenTable {
        name,
        rows: None,
        columns: SeenColumns::Some(Vec::new()),
    };
    // `care.patients:` alone says that it is there.
    if entry.value.is_null() {
        return Some(seen);
    }
    let mut map = MapReader::new(&entry.value, &SEES, problems)?;
    let (rows, columns) = (map.optional("rows"), map.optional("columns"));
    map.finish(problems);
    if let Some(node) = rows {
        seen.rows = Some(Placed::new(node, count(node, problems)?));
    }
    if let Some(node) = columns {
        seen.columns = match node.as_map() {
            Some(entries) => {
                let columns = entries.iter().filter_map(|entry| column(entry, problems));
                SeenColumns::Some(columns.collect())
            }
            None => SeenColumns::Exactly(Placed::new(node, node.string_list(problems)?)),
        };
    }
    Some(seen)
}

fn column(entry: &Entry, problems: &mut Problems) -> Option<(String, Placed<SeenColumn>)> {
    let node = &entry.value;
    let read = if node.as_map().is_some() {
        properties(node, problems)?
    } else {
        SeenColumn {
            shown: Some(shown(node, problems)?),
            ..SeenColumn::default()
        }
    };
    Some((entry.name.to_string(), Placed::new(node, read)))
}

fn properties(node: &Node, problems: &mut Problems) -> Option<SeenColumn> {
    let mut map = MapReader::new(node, &SEEN, problems)?;
    let mask = map.optional("mask");
    let matches = map.optional("matches");
    let never_contains = map.optional("never_contains");
    let differs_between = map.optional("differs_between");
    let mut flag = |key: &'static str, problems: &mut Problems| {
        map.optional(key).is_some_and(|node| holds(node, problems))
    };
    let column = SeenColumn {
        all_null: flag("all_null", problems),
        never_shows_input: flag("never_shows_input", problems),
        same_for_same_input: flag("same_for_same_input", problems),
        distinct_for_distinct_input: flag("distinct_for_distinct_input", problems),
        shown: mask.and_then(|node| shown(node, problems)),
        matches: matches.and_then(|node| Some(Placed::new(node, pattern(node, problems)?))),
        never_contains: text_list(never_contains, problems),
        differs_between: text_list(differs_between, problems),
    };
    map.finish(problems);
    if column.shown == Some(Shown::Hidden) && column.asks_values() {
        problems.push(node.error("a hidden column has no values"));
    }
    Some(column)
}

/// Reads a property that is asked for. `false` would ask for nothing and look as if it did.
fn holds(node: &Node, problems: &mut Problems) -> bool {
    let holds = node.bool(problems);
    if holds == Some(false) {
        let problem = node.error("expected true, found false");
        problems.push(problem.with_help("leave the key out to expect nothing"));
    }
    holds == Some(true)
}
