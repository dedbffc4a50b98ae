//! A bound treatment as an expression of the guard's own plan; it is in no registry.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use scrim_anonymize::BoundTreatment;

/// The expression that shows `column` under a treatment. `id` tells apart treatments that differ in
/// anything, keys included.
pub(super) fn masked(
    column: Expr,
    id: String,
    data_type: DataType,
    treatment: BoundTreatment,
) -> Expr {
    let function = MaskFunction {
        id,
        data_type,
        treatment,
        signature: Signature::any(1, Volatility::Immutable),
    };
    Arc::new(ScalarUDF::new_from_impl(function)).call(vec![column])
}

#[derive(Debug)]
struct MaskFunction {
    id: String,
    data_type: DataType,
    treatment: BoundTreatment,
    signature: Signature,
}

impl PartialEq for MaskFunction {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.data_type == other.data_type
    }
}

impl Eq for MaskFunction {}

impl Hash for MaskFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl ScalarUDFImpl for MaskFunction {
    fn name(&self) -> &'static str {
        "mask"
    }

    fn schema_name(&self, _args: &[Expr]) -> Result<String> {
        Ok(self.id.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return internal_err!("a mask without a column");
        };
        let shown = self.treatment.apply(array)?;
        // Only nested nullability and metadata can differ; no value changes here.
        if shown.data_type() == &self.data_type {
            return Ok(ColumnarValue::Array(shown));
        }
        Ok(ColumnarValue::Array(cast(&shown, &self.data_type)?))
    }
}
