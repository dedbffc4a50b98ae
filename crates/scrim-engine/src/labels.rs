//! Columns of one result with the same name.
//!
//! The planner wants every name to be unique. SQL does not, and tools send such statements: the later
//! ones of the outermost SELECT get a mark for the planner, which the result does not show.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::Schema;
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
    // Where the first column of each name is, unless a `*` before it makes that unknown.
    let mut first = BTreeMap::<String, Option<usize>>::new();
    let (mut place, mut marks) = (Some(0), 0);
    for item in &mut select.projection {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name_of(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), folded(alias)),
            _ => {
                place = None;
                continue;
            }
        };
        match first.get(&name) {
            None => drop(first.insert(name, place)),
            Some(like) => {
                marks += 1;
                let like = like.map(|place| place.to_string()).unwrap_or_default();
                let alias = Ident::with_quote('"', format!("{name}{MARK}{marks}{MARK}{like}"));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        place = place.map(|place| place + 1);
    }
    marks > 0
}

/// The names that the columns of a result show.
pub(crate) fn shown(schema: &Schema) -> Vec<String> {
    let names = schema.fields().iter().map(|field| {
        let mut parts = field.name().split(MARK).skip(2);
        let like = parts.next().and_then(|place| place.parse::<usize>().ok());
        let like = like.and_then(|place| schema.fields().get(place));
        unmarked(like.unwrap_or(field).name())
    });
    names.collect()
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
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn apart(sql: &str) -> (bool, String) {
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql)
            .unwrap()
            .remove(0);
        let any = set_apart(&mut statement);
        (any, statement.to_string().replace(MARK, "|"))
    }

    #[test]
    fn later_columns_are_marked() {
        for (sql, expected) in [
            ("SELECT 1 AS a, 2 AS a", r#"SELECT 1 AS a, 2 AS "a|1|0""#),
            (
                "SELECT b, a, t.A, 1 AS a",
                r#"SELECT b, a, t.A AS "a|1|1", 1 AS "a|2|1""#,
            ),
            ("SELECT *, 1, 1", r#"SELECT *, 1, 1 AS "1|1|""#),
        ] {
            assert_eq!(apart(sql), (true, expected.to_owned()));
        }
        for sql in ["SELECT a, \"A\"", "SELECT * FROM t", "VALUES (1, 1)"] {
            assert!(!apart(sql).0, "{sql}");
        }
    }

    #[test]
    fn no_mark_is_shown() {
        let names = ["Int64(1)", "1\u{1}1\u{1}0", "b\u{1}2\u{1}", "c9"];
        let fields = names.map(|name| Field::new(name, DataType::Int64, true));
        let schema = Schema::new(fields.to_vec());
        assert_eq!(shown(&schema), ["Int64(1)", "Int64(1)", "b", "c9"]);
        assert_eq!(unmarked("a\u{1}2\u{1}0, b\u{1}1\u{1}: c4"), "a, b: c4");
    }
}
