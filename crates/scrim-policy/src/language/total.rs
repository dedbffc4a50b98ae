//! Expressions that cannot raise: on no row, whatever stands in it.
//!
//! A policy that fails on one hidden row tells that the row is there, and stops the query for
//! everyone. So every node must be on a list; what is not listed is refused.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{InSubquery, Like};
use datafusion_expr::logical_plan::LogicalPlan;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::casts::{cast_is_total, is_decimal, is_float, is_scalar, is_text, try_cast_is_total};
use super::scope::member;
use super::{Fault, calls};

/// Checks an expression whose types are already coerced.
pub(super) fn check(expr: &Expr, schema: &DFSchema) -> Result<(), Fault> {
    if is_clock(expr) {
        return Ok(());
    }
    match expr {
        Expr::Column(_) | Expr::Literal(..) => Ok(()),
        Expr::OuterReferenceColumn(..) if member(expr).is_some() => Ok(()),
        Expr::Alias(alias) => check(&alias.expr, schema),
        Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => check(inner, schema),
        Expr::Negative(inner) => check_negative(inner, schema),
        Expr::BinaryExpr(binary) => {
            check(&binary.left, schema)?;
            check(&binary.right, schema)?;
            check_operator(binary, schema)
        }
        Expr::Between(between) => {
            for part in [&between.expr, &between.low, &between.high] {
                check(part, schema)?;
                check_comparable(part, schema)?;
            }
            Ok(())
        }
        Expr::InList(list) => {
            for part in list.list.iter().chain([list.expr.as_ref()]) {
                check(part, schema)?;
                check_comparable(part, schema)?;
            }
            Ok(())
        }
        Expr::Case(case) => {
            let branches = case
                .when_then_expr
                .iter()
                .flat_map(|(when, then)| [when, then]);
            let parts = case.expr.iter().chain(branches).chain(&case.else_expr);
            parts.into_iter().try_for_each(|part| check(part, schema))
        }
        Expr::Like(like) => check_like(like, schema),
        Expr::Cast(cast) => {
            check(&cast.expr, schema)?;
            let from = cast.expr.get_type(schema)?;
            check_cast(&from, cast.field.data_type())
        }
        Expr::TryCast(cast) => {
            check(&cast.expr, schema)?;
            let from = cast.expr.get_type(schema)?;
            check_try_cast(&from, cast.field.data_type())
        }
        Expr::ScalarFunction(call) => {
            call.args
                .iter()
                .try_for_each(|argument| check(argument, schema))?;
            calls::check(call, schema)
        }
        Expr::InSubquery(subquery) => check_lookup(subquery, schema),
        other => Err(Fault::new(format!("`{other}` cannot be used in a policy"))),
    }
}

/// Whether an expression is computed from the time of the request alone. It is the same for every
/// row and folded before the first is read, and the clock is far from every limit.
pub(super) fn is_clock(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) | Expr::OuterReferenceColumn(..) => member(expr) == Some("context.time"),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Plus | Operator::Minus,
            right,
        }) => {
            let interval = |expr: &Expr| {
                matches!(
                    expr,
                    Expr::Literal(
                        ScalarValue::IntervalMonthDayNano(Some(_))
                            | ScalarValue::IntervalDayTime(Some(_))
                            | ScalarValue::IntervalYearMonth(Some(_)),
                        _
                    )
                )
            };
            is_clock(left) && interval(right)
        }
        Expr::Cast(cast) => {
            let to = cast.field.data_type();
            matches!(to, DataType::Date32 | DataType::Timestamp(..)) && is_clock(&cast.expr)
        }
        _ => false,
    }
}

fn check_comparable(expr: &Expr, schema: &DFSchema) -> Result<(), Fault> {
    let data_type = expr.get_type(schema)?;
    if is_scalar(&data_type) {
        return Ok(());
    }
    Err(
        Fault::new(format!("`{expr}` is {data_type}, which cannot be compared"))
            .help("compare its fields, or use `array_has`"),
    )
}

