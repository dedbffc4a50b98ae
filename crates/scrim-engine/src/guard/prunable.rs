//! A learned filter in a form that statistics can be held against.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, lit};
use datafusion::physical_plan::PhysicalExpr;

/// A filter that says the same to rows and less to statistics.
///
/// A join in partitions learns `CASE partition(key) WHEN 0 THEN … WHEN 1 THEN … END`. No statistics
/// tell the partition of a key, but what holds for none of the branches holds for no row.
#[derive(Debug, Eq)]
pub(super) struct Prunable {
    filter: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Prunable {
    fn eq(&self, other: &Self) -> bool {
        self.filter.eq(&other.filter)
    }
}

impl Hash for Prunable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
    }
}

impl Prunable {
    pub(super) fn over(filter: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(Self { filter })
    }
}

impl fmt::Display for Prunable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("learned")
    }
}

impl PhysicalExpr for Prunable {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.filter.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.filter]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Ok([filter]) = <[_; 1]>::try_from(children) else {
            return internal_err!("a learned filter has one child");
        };
        Ok(Self::over(filter))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("learned")
    }

    /// Called from the leaves up, so that what is below is a snapshot already.
    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let now = self.filter.snapshot()?;
        Ok(Some(widened(now.as_ref().unwrap_or(&self.filter))))
    }
}

/// A condition that holds wherever `filter` does, without `CASE` as far as AND and OR reach.
fn widened(filter: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    if let Some(case) = filter.downcast_ref::<CaseExpr>() {
        let branches = case.when_then_expr().iter().map(|(_, then)| then);
        let any = branches.chain(case.else_expr()).map(widened);
        let any = any.reduce(|a, b| Arc::new(BinaryExpr::new(a, Operator::Or, b)));
        return any.unwrap_or_else(|| lit(false));
    }
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>()
        && matches!(binary.op(), Operator::And | Operator::Or)
    {
        let (left, right) = (widened(binary.left()), widened(binary.right()));
        return Arc::new(BinaryExpr::new(left, *binary.op(), right));
    }
    Arc::clone(filter)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{BooleanArray, Int64Array};
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, col};
    use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;

    use super::*;

    #[test]
    fn what_is_learned_in_partitions_is_widened_for_statistics() {
        let schema = Schema::new(vec![Field::new("k", DataType::Int64, true)]);
        let key = col("k", &schema).unwrap();
        let at_least = |bound: i64| -> Arc<dyn PhysicalExpr> {
            Arc::new(BinaryExpr::new(
                Arc::clone(&key),
                Operator::GtEq,
                lit(bound),
            ))
        };
        let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(
            vec![Arc::clone(&key)],
            lit(true),
        ));
        let filter = Prunable::over(Arc::clone(&dynamic) as _);
        let now = || {
            snapshot_physical_expr(Arc::clone(&filter))
                .unwrap()
                .to_string()
        };
        assert_eq!(now(), "true");
        let branches = vec![(lit(0_i64), at_least(5)), (lit(1_i64), at_least(9))];
        let case = CaseExpr::try_new(Some(Arc::clone(&key)), branches, Some(lit(false))).unwrap();
        dynamic.update(Arc::new(case)).unwrap();
        assert_eq!(now(), "k@0 >= 5 OR k@0 >= 9 OR false");
        let rows =
            RecordBatch::try_from_iter([("k", Arc::new(Int64Array::from(vec![7])) as _)]).unwrap();
        // rows are judged as they were learned about: 7 is of no partition that has keys
        let kept = filter.evaluate(&rows).unwrap().into_array(1).unwrap();
        assert_eq!(kept.as_ref(), &BooleanArray::from(vec![false]));
    }
}
