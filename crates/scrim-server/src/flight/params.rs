//! Parameters of prepared statements: from a client's batch to typed values.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::ipc::MessageHeader;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UnionArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use scrim_engine::Params;
use scrim_model::{Code, Refusal};
use tonic::Status;

use crate::status::to_status;
use crate::wire::{decode_batch, encode_batch};

/// Bytes of parameters in one binding.
const PARAMS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages of one binding.
const MESSAGES_MAX: usize = 64;

/// Reads the one row of parameters that a client binds, as bytes for a ticket; `None` when it
/// binds nothing.
pub(crate) async fn read<S>(first: FlightData, rest: S) -> Result<Option<Bytes>, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Send + Unpin,
{
    let messages = collect(first, rest).await?;
    if messages.is_empty() {
        return Ok(None);
    }
    let decode = FlightRecordBatchStream::new_from_flight_data(
        futures::stream::iter(messages).map(Ok::<_, FlightError>),
    )
    .try_collect::<Vec<RecordBatch>>();
    // Arrow's reader was not written against hostile bytes: a panic is their fault, not ours.
    let batches = AssertUnwindSafe(decode).catch_unwind().await;
    let row = match batches {
        Ok(Ok(batches)) => one_row(&batches),
        Ok(Err(error)) => Err(unreadable().with_detail(error)),
        Err(_) => Err(unreadable().with_detail("the decoder panicked")),
    };
    let row = row.map_err(|refusal| to_status(&refusal, None))?;
    let bytes = row.map(|row| encode_batch(&row)).transpose();
    let bytes = bytes.map_err(|e| to_status(&unreadable().with_detail(e), None))?;
    Ok(bytes.map(Bytes::from))
}

async fn collect<S>(first: FlightData, mut rest: S) -> Result<Vec<FlightData>, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Unpin,
{
    let mut messages = Vec::new();
    let mut bytes = 0_usize;
    let mut next = Some(first);
    while let Some(message) = next {
        bytes += message.data_header.len() + message.data_body.len();
        if bytes > PARAMS_BYTES_MAX || messages.len() >= MESSAGES_MAX {
            let message = format!("parameters are larger than {} MiB", PARAMS_BYTES_MAX >> 20);
            return Err(to_status(
                &Refusal::new(Code::ParameterInvalid, message),
                None,
            ));
        }
        if !message.data_header.is_empty() {
            admissible(&message).map_err(|refusal| to_status(&refusal, None))?;
            messages.push(message);
        }
        next = rest.try_next().await?;
    }
    Ok(messages)
}

/// Only what parameters are made of, and nothing compressed: a compressed buffer says itself how
/// large it will be, and the reader believes it.
fn admissible(message: &FlightData) -> Result<(), Refusal> {
    let header = arrow::ipc::root_as_message(&message.data_header)
        .map_err(|e| unreadable().with_detail(e))?;
    let known = [
        MessageHeader::Schema,
        MessageHeader::DictionaryBatch,
        MessageHeader::RecordBatch,
    ];
    if !known.contains(&header.header_type()) {
        return Err(unreadable());
    }
    let dictionary = header
        .header_as_dictionary_batch()
        .and_then(|batch| batch.data());
    let batch = header.header_as_record_batch().or(dictionary);
    if batch.is_some_and(|batch| batch.compression().is_some()) {
        let message = "compressed parameters are not read; send them without compression";
        return Err(Refusal::new(Code::ParameterInvalid, message));
    }
    Ok(())
}

fn unreadable() -> Refusal {
    Refusal::new(
        Code::ParameterInvalid,
        "the parameters are not readable as Arrow data",
    )
}