fn check_negative(inner: &Expr, schema: &DFSchema) -> Result<(), Fault> {
    check(inner, schema)?;
    let data_type = inner.get_type(schema)?;
    if is_float(&data_type) || data_type.is_signed_integer() {
        return Ok(());
    }
    Err(Fault::new(format!("`-` can overflow on {data_type}")).help("write `-CAST(… AS DOUBLE)`"))
}

fn check_operator(binary: &BinaryExpr, schema: &DFSchema) -> Result<(), Fault> {
    let left = binary.left.get_type(schema)?;
    let right = binary.right.get_type(schema)?;
    match binary.op {
        Operator::And | Operator::Or => Ok(()),
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => {
            check_comparable(&binary.left, schema)?;
            check_comparable(&binary.right, schema)
        }
        // DataFusion adds and multiplies integers with wrap-around, and floats to infinity.
        Operator::Plus | Operator::Minus | Operator::Multiply => {
            let same = left == right && (left.is_integer() || is_float(&left));
            let days = binary.op == Operator::Minus
                && left == DataType::Date32
                && right == DataType::Date32;
            if same || days {
                return Ok(());
            }
            Err(overflow(binary, &left, &right))
        }
        Operator::Divide | Operator::Modulo => check_division(binary, &left, &right),
        Operator::RegexMatch
        | Operator::RegexIMatch
        | Operator::RegexNotMatch
        | Operator::RegexNotIMatch => match binary.right.as_ref() {
            Expr::Literal(pattern, _) => calls::check_pattern(pattern.try_as_str().flatten(), true),
            _ => calls::check_pattern(None, true),
        },
        Operator::StringConcat if is_text(&left) && is_text(&right) => Ok(()),
        Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor
            if left == right && left.is_integer() =>
        {
            Ok(())
        }
        // The simplifier writes patterns without wildcards so.
        Operator::LikeMatch
        | Operator::ILikeMatch
        | Operator::NotLikeMatch
        | Operator::NotILikeMatch
            if matches!(binary.right.as_ref(), Expr::Literal(..)) =>
        {
            Ok(())
        }
        op => Err(Fault::new(format!(
            "the operator `{op}` cannot be used in a policy"
        ))),
    }
}

fn overflow(binary: &BinaryExpr, left: &DataType, right: &DataType) -> Fault {
    let op = binary.op;
    let fault = Fault::new(format!(
        "`{op}` of {left} and {right} can overflow on some row"
    ));
    if is_decimal(left) || is_decimal(right) {
        return fault.help(format!("write `CAST(… AS DOUBLE) {op} …`"));
    }
    if left.is_temporal() {
        return fault.help("compare the column with `context.time - INTERVAL '…'` instead");
    }
    fault
}

/// Floats follow IEEE 754; integers raise for zero, and the least one divided by -1 overflows.
fn check_division(binary: &BinaryExpr, left: &DataType, right: &DataType) -> Result<(), Fault> {
    let modulo = binary.op == Operator::Modulo;
    if left == right && is_float(left) {
        return Ok(());
    }
    if left == right && left.is_integer() {
        let divisor = integer(&binary.right);
        if divisor.is_some_and(|divisor| divisor != 0 && (modulo || divisor != -1)) {
            return Ok(());
        }
        let never_zero = is_nullif_zero(&binary.right);
        if never_zero && (modulo || left.is_unsigned_integer()) {
            return Ok(());
        }
    }
    let fault = Fault::new(format!("`{}` can fail on some row", binary.op));
    Err(if modulo && left.is_integer() {
        fault.help("write `… % NULLIF(…, 0)`, which is NULL where the divisor is 0")
    } else {
        fault.help("write `CAST(… AS DOUBLE) / NULLIF(…, 0)`, which is NULL where the divisor is 0")
    })
}

