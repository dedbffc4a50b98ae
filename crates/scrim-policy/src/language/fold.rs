//! Coercion, constant folding, and binding values into an expression.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DFSchemaRef, Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::{InList, InSubquery};
use datafusion_expr::logical_plan::{LogicalPlan, Subquery};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::utils::{conjunction, disjunction};
use datafusion_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, lit};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::scope::{Scope, member};
use super::total;

fn simplifier(schema: &DFSchemaRef, options: &Arc<ConfigOptions>) -> ExprSimplifier {
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .with_config_options(Arc::clone(options))
        .build();
    ExprSimplifier::new(context)
}

/// Inserts the conversions that operators need.
pub(super) fn coerce(expr: Expr, scope: &Scope, options: &Arc<ConfigOptions>) -> Result<Expr> {
    let coerced = simplifier(&scope.schema, options).coerce(expr, &scope.schema)?;
    let aligned = coerced.transform_up(|expr| align_clock(expr, scope))?;
    Ok(aligned.data)
}

/// Folds constants.
pub(crate) fn simplify(
    expr: Expr,
    schema: &DFSchemaRef,
    options: &Arc<ConfigOptions>,
) -> Result<Expr> {
    let expr = expr.transform_up(|expr| Ok(spread_list(expr)))?.data;
    simplifier(schema, options).simplify(expr)
}

/// Writes a list as comparisons unless it holds known values alone.
///
/// The simplifier reckons with lists as with sets: of `x IN (1, 2) AND x NOT IN (3, y)` it keeps
/// `x IN (1, 2)`, although `y` may be 1, or unknown.
fn spread_list(expr: Expr) -> Transformed<Expr> {
    let is_known = |item: &Expr| matches!(item, Expr::Literal(value, _) if !value.is_null());
    match expr {
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) if !list.iter().all(is_known) => {
            let compared = list.into_iter().map(|item| {
                let x = expr.as_ref().clone();
                if negated { x.not_eq(item) } else { x.eq(item) }
            });
            let joined = if negated {
                conjunction(compared)
            } else {
                disjunction(compared)
            };
            Transformed::yes(joined.unwrap_or_else(|| lit(negated)))
        }
        other => Transformed::no(other),
    }
}

/// Moves a conversion from a column of timestamps to the time that it is compared with.
///
/// `visited > context.time` is coerced to `CAST(visited AS …) > context.time` when the two differ
/// in unit or zone, and that conversion can fail on some row. The other way round it cannot, and
/// the time of a request has no digits beyond microseconds that could get lost.
fn align_clock(expr: Expr, scope: &Scope) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return Ok(Transformed::no(expr));
    };
    if is_comparison(op) {
        for (column, clock, flipped) in [(&left, &right, false), (&right, &left, true)] {
            let Expr::Cast(Cast { expr: inner, .. }) = column.as_ref() else {
                continue;
            };
            let fine = matches!(
                inner.get_type(&scope.schema)?,
                DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
            );
            let is_time = matches!(clock.get_type(&scope.schema)?, DataType::Timestamp(..));
            if !fine || !is_time || !total::is_clock(clock) || total::is_clock(inner) {
                continue;
            }
            let to = inner.get_type(&scope.schema)?;
            let moved = Expr::Cast(Cast::new(clock.clone(), to));
            let (left, right) = if flipped {
                (moved, *inner.clone())
            } else {
                (*inner.clone(), moved)
            };
            let aligned = BinaryExpr::new(Box::new(left), op, Box::new(right));
            return Ok(Transformed::yes(Expr::BinaryExpr(aligned)));
        }
    }
    Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr {
        left,
        op,
        right,
    })))
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
    )
}

