//! Arrow's own files and streams.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::convert::fb_to_schema;
use datafusion::arrow::ipc::reader::{FileDecoder, StreamDecoder, read_footer_length};
use datafusion::arrow::ipc::{Block, root_as_footer};
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use scrim_engine::{FaultKind, SourceFault};

use super::facts::Facts;
use super::pin::Pinned;

/// What a file starts with; a stream does not.
const MAGIC: &[u8] = b"ARROW1";
/// Bytes behind a file's footer: its length, and the magic once more.
const TRAILER: u64 = 10;
/// Bytes of a file's end that are read at once; most footers are smaller.
const FIRST_READ: u64 = 64 << 10;
/// What a file has, by its schema.
pub(super) async fn inspect(file: &Pinned) -> Result<Facts, SourceFault> {
    let schema = if is_file(file).await? {
        footer(file).await?.schema
    } else {
        stream_schema(file).await?
    };
    Ok(Facts::new(schema.fields(), None))
}

/// Reads a file: the columns of the schema, NULL where the file has none of the name.
pub(super) async fn read(
    file: Pinned,
    schema: SchemaRef,
    most: usize,
) -> Result<BoxStream<'static, Result<RecordBatch, DataFusionError>>, SourceFault> {
    let batches = if is_file(&file).await? {
        file_batches(file.clone(), &schema).await?
    } else {
        stream_batches(file.clone())
    };
    let shaped = batches.and_then(move |batch| {
        let shaped = shaped(&batch, &schema).map_err(|e| broken(&file, &e));
        futures::future::ready(shaped)
    });
    let cut =
        shaped.map_ok(move |batch| stream::iter(slices(&batch, most)).map(Ok::<_, SourceFault>));
    Ok(cut.try_flatten().map_err(DataFusionError::from).boxed())
}

type Batches = BoxStream<'static, Result<RecordBatch, SourceFault>>;

async fn is_file(file: &Pinned) -> Result<bool, SourceFault> {
    let start = file.range(0..file.size().min(MAGIC.len() as u64)).await?;
    Ok(start == MAGIC)
}

/// Where a file's parts lie.
struct Footer {
    schema: SchemaRef,
    decoder: FileDecoder,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

async fn footer(file: &Pinned) -> Result<Footer, SourceFault> {
    let size = file.size();
    let invalid = |what: &str| file.fault(FaultKind::Unavailable, what);
    let first = size.saturating_sub(FIRST_READ);
    let end = file.range(first..size).await?;
    let trailer = end
        .last_chunk::<10>()
        .ok_or_else(|| invalid("it is too short"))?;
    let length = read_footer_length(*trailer).map_err(|e| broken(file, &e))? as u64;
    let above = size
        .checked_sub(TRAILER + length)
        .ok_or_else(|| invalid("its footer is longer than the file"))?;
    let bytes = if above < first {
        file.range(above..size - TRAILER).await?
    } else {
        let within = |at: u64| usize::try_from(at - first).unwrap_or(usize::MAX);
        end.slice(within(above)..within(size - TRAILER))
    };
    let footer = root_as_footer(&bytes).map_err(|_| invalid("its footer is not understood"))?;
    let schema = footer.schema().ok_or_else(|| invalid("it has no schema"))?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err(invalid(
            "its bytes are in the order of another kind of machine",
        ));
    }
    let schema = Arc::new(fb_to_schema(schema));
    let blocks = |blocks: Option<_>| blocks.into_iter().flatten().copied().collect();
    Ok(Footer {
        decoder: FileDecoder::new(Arc::clone(&schema), footer.version()),
        schema,
        dictionaries: blocks(footer.dictionaries()),
        batches: blocks(footer.recordBatches()),
    })
}

