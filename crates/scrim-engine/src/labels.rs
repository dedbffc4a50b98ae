//! Columns of one result with the same name.
//!
//! The planner wants every name to be unique. SQL does not, and tools send such statements: the later
//! ones of the outermost SELECT get a mark for the planner, which the result does not show.

use std::collections::BTreeMap;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement};

/// No name that is typed has it.
const MARK: char = '\u{1}';

/// Whether a statement was refused because of equal names.
pub(crate) fn are_equal(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => matches!(
            schema.as_ref(),
            SchemaError::AmbiguousReference { .. }
                | SchemaError::DuplicateQualifiedField { .. }
                | SchemaError::DuplicateUnqualifiedField { .. }
        ),
        DataFusionError::Plan(text) => text.contains("require unique expression names"),
        _ => false,
    }
}

/// Marks the columns of the outermost SELECT whose names were there before; whether there were any.
pub(crate) fn set_apart(statement: &mut Statement) -> bool {
    let Statement::Query(query) = statement else {
        return false;
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return false;
    };
    let (mut seen, mut any) = (BTreeMap::<String, usize>::new(), false);
    for item in &mut select.projection {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name_of(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), folded(alias)),
            _ => continue,
        };
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            any = true;
            let alias = Ident::with_quote('"', format!("{name}{MARK}{count}"));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
    any
}

/// A text without marks.
pub(crate) fn unmarked(text: &str) -> String {
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => folded(ident),
        Expr::CompoundIdentifier(idents) => idents.last().map(folded).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Names without quotes are in lower case.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn later_columns_are_marked_and_lose_the_mark_again() {
        for (sql, expected) in [
            ("SELECT 1 AS a, 2 AS a", "SELECT 1 AS a, 2 AS \"a|2\""),
            (
                "SELECT a, t.A, 1 AS a",
                "SELECT a, t.A AS \"a|2\", 1 AS \"a|3\"",
            ),
            (
                "SELECT count(*), *, count(*)",
                "SELECT count(*), *, count(*) AS \"count(*)|2\"",
            ),
            ("SELECT a, \"A\"", "SELECT a, \"A\""),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql)
                .unwrap()
                .remove(0);
            assert_eq!(set_apart(&mut statement), sql != expected);
            assert_eq!(statement.to_string().replace(MARK, "|"), expected);
        }
        assert_eq!(unmarked("a\u{1}2, b\u{1}13: c4"), "a, b: c4");
    }
}