/// Rewrites an expression and those inside its look-ups.
pub(super) fn rewrite(
    expr: Expr,
    step: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Expr> {
    let rewritten = expr.transform_up(|expr| match expr {
        Expr::InSubquery(lookup) => Ok(Transformed::yes(rewrite_lookup(lookup, step)?)),
        other => step(other),
    })?;
    Ok(rewritten.data)
}

fn rewrite_lookup(
    lookup: InSubquery,
    step: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Expr> {
    let Subquery {
        subquery, spans, ..
    } = lookup.subquery;
    let plan = Arc::unwrap_or_clone(subquery);
    let plan: LogicalPlan = plan
        .transform_up(|node| node.map_expressions(|expr| expr.transform_up(&mut *step)))?
        .data;
    let outer_ref_columns = plan.all_out_ref_exprs();
    let subquery = Subquery {
        subquery: Arc::new(plan),
        outer_ref_columns,
        spans,
    };
    Ok(Expr::InSubquery(InSubquery::new(
        lookup.expr,
        subquery,
        lookup.negated,
    )))
}

/// The members that an expression uses, look-ups included.
pub(crate) fn members(expr: &Expr) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut collect = |expr: &Expr| {
        found.extend(member(expr).map(str::to_owned));
        Ok(TreeNodeRecursion::Continue)
    };
    expr.apply(|expr| {
        if let Expr::InSubquery(lookup) = expr {
            lookup
                .subquery
                .subquery
                .apply(|plan| plan.apply_expressions(|expr| expr.apply(&mut collect)))?;
        }
        collect(expr)
    })?;
    Ok(found)
}

/// Puts literals in the place of members; members that are not given stay.
pub(crate) fn substitute(expr: Expr, values: &BTreeMap<String, ScalarValue>) -> Result<Expr> {
    rewrite(expr, &mut |expr| {
        let value = member(&expr).and_then(|name| values.get(name)).cloned();
        Ok(match value {
            Some(value) => Transformed::yes(Expr::Literal(value, None)),
            None => Transformed::no(expr),
        })
    })
}

/// Binds all members of a checked expression over a table's columns, and folds.
///
/// What does not come out as a condition over columns alone that cannot raise, for whatever reason,
/// is no.
pub(crate) fn bind(
    expr: &Expr,
    values: &BTreeMap<String, ScalarValue>,
    schema: &DFSchemaRef,
    options: &Arc<ConfigOptions>,
) -> Expr {
    let bound = substitute(expr.clone(), values)
        .and_then(|expr| simplify_lookups(expr, options))
        .and_then(|expr| simplify(expr, schema, options))
        .and_then(|expr| match deny_unknown(expr)? {
            Transformed {
                data,
                transformed: true,
                ..
            } => simplify(data, schema, options),
            Transformed { data, .. } => Ok(data),
        })
        .ok()
        .filter(|expr| total::check(expr, schema).is_ok() && has_no_member(expr));
    match bound {
        Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => lit(true),
        Some(Expr::Literal(..)) | None => lit(false),
        Some(expr) => expr,
    }
}

/// Binds some members of a checked expression and leaves the others, to compare it with another.
pub(crate) fn bind_known(
    expr: &Expr,
    values: &BTreeMap<String, ScalarValue>,
    schema: &DFSchemaRef,
    options: &Arc<ConfigOptions>,
) -> Result<Expr> {
    let bound = substitute(expr.clone(), values)?;
    simplify(simplify_lookups(bound, options)?, schema, options)
}

/// Folds constants in the conditions of look-ups.
fn simplify_lookups(expr: Expr, options: &Arc<ConfigOptions>) -> Result<Expr> {
    let simplified = expr.transform_up(|expr| {
        let Expr::InSubquery(mut lookup) = expr else {
            return Ok(Transformed::no(expr));
        };
        let plan = Arc::unwrap_or_clone(lookup.subquery.subquery);
        let plan = plan.transform_up(|node| {
            let LogicalPlan::Filter(mut filter) = node else {
                return Ok(Transformed::no(node));
            };
            filter.predicate = simplify(filter.predicate, filter.input.schema(), options)?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        })?;
        lookup.subquery.subquery = Arc::new(plan.data);
        Ok(Transformed::yes(Expr::InSubquery(lookup)))
    })?;
    Ok(simplified.data)
}

/// Writes `false` for NULL where the two mean the same: `region = 'EU' OR NULL` admits what
/// `region = 'EU'` does, and only the latter can be pruned with.
fn deny_unknown(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let (left, right) = (deny_unknown(*left)?, deny_unknown(*right)?);
            let changed = left.transformed || right.transformed;
            let binary = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
            Ok(Transformed::new_transformed(
                Expr::BinaryExpr(binary),
                changed,
            ))
        }
        Expr::Literal(value, _) if value.is_null() => Ok(Transformed::yes(lit(false))),
        other => Ok(Transformed::no(other)),
    }
}

/// Plans an expression as it will be evaluated, to find at load what only planning finds.
pub(super) fn plan(expr: &Expr, schema: &DFSchemaRef) -> Result<()> {
    let rows = expr.clone().transform_up(|expr| match expr {
        Expr::InSubquery(lookup) => {
            lookup.subquery.subquery.apply(|node| {
                let LogicalPlan::Filter(filter) = node else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                let inner = filter.predicate.clone().transform_up(|expr| match expr {
                    Expr::OuterReferenceColumn(field, _) => {
                        let unknown = ScalarValue::try_from(field.data_type())?;
                        Ok(Transformed::yes(Expr::Literal(unknown, None)))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                physical(&inner.data, filter.input.schema())?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(Transformed::yes(lit(true)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    physical(&rows.data, schema).map(drop)
}

/// An expression as it will be evaluated.
pub(crate) fn physical(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    create_physical_expr(expr, schema, &props, &context)
}

fn has_no_member(expr: &Expr) -> bool {
    members(expr).is_ok_and(|members| members.is_empty())
}
