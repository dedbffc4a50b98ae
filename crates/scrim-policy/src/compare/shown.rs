//! Two decisions against one another, row by row.

use datafusion_expr::Expr;

use super::logic::{Formula, Reader};
use super::solve::{Possible, possible};
use super::terms::Terms;
use super::treatments::Instead;
use super::{TreatmentChange, Width, is_replaced, treatments};
use crate::set::Governed;
use crate::{ColumnDecision, Decision, PolicySet, RowRules, Showing};

/// What an old and a new policy set decided.
pub(super) struct Pair<'a> {
    old: Side<'a>,
    new: Side<'a>,
}

struct Side<'a> {
    set: &'a PolicySet,
    decision: &'a Decision,
    governed: Option<&'a Governed>,
}

/// The rows that one side shows, as statements about a row.
struct Rows {
    guards: Formula,
    arms: Vec<Formula>,
}

impl Rows {
    fn all(&self) -> Formula {
        Formula::All(vec![self.guards.clone(), Formula::Any(self.arms.clone())])
    }
}

impl<'a> Pair<'a> {
    pub(super) fn new(
        old: (&'a PolicySet, &'a Decision),
        new: (&'a PolicySet, &'a Decision),
    ) -> Self {
        let side = |(set, decision): (&'a PolicySet, &'a Decision)| Side {
            set,
            decision,
            governed: set.governed(&decision.table),
        };
        Self {
            old: side(old),
            new: side(new),
        }
    }

    /// Columns that both show and that are not the same column.
    pub(super) fn replaced(&self) -> Vec<String> {
        let names = self.both().map(|(old, _)| &old.name);
        names.filter(|name| self.is_other(name)).cloned().collect()
    }

    fn is_other(&self, column: &str) -> bool {
        match (self.old.governed, self.new.governed) {
            (Some(old), Some(new)) => is_replaced(&old.table, &new.table, column),
            (None, _) | (_, None) => false,
        }
    }

    /// The columns that both show.
    fn both(&self) -> impl Iterator<Item = (&'a ColumnDecision, &'a ColumnDecision)> {
        let new = &self.new.decision.columns;
        let old = self.old.decision.columns.iter();
        old.filter_map(|old| Some((old, new.iter().find(|column| column.name == old.name)?)))
    }

    /// How the rows stand to one another, and the columns that are shown differently.
    pub(super) fn compare(&self) -> (Width, Vec<TreatmentChange>) {
        let mut terms = Terms::default();
        let old = Self::read(&self.old, &mut terms, &|_| false);
        let new = Self::read(&self.new, &mut terms, &|name| self.is_other(name));
        let rows = match (&old, &new) {
            (Some(old), Some(new)) => width(&old.all(), &new.all(), &terms),
            (None, _) | (_, None) => Width::Unknown,
        };
        let compared = Compared {
            pair: self,
            old: old.as_ref(),
            new: new.as_ref(),
            terms: &terms,
        };
        let changes = self.both().flat_map(|both| compared.column(both));
        (rows, changes.collect())
    }

    /// `None` for a decision that its policy set cannot lower.
    fn read(side: &Side<'_>, terms: &mut Terms, is_other: &dyn Fn(&str) -> bool) -> Option<Rows> {
        let RowRules { guards, arms } = side.set.rules(side.decision).ok()?;
        let mut reader = Reader {
            terms,
            schema: &side.governed?.schema,
            is_other,
        };
        let mut read = |expr: &Expr| reader.is(expr, true);
        Some(Rows {
            guards: Formula::All(guards.iter().map(&mut read).collect()),
            arms: arms
                .iter()
                .map(|arm| arm.as_ref().map_or(Formula::constant(true), &mut read))
                .collect(),
        })
    }

