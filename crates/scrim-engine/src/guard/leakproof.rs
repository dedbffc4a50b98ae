//! Which predicates of a principal may be evaluated below the row filter.
//!
//! A predicate is leakproof if no input can make it fail and it tells nothing but its result. Those
//! predicates reach pruning; they are advisory, since the plan above evaluates them again. Anything
//! not on this list stays above the guard.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator};

/// Literals that one `IN` list may have.
const LIST_MAX: usize = 1_000;

/// Whether `expr` is leakproof, given the guard's schema and which of its columns are clear for
/// every matching agreement.
pub(crate) fn is_leakproof(expr: &Expr, schema: &Schema, is_clear: &dyn Fn(&str) -> bool) -> bool {
    let column = |e: &Expr| clear_column(e, schema, is_clear);
    let again = |e: &Expr| is_leakproof(e, schema, is_clear);
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => again(left) && again(right),
        Expr::Not(inner) => again(inner),
        Expr::Column(_) => column(expr) == Some(DataType::Boolean),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            match (column(left), column(right)) {
                (Some(a), Some(b)) => a == b && is_simple(&a),
                (Some(a), None) => is_literal(right, &a),
                (None, Some(b)) => is_literal(left, &b),
                (None, None) => false,
            }
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner).is_some(),
        Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNotUnknown(inner) => column(inner) == Some(DataType::Boolean),
        Expr::Between(Between {
            expr,
            low,
            high,
            negated: _,
        }) => column(expr).is_some_and(|t| is_literal(low, &t) && is_literal(high, &t)),
        Expr::InList(InList {
            expr,
            list,
            negated: _,
        }) => {
            list.len() <= LIST_MAX
                && column(expr).is_some_and(|t| list.iter().all(|item| is_literal(item, &t)))
        }
        Expr::Like(Like {
            expr,
            pattern,
            negated: _,
            escape_char: None,
            case_insensitive: _,
        }) => column(expr).is_some_and(|t| is_text(&t) && is_literal(pattern, &t)),
        _ => false,
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn clear_column(expr: &Expr, schema: &Schema, is_clear: &dyn Fn(&str) -> bool) -> Option<DataType> {
    let Expr::Column(column) = expr else {
        return None;
    };
    let field = schema.field_with_name(&column.name).ok()?;
    is_clear(&column.name).then(|| field.data_type().clone())
}

/// Types whose comparison cannot fail and whose pruning is exact; nested and dictionary values are left
/// above. Floats too: statistics leave out NaN and tell 0.0 from -0.0, so whether a row survives pruning
/// would depend on the rows beside it.
pub(super) fn is_simple(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_decimal()
        || is_text(data_type)
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
        )
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_literal(expr: &Expr, of: &DataType) -> bool {
    let Expr::Literal(value, _) = expr else {
        return false;
    };
    is_simple(of) && (value.data_type() == *of || matches!(value, ScalarValue::Null))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::prelude::{cast, col, lit};

    use super::*;

    #[test]
    fn inv_06_only_total_predicates_on_clear_columns_pass() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("other", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("masked", DataType::Utf8, true),
            Field::new("weight", DataType::Float64, true),
        ]);
        let clear = |name: &str| name != "masked";
        let ok = |e: Expr| is_leakproof(&e, &schema, &clear);
        assert!(ok(col("id").eq(lit(1_i64))));
        assert!(ok(lit(1_i64).lt(col("id"))));
        assert!(ok(col("id").eq(col("other"))));
        assert!(ok(col("id")
            .between(lit(1_i64), lit(3_i64))
            .and(col("name").is_not_null())));
        assert!(ok(col("name").like(lit("a%"))));
        assert!(ok(col("id").in_list(vec![lit(1_i64), lit(2_i64)], false)));
        assert!(!ok(col("masked").eq(lit("x"))));
        assert!(!ok(col("masked").is_null()));
        assert!(!ok(col("id").eq(lit(1_i32))));
        assert!(!ok(cast(col("name"), DataType::Int64).eq(lit(1_i64))));
        assert!(!ok((lit(100_i64) / col("id")).gt(lit(1_i64))));
        assert!(!ok(col("weight").gt(lit(1.5_f64))));
        assert!(!ok(lit(true)));
        assert!(!ok(col("name").like(col("name"))));
        assert!(!ok(col("id").eq(lit(1_i64)).or(col("masked").eq(lit("x")))));
    }
}