fn one_row(batches: &[RecordBatch]) -> Result<Option<RecordBatch>, Refusal> {
    let mut filled = batches.iter().filter(|batch| batch.num_rows() > 0);
    let Some(batch) = filled.next() else {
        return Ok(None);
    };
    if batch.num_rows() > 1 || filled.next().is_some() {
        return Err(Refusal::new(
            Code::ParameterInvalid,
            "bind one row of parameters at a time; a query runs once for each",
        ));
    }
    if batch.num_columns() == 0 {
        return Ok(None);
    }
    let columns = batch
        .columns()
        .iter()
        .map(plain)
        .collect::<Result<Vec<_>, _>>()?;
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(format!("${}", i + 1), column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map(Some)
        .map_err(|e| unreadable().with_detail(e))
}

/// Some clients send every parameter as a dense union of the types it might have, or as a
/// dictionary.
fn plain(column: &ArrayRef) -> Result<ArrayRef, Refusal> {
    if let Some(union) = column.as_any().downcast_ref::<UnionArray>() {
        return plain(&union.value(0));
    }
    match column.data_type() {
        DataType::Dictionary(_, values) => {
            cast(column, values).map_err(|e| unreadable().with_detail(e))
        }
        _ => Ok(Arc::clone(column)),
    }
}

/// The values of a binding.
pub(crate) fn values(bytes: &[u8]) -> Result<Params, Refusal> {
    let broken = |e: &dyn std::fmt::Display| Refusal::internal(format!("sealed parameters: {e}"));
    let batch = decode_batch(bytes)
        .map_err(|e| broken(&e))?
        .ok_or_else(|| broken(&"no row"))?;
    batch
        .columns()
        .iter()
        .map(|column| ScalarValue::try_from_array(column, 0).map_err(|e| broken(&e)))
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow_flight::utils::batches_to_flight_data;
    use datafusion::arrow::array::{Float64Array, Int64Array, StringArray};
    use datafusion::arrow::buffer::ScalarBuffer;
    use datafusion::arrow::datatypes::{UnionFields, UnionMode};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    async fn bind(batch: RecordBatch) -> Result<Option<Params>, Status> {
        let schema = batch.schema();
        let mut data = batches_to_flight_data(&schema, vec![batch]).unwrap();
        let first = data.remove(0);
        let rest = futures::stream::iter(data.into_iter().map(Ok));
        Ok(read(first, rest)
            .await?
            .map(|bytes| values(&bytes).unwrap()))
    }

    #[tokio::test]
    async fn a_row_becomes_values() {
        let row = batch(vec![
            ("a", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            ("b", Arc::new(StringArray::from(vec![None::<&str>]))),
        ]);
        let values = bind(row).await.unwrap().unwrap();
        assert_eq!(
            values,
            [ScalarValue::Int64(Some(7)), ScalarValue::Utf8(None)]
        );
    }

    #[tokio::test]
    async fn dense_unions_are_unwrapped() {
        let fields = UnionFields::from_fields(vec![
            Field::new("i", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
        ]);
        let children: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(Vec::<i64>::new())),
            Arc::new(Float64Array::from(vec![1.5])),
        ];
        let union = UnionArray::try_new(
            fields,
            ScalarBuffer::from(vec![1_i8]),
            Some(ScalarBuffer::from(vec![0_i32])),
            children,
        )
        .unwrap();
        assert!(matches!(
            union.data_type(),
            DataType::Union(_, UnionMode::Dense)
        ));
        let values = bind(batch(vec![("p", Arc::new(union) as ArrayRef)]))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(values, [ScalarValue::Float64(Some(1.5))]);
    }

    #[tokio::test]
    async fn several_rows_and_garbage_are_refused_in_the_right_code() {
        let rows = batch(vec![(
            "a",
            Arc::new(Int64Array::from(vec![7, 8])) as ArrayRef,
        )]);
        assert_eq!(
            bind(rows).await.unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
        let none = batch(vec![(
            "a",
            Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef,
        )]);
        assert!(bind(none).await.unwrap().is_none());
        for garbage in [&b"garbage"[..], &[0xff; 64], &[0; 64]] {
            let first = FlightData {
                data_header: Bytes::copy_from_slice(garbage),
                ..FlightData::default()
            };
            let status = read(first, futures::stream::empty()).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }

    #[tokio::test]
    async fn inv_14_a_binding_is_bounded() {
        let wide = "x".repeat(PARAMS_BYTES_MAX);
        let row = batch(vec![(
            "a",
            Arc::new(StringArray::from(vec![wide])) as ArrayRef,
        )]);
        assert_eq!(
            bind(row).await.unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }
}
