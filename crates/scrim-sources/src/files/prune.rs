//! Which files a filter leaves, by the columns in the names of their folders.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::Expr;

/// Whether a filter asks for columns of folders only, so that it is true or false for a whole file.
pub(super) fn is_of_folders(filter: &Expr, folders: &Fields) -> bool {
    let columns = filter.column_refs();
    let mut names = columns.iter().map(|column| column.name.as_str());
    // The order does not matter: all of them or none.
    let all = !columns.is_empty() && names.all(|name| folders.find(name).is_some());
    all && !filter.is_volatile() && !filter.exists(|e| Ok(is_other(e))).unwrap_or(true)
}

fn is_other(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::ScalarSubquery(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Placeholder(_)
    )
}

/// For each file whether the filters are true for its values.
///
/// # Errors
/// When a filter cannot be evaluated.
pub(super) fn kept(
    session: &dyn Session,
    folders: &Fields,
    values: &[Vec<ScalarValue>],
    filters: &[&Expr],
) -> Result<Vec<bool>> {
    let mut kept = vec![true; values.len()];
    if filters.is_empty() || values.is_empty() {
        return Ok(kept);
    }
    let columns = folders.iter().enumerate().map(|(index, _)| {
        let column = values.iter().filter_map(|file| file.get(index).cloned());
        ScalarValue::iter_to_array(column)
    });
    let fields = folders
        .iter()
        .map(|f| Field::new(f.name(), f.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
    let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let schema = DFSchema::try_from(schema)?;
    for filter in filters {
        let filter = session.create_physical_expr((*filter).clone(), &schema)?;
        let answers = filter.evaluate(&batch)?.into_array(values.len())?;
        if *answers.data_type() != DataType::Boolean {
            return internal_err!("a filter that is no condition");
        }
        for (kept, answer) in kept.iter_mut().zip(answers.as_boolean()) {
            *kept &= answer == Some(true);
        }
    }
    Ok(kept)
}
