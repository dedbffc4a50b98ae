//! Which arguments keep a listed function from raising.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, ExprSchemable};

use super::casts::{is_float, is_scalar, is_scalar_list};
use super::functions::{self, Rule};
use super::{Fault, ip_in};

/// Positions and lengths that functions over text may be given.
const SLICE: std::ops::RangeInclusive<i64> = 0..=1_000_000;

/// Parts that exist for every date and timestamp.
const DATE_PARTS: [&str; 11] = [
    "year", "quarter", "month", "week", "day", "doy", "dow", "isodow", "isoyear", "hour", "minute",
];

/// Checks a call; its arguments are checked by the caller.
pub(super) fn check(call: &ScalarFunction, schema: &DFSchema) -> Result<(), Fault> {
    let name = call.func.name();
    let Some(listed) = functions::listed(name) else {
        return Err(Fault::new(format!(
            "the function `{name}` cannot be used in a policy"
        )));
    };
    let types: Result<Vec<DataType>, _> = call
        .args
        .iter()
        .map(|argument| argument.get_type(schema))
        .collect();
    let types = types?;
    let refused = |what: &str| Err(Fault::new(format!("`{name}` {what}")));
    match listed.rule {
        Rule::Scalars if types.iter().all(is_scalar) => Ok(()),
        Rule::Scalars => refused("is only offered for plain values, not for lists or structs"),
        Rule::Lists
            if types
                .iter()
                .all(|kind| is_scalar(kind) || is_scalar_list(kind)) =>
        {
            Ok(())
        }
        Rule::Lists => refused("is only offered for lists of plain values"),
        Rule::Float if types.first().is_some_and(is_float) && literals(call, 1) => Ok(()),
        Rule::Float => Err(Fault::new(format!("`{name}` can overflow on this type"))
            .help(format!("write `{name}(CAST(… AS DOUBLE))`"))),
        Rule::Slice => check_slice(call),
        Rule::Regex => check_pattern(call.args.get(1).and_then(text), call.args.len() == 2),
        Rule::DatePart => check_date_part(call, &types),
        Rule::Field if is_field_access(call, &types) => Ok(()),
        Rule::Field => refused("is only offered for fields of a struct, by name"),
        Rule::Networks => check_networks(call),
    }
}

fn literals(call: &ScalarFunction, from: usize) -> bool {
    call.args
        .iter()
        .skip(from)
        .all(|argument| matches!(argument, Expr::Literal(..)))
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(scalar, _) => scalar.try_as_str().flatten(),
        _ => None,
    }
}

fn is_field_access(call: &ScalarFunction, types: &[DataType]) -> bool {
    let named = |argument: &Expr| text(argument).is_some_and(|name| !name.is_empty());
    matches!(types.first(), Some(DataType::Struct(_))) && call.args.iter().skip(1).all(named)
}

fn check_slice(call: &ScalarFunction) -> Result<(), Fault> {
    let within = |argument: &Expr| match argument {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => SLICE.contains(number),
        _ => false,
    };
    if call.args.iter().skip(1).all(within) {
        return Ok(());
    }
    let name = call.func.name();
    Err(Fault::new(format!(
        "`{name}` can fail when positions and lengths are no fixed numbers"
    ))
    .help(format!(
        "write numbers from {} to {}",
        SLICE.start(),
        SLICE.end()
    )))
}

/// Checks a regular expression; `plain` when there are no flags beside it.
pub(super) fn check_pattern(pattern: Option<&str>, plain: bool) -> Result<(), Fault> {
    let Some(pattern) = pattern else {
        return Err(Fault::new("a regular expression must be a literal"));
    };
    if !plain {
        return Err(Fault::new("a regular expression takes no flags here")
            .help("write them into the pattern, like `(?i)abc`"));
    }
    let test = arrow::array::StringArray::from(vec![""]);
    let compiled = arrow::compute::kernels::regexp::regexp_is_match_scalar(&test, pattern, None);
    compiled
        .map(drop)
        .map_err(|_| Fault::new(format!("`{pattern}` is no regular expression")))
}

fn check_date_part(call: &ScalarFunction, types: &[DataType]) -> Result<(), Fault> {
    let part = call.args.first().and_then(text).map(str::to_lowercase);
    if !part
        .as_deref()
        .is_some_and(|part| DATE_PARTS.contains(&part))
    {
        return Err(Fault::new("this part of a date is not offered")
            .help(format!("the parts are {}", DATE_PARTS.join(", "))));
    }
    match types.get(1) {
        Some(DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) => Ok(()),
        _ => Err(Fault::new(
            "`date_part` is only offered for dates and timestamps",
        )),
    }
}

fn check_networks(call: &ScalarFunction) -> Result<(), Fault> {
    for argument in call.args.iter().skip(1) {
        let Some(network) = text(argument) else {
            return Err(Fault::new("the networks of `ip_in` must be literals")
                .help("for a named network write `array_has(context.network, 'name')`"));
        };
        if ip_in::network(network).is_none() {
            return Err(Fault::new(format!("`{network}` is no network"))
                .help("write an address and a length, like '10.0.0.0/8'"));
        }
    }
    Ok(())
}
