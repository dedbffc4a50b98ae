//! Conditions of the principal and the request, compiled once when the policy set loads.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Fields, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{ColumnarValue, Expr};
use datafusion_physical_expr::PhysicalExpr;
use scrim_model::ValueType;

use crate::grounds::Grounds;
use crate::language::{Checked, Fault, fold, scope};

/// A compiled `who` or `when`.
pub(crate) enum Condition {
    /// It asks nothing.
    Known(bool),
    /// It asks about the members that its one-row batch holds.
    Asks {
        /// The condition as it was written, for comparing it with others.
        expr: Expr,
        /// The condition over the batch.
        condition: Arc<dyn PhysicalExpr>,
        /// The batch's schema.
        schema: SchemaRef,
        /// The batch's columns.
        members: Vec<(String, ValueType)>,
    },
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => write!(f, "{value}"),
            Self::Asks { condition, .. } => write!(f, "{condition}"),
        }
    }
}

impl Condition {
    /// Compiles a checked condition, with the agreement's values bound into it.
    pub(crate) fn compile(
        checked: Checked,
        scope: &scope::Scope,
        agreement: &BTreeMap<String, ScalarValue>,
        options: &Arc<ConfigOptions>,
    ) -> Result<Self, Fault> {
        let expr = fold::substitute(checked.expr, agreement)?;
        let expr = fold::simplify(expr, &scope.schema, options)?;
        if let Expr::Literal(value, _) = &expr {
            return Ok(Self::Known(matches!(
                value,
                ScalarValue::Boolean(Some(true))
            )));
        }
        let members: Vec<_> = fold::members(&expr)?
            .into_iter()
            .filter_map(|name| scope.members.get(&name).map(|kind| (name.clone(), *kind)))
            .collect();
        let fields: Fields = members
            .iter()
            .map(|(name, kind)| scope::member_field(name, *kind))
            .collect();
        let schema = DFSchema::from_unqualified_fields(fields, HashMap::new())?;
        let condition = fold::physical(&expr, &schema)?;
        Ok(Self::Asks {
            expr,
            condition,
            schema: Arc::clone(schema.inner()),
            members,
        })
    }

    /// What it asks about.
    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        let members = match self {
            Self::Known(_) => &[][..],
            Self::Asks { members, .. } => members,
        };
        members.iter().map(|(name, _)| name.as_str())
    }

    /// Whether it is true of what is known. Not known is not true, and neither is an error.
    pub(crate) fn holds(&self, grounds: &Grounds<'_>) -> bool {
        match self {
            Self::Known(value) => *value,
            Self::Asks {
                condition,
                schema,
                members,
                ..
            } => evaluate(condition.as_ref(), schema, members, grounds) == Some(true),
        }
    }
}

fn evaluate(
    condition: &dyn PhysicalExpr,
    schema: &SchemaRef,
    members: &[(String, ValueType)],
    grounds: &Grounds<'_>,
) -> Option<bool> {
    let columns: Result<Vec<ArrayRef>, _> = members
        .iter()
        .map(|(name, kind)| scope::scalar(grounds.value(name), *kind).to_array())
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch =
        RecordBatch::try_new_with_options(Arc::clone(schema), columns.ok()?, &options).ok()?;
    match condition.evaluate(&batch).ok()? {
        ColumnarValue::Scalar(ScalarValue::Boolean(value)) => value,
        ColumnarValue::Scalar(_) => None,
        ColumnarValue::Array(array) => {
            match ScalarValue::try_from_array(array.as_ref(), 0).ok()? {
                ScalarValue::Boolean(value) => value,
                _ => None,
            }
        }
    }
}
