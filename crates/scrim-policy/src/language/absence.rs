//! Absence of evidence is absence of access.
//!
//! An attribute that is not known is NULL, a comparison with NULL is NULL, and a NULL condition is
//! false. That holds as long as nothing turns NULL back into a value: null tests, `CASE` and
//! functions such as `COALESCE` do, so they may not be applied to what may be unknown.

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::Case;
use datafusion_expr::{BinaryExpr, Expr, Operator};

use super::scope::{may_be_unknown, member};
use super::{Fault, fold, functions};

/// Refuses what could make something of an unknown attribute.
pub(super) fn check(expr: &Expr) -> Result<(), Fault> {
    let mut fault = None;
    expr.apply(|expr| {
        if let Some(what) = fills(expr)
            && let Some(name) = attribute(expr)?
        {
            fault.get_or_insert_with(|| {
                let message = format!(
                    "{what} on `{name}` would turn the absence of an attribute into something"
                );
                Fault::new(message)
                    .help("compare it with what it must be; if it is not known, that is not true")
            });
            return Ok(TreeNodeRecursion::Stop);
        }
        if let Expr::InSubquery(subquery) = expr {
            subquery.subquery.subquery.apply(|node| {
                node.apply_expressions(|inner| {
                    if let Err(found) = check(inner) {
                        fault.get_or_insert(found);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    fault.map_or(Ok(()), Err)
}

/// The name of an operation that can be something else than NULL when its input is.
fn fills(expr: &Expr) -> Option<&str> {
    Some(match expr {
        Expr::IsNull(_) | Expr::IsUnknown(_) | Expr::IsNotNull(_) | Expr::IsNotUnknown(_) => {
            "a null test"
        }
        Expr::IsTrue(_) | Expr::IsNotTrue(_) => "`IS [NOT] TRUE`",
        Expr::IsFalse(_) | Expr::IsNotFalse(_) => "`IS [NOT] FALSE`",
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom,
            ..
        }) => "`IS [NOT] DISTINCT FROM`",
        Expr::Case(_) => "`CASE`",
        Expr::ScalarFunction(call) => {
            let listed = functions::listed(call.func.name())?;
            if !listed.fills {
                return None;
            }
            call.func.name()
        }
        _ => return None,
    })
}

/// The first member of the principal or the request below an expression.
fn attribute(expr: &Expr) -> Result<Option<String>> {
    let mut found = None;
    expr.apply(|expr| {
        if let Some(name) = member(expr)
            && !name.starts_with("agreement.")
        {
            found = Some(name.to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Makes every call NULL of which an argument may be unknown and is.
///
/// Functions that are NULL for NULL by themselves are left as they are.
pub(super) fn propagate(expr: Expr) -> Result<Expr> {
    fold::rewrite(expr, &mut |expr| {
        let Expr::ScalarFunction(call) = &expr else {
            return Ok(Transformed::no(expr));
        };
        if functions::listed(call.func.name()).is_some_and(|listed| listed.strict) {
            return Ok(Transformed::no(expr));
        }
        let mut unknown = Vec::new();
        for argument in &call.args {
            argument.apply(|inner| {
                if member(inner).is_some_and(may_be_unknown) && !unknown.contains(inner) {
                    unknown.push(inner.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        let known = unknown
            .into_iter()
            .map(|member| Expr::IsNotNull(Box::new(member)));
        Ok(match known.reduce(Expr::and) {
            None => Transformed::no(expr),
            Some(known) => {
                let when = vec![(Box::new(known), Box::new(expr))];
                Transformed::yes(Expr::Case(Case::new(None, when, None)))
            }
        })
    })
}