    /// Whether keyed masks of both sides have the same keys: those of a recipient under a contract's
    /// major version.
    fn same_keys(&self) -> bool {
        let keys = |side: &Side<'_>| {
            let contract = side.decision.contract.as_ref()?;
            let major = contract.version.split('.').next()?.to_owned();
            let recipient = side.decision.arms.first()?.recipient.clone();
            Some((contract.id.clone(), major, recipient))
        };
        keys(&self.old) == keys(&self.new)
    }
}

/// How the rows of which a new statement is true stand to those of an old one.
pub(super) fn width(old: &Formula, new: &Formula, terms: &Terms) -> Width {
    if old == new {
        return Width::Equal;
    }
    let holds = |one: &Formula, other: &Formula| match possible(&[one, &other.not(terms)], terms) {
        Possible::No => Some(true),
        Possible::Yes => Some(false),
        Possible::Unknown => None,
    };
    Width::of(holds(old, new), holds(new, old))
}

/// Rows and terms, for looking at columns.
struct Compared<'a> {
    pair: &'a Pair<'a>,
    old: Option<&'a Rows>,
    new: Option<&'a Rows>,
    terms: &'a Terms,
}

impl Compared<'_> {
    /// What changes of a column that both sides show.
    fn column(&self, (old, new): (&ColumnDecision, &ColumnDecision)) -> Vec<TreatmentChange> {
        let same_keys = self.pair.same_keys();
        let table = self.pair.new.governed.map(|governed| &governed.table);
        let field = table.and_then(|table| table.schema.field_with_name(&new.name).ok());
        treatments::changes(
            &new.name,
            field.map(arrow::datatypes::Field::data_type),
            (&old.treatments, &new.treatments),
            same_keys,
            &|was, is| self.pairs(was, is, same_keys),
        )
    }

    /// Every old treatment with every other new one that a row can have instead.
    fn pairs(&self, old: &[Showing], new: &[Showing], same_keys: bool) -> Vec<Instead> {
        if treatments::all_equal(old) && treatments::all_equal(new) {
            return treatments::single(old, new, same_keys);
        }
        let mut pairs = Vec::new();
        for (was, old_rows) in regions(old, self.old, self.terms) {
            for (is, new_rows) in regions(new, self.new, self.terms) {
                if treatments::same(was, is, same_keys) {
                    continue;
                }
                let together = match (&old_rows, &new_rows) {
                    (Some(old), Some(new)) => possible(&[old, new], self.terms),
                    (None, _) | (_, None) => Possible::Unknown,
                };
                if together != Possible::No {
                    pairs.push((was.clone(), is.clone()));
                }
            }
        }
        pairs
    }
}

/// The different treatments of a column, each with the rows that are shown so; `None` when the rows
/// are not known.
fn regions<'s>(
    showings: &'s [Showing],
    rows: Option<&Rows>,
    terms: &Terms,
) -> Vec<(&'s Showing, Option<Formula>)> {
    let showings: Vec<&Showing> = showings.iter().collect();
    let mut found: Vec<(&'s Showing, Vec<Formula>)> = Vec::new();
    let mut before: Vec<(&Showing, Formula)> = Vec::new();
    for arm in treatments::by_openness(&showings) {
        let Some(showing) = showings.get(arm).copied() else {
            continue;
        };
        let admits = rows.and_then(|rows| rows.arms.get(arm));
        let admits = admits.cloned().unwrap_or(Formula::constant(false));
        let others = before.iter().filter(|(other, _)| *other != showing);
        let mut parts: Vec<Formula> = others.map(|(_, rows)| rows.not(terms)).collect();
        parts.push(admits.clone());
        before.push((showing, admits));
        let way = Formula::All(parts);
        match found.iter_mut().find(|(known, _)| *known == showing) {
            Some((_, ways)) => ways.push(way),
            None => found.push((showing, vec![way])),
        }
    }
    let with_guards = |ways: Vec<Formula>| {
        let guards = rows?.guards.clone();
        Some(Formula::All(vec![guards, Formula::Any(ways)]))
    };
    found
        .into_iter()
        .map(|(showing, ways)| (showing, with_guards(ways)))
        .collect()
}