async fn file_batches(file: Pinned, wanted: &Schema) -> Result<Batches, SourceFault> {
    let footer = footer(&file).await?;
    let mut decoder = footer.decoder;
    for block in &footer.dictionaries {
        let bytes = Buffer::from(part(&file, block).await?);
        let read = decoder.read_dictionary(block, &bytes);
        read.map_err(|e| broken(&file, &e))?;
    }
    let fields = footer.schema.fields().iter().enumerate();
    let chosen = fields.filter(|(_, field)| wanted.field_with_name(field.name()).is_ok());
    let decoder = Arc::new(decoder.with_projection(chosen.map(|(index, _)| index).collect()));
    let batches = stream::iter(footer.batches)
        .map(move |block| {
            let (file, decoder) = (file.clone(), Arc::clone(&decoder));
            async move {
                let bytes = Buffer::from(part(&file, &block).await?);
                let batch = decoder.read_record_batch(&block, &bytes);
                batch.map_err(|e| broken(&file, &e))
            }
        })
        .buffered(2)
        .try_filter_map(|batch| futures::future::ready(Ok(batch)));
    Ok(batches.boxed())
}

/// The bytes of a part of a file; a footer can claim anything of where they are.
async fn part(file: &Pinned, block: &Block) -> Result<Bytes, SourceFault> {
    let range = || {
        let start = u64::try_from(block.offset()).ok()?;
        let head = u64::try_from(block.metaDataLength()).ok()?;
        let body = u64::try_from(block.bodyLength()).ok()?;
        let end = start.checked_add(head)?.checked_add(body)?;
        (end <= file.size() && head > 0).then_some(start..end)
    };
    let outside = || {
        file.fault(
            FaultKind::Unavailable,
            "its footer names a part that is not there",
        )
    };
    let range: Range<u64> = range().ok_or_else(outside)?;
    file.range(range).await
}

async fn stream_schema(file: &Pinned) -> Result<SchemaRef, SourceFault> {
    let mut decoder = StreamDecoder::new();
    let mut pieces = file.pieces();
    while let Some(piece) = pieces.try_next().await? {
        let mut buffer = Buffer::from(piece);
        while !buffer.is_empty() {
            let read = decoder.decode(&mut buffer).map_err(|e| broken(file, &e))?;
            if let Some(schema) = decoder.schema() {
                return Ok(schema);
            }
            if read.is_some() {
                break;
            }
        }
    }
    Err(file.fault(FaultKind::Unavailable, "it has no schema"))
}

fn stream_batches(file: Pinned) -> Batches {
    let none = Buffer::from(&[0_u8; 0]);
    let state = (StreamDecoder::new(), file.pieces(), none, file);
    let batches = stream::try_unfold(state, |(mut decoder, mut pieces, mut buffer, file)| async {
        loop {
            let read = decoder.decode(&mut buffer).map_err(|e| broken(&file, &e))?;
            if let Some(batch) = read {
                return Ok(Some((batch, (decoder, pieces, buffer, file))));
            }
            match pieces.try_next().await? {
                Some(piece) => buffer = Buffer::from(piece),
                None => return ended(&file, &mut decoder).map(|()| None),
            }
        }
    });
    batches.boxed()
}

/// Whether the stream says itself that this is its end: one that was cut between two messages looks
/// like a shorter one.
fn ended(file: &Pinned, decoder: &mut StreamDecoder) -> Result<(), SourceFault> {
    let cut = || file.fault(FaultKind::Unavailable, "the stream was cut");
    decoder.finish().map_err(|_| cut())?;
    // Behind its end a stream takes nothing more.
    let takes_more = decoder.decode(&mut Buffer::from(&[0_u8])).is_ok();
    if takes_more { Err(cut()) } else { Ok(()) }
}

/// The wanted columns of a batch, each of the wanted type.
fn shaped(batch: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &FieldRef| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => cast(column, field.data_type()),
        }
    };
    let columns: Result<Vec<ArrayRef>, ArrowError> = wanted.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(wanted), columns?, &options)
}

fn slices(batch: &RecordBatch, most: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    let starts = (0..rows).step_by(most.max(1));
    starts
        .map(|start| batch.slice(start, most.min(rows - start)))
        .collect()
}

/// A file that the decoder does not take; what it says of it can quote a value.
fn broken(file: &Pinned, error: &ArrowError) -> SourceFault {
    let what = match error {
        ArrowError::IpcError(_) => "a message is broken",
        ArrowError::CastError(_) => "a column cannot be converted",
        ArrowError::ParseError(_) => "it is not understood",
        _ => "it cannot be decoded",
    };
    file.fault(FaultKind::Unavailable, what)
}
