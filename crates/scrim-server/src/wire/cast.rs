//! Batches of the engine as batches of the wire.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::SchemaRef;
use scrim_model::Refusal;

/// Gives a batch the wire's schema. Columns whose type is that of the wire already are not touched.
pub(crate) fn to_wire(batch: RecordBatch, wire: &SchemaRef) -> Result<RecordBatch, Refusal> {
    if batch.schema_ref() == wire {
        return Ok(batch);
    }
    if batch.num_columns() != wire.fields().len() {
        return Err(Refusal::internal(
            "a batch has other columns than its announced schema",
        ));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    // A value that does not fit would become NULL with `safe: true`: never silently.
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = batch
        .columns()
        .iter()
        .zip(wire.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast_with_options(column, field.data_type(), &strict)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Refusal::internal(format!("cast to the wire: {e}")))?;
    RecordBatch::try_new_with_options(Arc::clone(wire), columns, &options)
        .map_err(|e| Refusal::internal(format!("batch for the wire: {e}")))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Array, ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, Int64Array, ListArray,
        NullArray, StringViewArray, StructArray,
    };
    use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};

    use super::*;
    use crate::wire::{WireTypes, wire_schema};

    #[test]
    fn values_survive_the_change_of_type() {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![
            Some("a long enough string"),
            None,
            Some("ß"),
        ]));
        let dictionary: ArrayRef = Arc::new(
            vec![Some("x"), None, Some("x")]
                .into_iter()
                .collect::<DictionaryArray<Int32Type>>(),
        );
        let fixed: ArrayRef = Arc::new(
            FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6]].into_iter()).unwrap(),
        );
        let nothing: ArrayRef = Arc::new(NullArray::new(3));
        let inner: ArrayRef = Arc::new(StructArray::from(vec![(
            Arc::new(Field::new("s", DataType::Utf8View, false)),
            Arc::new(StringViewArray::from(vec!["p", "q", "r"])) as ArrayRef,
        )]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1)]),
            None,
            Some(vec![]),
        ]));
        let batch = RecordBatch::try_from_iter([
            ("v", views),
            ("d", dictionary),
            ("f", fixed),
            ("n", nothing),
            ("s", inner),
            ("l", lists),
        ])
        .unwrap();
        let wire = wire_schema(batch.schema_ref(), WireTypes::Plain);
        let out = to_wire(batch, &wire).unwrap();
        assert_eq!(out.schema(), wire);
        assert_eq!(out.column(0).as_string::<i32>().value(2), "ß");
        assert!(out.column(1).is_null(1));
        assert_eq!(out.column(1).as_string::<i32>().value(2), "x");
        assert_eq!(out.column(2).as_binary::<i32>().value(1), [3, 4]);
        assert_eq!(out.column(3).null_count(), 3);
        assert_eq!(
            out.column(4)
                .as_struct()
                .column(0)
                .as_string::<i32>()
                .value(1),
            "q"
        );
    }

    #[test]
    fn equal_types_are_not_copied() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let before = numbers.to_data().buffers()[0].as_ptr();
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let out = to_wire(
            batch.clone(),
            &wire_schema(batch.schema_ref(), WireTypes::Plain),
        )
        .unwrap();
        assert_eq!(out.column(0).to_data().buffers()[0].as_ptr(), before);
    }

    #[test]
    fn a_batch_without_columns_keeps_its_rows() {
        let options = RecordBatchOptions::new().with_row_count(Some(5));
        let schema = Arc::new(Schema::empty());
        let batch =
            RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
        assert_eq!(to_wire(batch, &schema).unwrap().num_rows(), 5);
    }
}
