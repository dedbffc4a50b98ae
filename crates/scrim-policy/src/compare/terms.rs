//! The values that conditions speak of.

use arrow::datatypes::DataType;
use datafusion_common::Column;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::Expr;

use super::domain::{self, Key, Set};
use crate::language::scope::is_member_name;

/// What tells one term from another.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Name {
    /// The value of an expression.
    Value(Expr, DataType),
    /// How the values of two expressions lie to one another.
    Order(Expr, Expr),
}

#[derive(Debug)]
struct Term {
    name: Name,
    universe: Set,
    /// Whether it can have each value of its universe, whatever values other terms have.
    free: bool,
}

/// All terms of the conditions that are compared, each of which has one value for a row.
#[derive(Debug, Default)]
pub(super) struct Terms {
    list: Vec<Term>,
    parts: usize,
}

impl Terms {
    /// The term for the value of an expression.
    pub(super) fn value(
        &mut self,
        expr: &Expr,
        data_type: &DataType,
        is_other: &dyn Fn(&str) -> bool,
    ) -> usize {
        let name = match expr {
            Expr::Column(column) => Some(column.name.as_str()),
            _ => None,
        };
        let (universe, free) = match name {
            Some(name) => (
                of_member(name).unwrap_or_else(|| domain::universe(data_type)),
                // What is known of a request is not independent: its hour is that of its time.
                !is_member_name(name) || name.starts_with("principal."),
            ),
            None => (domain::universe(data_type), false),
        };
        let expr = Self::renamed(expr, is_other);
        self.intern(Name::Value(expr, data_type.clone()), universe, free)
    }

    /// The expression, in which columns that are others than those of the other policy set have
    /// names of their own.
    pub(super) fn renamed(expr: &Expr, is_other: &dyn Fn(&str) -> bool) -> Expr {
        let renamed = expr.clone().transform_up(|expr| {
            Ok(match expr {
                Expr::Column(column) if is_other(&column.name) => {
                    // No name holds this character.
                    let name = format!("{}\0", column.name);
                    Transformed::yes(Expr::Column(Column::from_name(name)))
                }
                other => Transformed::no(other),
            })
        });
        renamed.map_or_else(|_| expr.clone(), |renamed| renamed.data)
    }

    pub(super) fn intern(&mut self, name: Name, universe: Set, free: bool) -> usize {
        let known = self.list.iter().position(|term| term.name == name);
        known.unwrap_or_else(|| {
            self.list.push(Term {
                name,
                universe,
                free,
            });
            self.list.len() - 1
        })
    }

    /// All values that a term can have.
    pub(super) fn universe(&self, term: usize) -> &Set {
        static NOTHING: Set = Set::empty();
        self.list.get(term).map_or(&NOTHING, |term| &term.universe)
    }

    pub(super) fn is_free(&self, term: usize) -> bool {
        self.list.get(term).is_some_and(|term| term.free)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Counts one part of a condition; whether there may be so many.
    pub(super) fn count_part(&mut self, max: usize) -> bool {
        self.parts += 1;
        self.parts <= max
    }
}

/// What is known of members of the principal and the request beyond their types.
fn of_member(name: &str) -> Option<Set> {
    Some(match name {
        "context.hour" => Set::between(0, 23),
        "context.weekday" => Set::between(1, 7),
        "principal.kind" => ["human", "service", "agent"]
            .into_iter()
            .map(|kind| Set::only(Key::Bytes(kind.into())))
            .fold(Set::empty(), |all, kind| all.or(&kind)),
        "principal.id" | "principal.org" => domain::universe(&DataType::Utf8).without_null(),
        _ => return None,
    })
}
