//! Floats in an owner's rules, kept away from pruning.
//!
//! Statistics of files leave out NaN and tell 0.0 from -0.0. A row group that holds a visible NaN
//! would be skipped or not depending on the hidden numbers beside it, so no rule on a float may be
//! judged by statistics: the column is passed through a function that pruning cannot see through,
//! and every row is judged by its own value.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ExprSchema, Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The rule with every float column hidden from pruning.
pub(super) fn unpruned(rule: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Unpruned::new())));
    let hidden = rule.transform_up(|expr| {
        let Expr::Column(column) = &expr else {
            return Ok(Transformed::no(expr));
        };
        if !holds_floats(schema.data_type(column)?) {
            return Ok(Transformed::no(expr));
        }
        Ok(Transformed::yes(FUNCTION.call(vec![expr])))
    })?;
    Ok(hidden.data)
}

/// Whether a value of the type is a float or has one inside.
fn holds_floats(data_type: &DataType) -> bool {
    data_type.is_floating()
        || match data_type {
            DataType::Struct(fields) => fields.iter().any(|f| holds_floats(f.data_type())),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _)
            | DataType::RunEndEncoded(_, item) => holds_floats(item.data_type()),
            DataType::Dictionary(_, values) => holds_floats(values),
            DataType::Union(fields, _) => fields.iter().any(|(_, f)| holds_floats(f.data_type())),
            _ => false,
        }
}

/// Returns its argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Unpruned {
    signature: Signature,
}

impl Unpruned {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Unpruned {
    fn name(&self) -> &'static str {
        "unpruned"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [data_type] = arguments else {
            return internal_err!("unpruned takes one argument");
        };
        Ok(data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Ok([value]) = <[ColumnarValue; 1]>::try_from(arguments.args) else {
            return internal_err!("unpruned takes one argument");
        };
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Fields, Schema};
    use datafusion::common::DFSchema;
    use datafusion::prelude::{cast, col, lit};

    use super::*;

    #[test]
    fn inv_07_pruning_sees_no_float() {
        let inner = Fields::from(vec![Field::new("f", DataType::Float32, true)]);
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("weight", DataType::Float64, true),
            Field::new("nested", DataType::Struct(inner), true),
        ]);
        let schema = DFSchema::try_from(schema).unwrap();
        for (rule, expected) in [
            (col("id").gt(lit(1_i64)), "id > Int64(1)"),
            (
                col("weight").gt(lit(1.5)),
                "unpruned(weight) > Float64(1.5)",
            ),
            (
                cast(col("weight"), DataType::Int64).eq(col("id")),
                "CAST(unpruned(weight) AS Int64) = id",
            ),
            (col("nested").is_null(), "unpruned(nested) IS NULL"),
        ] {
            assert_eq!(unpruned(rule, &schema).unwrap().to_string(), expected);
        }
    }
}