fn integer(expr: &Expr) -> Option<i128> {
    let Expr::Literal(scalar, _) = expr else {
        return None;
    };
    Some(match scalar {
        ScalarValue::Int8(Some(value)) => i128::from(*value),
        ScalarValue::Int16(Some(value)) => i128::from(*value),
        ScalarValue::Int32(Some(value)) => i128::from(*value),
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::UInt8(Some(value)) => i128::from(*value),
        ScalarValue::UInt16(Some(value)) => i128::from(*value),
        ScalarValue::UInt32(Some(value)) => i128::from(*value),
        ScalarValue::UInt64(Some(value)) => i128::from(*value),
        _ => return None,
    })
}

fn is_nullif_zero(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            call.func.name() == "nullif" && call.args.get(1).and_then(integer) == Some(0)
        }
        // A cast that cannot fail does not make a zero of anything else.
        Expr::Cast(cast) => cast.field.data_type().is_integer() && is_nullif_zero(&cast.expr),
        _ => false,
    }
}

fn check_like(like: &Like, schema: &DFSchema) -> Result<(), Fault> {
    check(&like.expr, schema)?;
    if like.escape_char.is_some() {
        return Err(Fault::new("`ESCAPE` is not offered").help("escape with a backslash"));
    }
    let data_type = like.expr.get_type(schema)?;
    let text = match &data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => is_text(other),
    };
    if !text {
        return Err(Fault::new(format!(
            "`LIKE` is only offered for text, not for {data_type}"
        )));
    }
    match like.pattern.as_ref() {
        Expr::Literal(..) => Ok(()),
        _ => Err(Fault::new("the pattern of `LIKE` must be a literal")
            .help("compare with `starts_with`, `ends_with` or `contains`")),
    }
}

fn check_cast(from: &DataType, to: &DataType) -> Result<(), Fault> {
    if cast_is_total(from, to) {
        return Ok(());
    }
    let fault = Fault::new(format!("converting {from} to {to} can fail on some row"));
    Err(match (from, to) {
        (DataType::Date32 | DataType::Date64, DataType::Timestamp(..)) => fault.help(
            "compare days with days (`CAST(context.time AS DATE)`), or write \
             `TRY_CAST(… AS TIMESTAMP)`",
        ),
        _ if try_cast_is_total(from, to) => {
            fault.help("write `TRY_CAST(… AS …)`, which is NULL where the value does not fit")
        }
        (DataType::Timestamp(..), DataType::Date32) => {
            fault.help("compare it with timestamps, or use `date_part`")
        }
        _ => fault,
    })
}

fn check_try_cast(from: &DataType, to: &DataType) -> Result<(), Fault> {
    if try_cast_is_total(from, to) {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "converting {from} to {to} can fail on some row, even with TRY_CAST"
    ));
    Err(match (from, to) {
        (DataType::Timestamp(..), DataType::Date32) => {
            fault.help("compare it with timestamps, or use `date_part`")
        }
        _ => fault,
    })
}

fn check_lookup(subquery: &InSubquery, schema: &DFSchema) -> Result<(), Fault> {
    check(&subquery.expr, schema)?;
    check_comparable(&subquery.expr, schema)?;
    check_plan(&subquery.subquery.subquery)
}

fn check_plan(plan: &LogicalPlan) -> Result<(), Fault> {
    match plan {
        LogicalPlan::TableScan(_) => Ok(()),
        LogicalPlan::Projection(projection) => {
            let schema = projection.input.schema();
            projection
                .expr
                .iter()
                .try_for_each(|expr| check(expr, schema))?;
            check_plan(&projection.input)
        }
        LogicalPlan::Filter(filter) => {
            check(&filter.predicate, filter.input.schema())?;
            check_plan(&filter.input)
        }
        other => Err(Fault::new(format!(
            "a look-up cannot hold `{}`",
            other.display()
        ))),
    }
}
