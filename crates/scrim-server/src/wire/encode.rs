//! Batches as Flight messages, no larger than any driver accepts.

use std::collections::VecDeque;

use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder, StreamWriter};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::{BufMut, Bytes, BytesMut};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use scrim_anonymize::compact_batch;
use scrim_model::{Code, Refusal};
use sha2::{Digest, Sha256};

use super::coalesce::slice_bytes;
use super::{MESSAGE_BYTES_MAX, MESSAGE_BYTES_PART, MESSAGE_BYTES_SOFT};

const DATA_HEADER: u32 = 2;
const DATA_APP_METADATA: u32 = 3;
const DATA_BODY: u32 = 1000;

/// One `FlightData` whose body still lies in the batch's own buffers: they are copied once, into
/// what the connection sends.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    header: Bytes,
    app_metadata: Bytes,
    body: Vec<Buffer>,
    body_len: usize,
}

impl Message {
    /// With a note of ours beside the data.
    #[must_use]
    pub(crate) fn with_app_metadata(self, note: impl Into<Bytes>) -> Self {
        Self {
            app_metadata: note.into(),
            ..self
        }
    }

    /// Bytes of the encoded message.
    pub(crate) fn encoded_len(&self) -> usize {
        let field = |tag: u32, len: usize| match len {
            0 => 0,
            _ => key_len(tag) + encoded_len_varint(len as u64) + len,
        };
        field(DATA_HEADER, self.header.len())
            + field(DATA_APP_METADATA, self.app_metadata.len())
            + field(DATA_BODY, self.body_len)
    }

    /// Writes the protobuf form of `FlightData`.
    pub(crate) fn put(&self, out: &mut impl BufMut) {
        for (tag, bytes) in [
            (DATA_HEADER, &self.header),
            (DATA_APP_METADATA, &self.app_metadata),
        ] {
            if !bytes.is_empty() {
                encode_key(tag, WireType::LengthDelimited, out);
                encode_varint(bytes.len() as u64, out);
                out.put_slice(bytes);
            }
        }
        if self.body_len > 0 {
            encode_key(DATA_BODY, WireType::LengthDelimited, out);
            encode_varint(self.body_len as u64, out);
            for buffer in &self.body {
                out.put_slice(buffer.as_slice());
            }
        }
    }
}

impl From<Message> for FlightData {
    fn from(message: Message) -> Self {
        let mut body = BytesMut::with_capacity(message.body_len);
        for buffer in &message.body {
            body.extend_from_slice(buffer.as_slice());
        }
        Self {
            data_header: message.header,
            app_metadata: message.app_metadata,
            data_body: body.freeze(),
            ..Self::default()
        }
    }
}

/// The message that opens every stream.
pub(crate) fn schema_message(schema: &Schema) -> Message {
    let data: FlightData = SchemaAsIpc::new(schema, &IpcWriteOptions::default()).into();
    Message {
        header: data.data_header,
        app_metadata: Bytes::new(),
        body: Vec::new(),
        body_len: 0,
    }
}

/// A digest of a schema as clients would see it.
pub(crate) fn schema_hash(schema: &Schema) -> [u8; 32] {
    Sha256::digest(&schema_message(schema).header).into()
}

/// How bodies are compressed, for clients on slow lines that ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Fast.
    Lz4,
    /// Small.
    Zstd,
}

impl Compression {
    fn options(compression: Option<Self>) -> Result<IpcWriteOptions, ArrowError> {
        IpcWriteOptions::default().try_with_compression(compression.map(|kind| match kind {
            Self::Lz4 => CompressionType::LZ4_FRAME,
            Self::Zstd => CompressionType::ZSTD,
        }))
    }
}

/// Encodes the batches of one stream.
pub(crate) struct BatchEncoder {
    schema: SchemaRef,
    inner: StreamEncoder,
    /// Whether slices would drag along the bytes of other rows.
    views: bool,
}

impl BatchEncoder {
    /// An encoder for batches of this schema, which must not hold dictionaries.
    pub(crate) fn new(
        schema: &SchemaRef,
        compression: Option<Compression>,
    ) -> Result<Self, Refusal> {
        let mut inner = Compression::options(compression)
            .and_then(|options| StreamEncoder::try_new_with_options(schema, options))
            .map_err(broken)?;
        // The first batch brings the schema message along; ours goes out before any batch exists.
        inner
            .encode(&RecordBatch::new_empty(schema.clone()))
            .map_err(broken)?;
        Ok(Self {
            views: schema.fields().iter().any(|field| has_views(field)),
            schema: schema.clone(),
            inner,
        })
    }

    /// Appends the messages of a batch, cut so that each can be received.
    pub(crate) fn encode(
        &mut self,
        batch: &RecordBatch,
        out: &mut VecDeque<Message>,
    ) -> Result<(), Refusal> {
        let message = self.message(batch)?;
        let len = message.encoded_len();
        if len <= MESSAGE_BYTES_SOFT {
            out.push_back(message);
            return Ok(());
        }
        drop(message);
        let parts = len.div_ceil(MESSAGE_BYTES_PART);
        for part in slices(batch, parts) {
            self.halve(&part, out)?;
        }
        Ok(())
    }

    /// Rows differ in size, so cutting evenly is not enough: the encoded length decides.
    fn halve(&mut self, batch: &RecordBatch, out: &mut VecDeque<Message>) -> Result<(), Refusal> {
        let message = self.message(batch)?;
        if message.encoded_len() <= MESSAGE_BYTES_MAX {
            out.push_back(message);
            return Ok(());
        }
        drop(message);
        if batch.num_rows() <= 1 {
            return Err(too_large(&self.schema, batch));
        }
        for half in slices(batch, 2) {
            self.halve(&half, out)?;
        }
        Ok(())
    }

    fn message(&mut self, batch: &RecordBatch) -> Result<Message, Refusal> {
        let buffers = if self.views {
            // A view's buffers are sent whole: without this, halving would not make them smaller.
            let compact = compact_batch(batch).map_err(broken)?;
            self.inner.encode(&compact)
        } else {
            self.inner.encode(batch)
        };
        let buffers = buffers.map_err(broken)?;
        unframe(buffers).ok_or_else(|| Refusal::internal("the encoder's framing is not understood"))
    }
}

impl std::fmt::Debug for BatchEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEncoder")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

fn has_views(field: &Field) -> bool {
    match field.data_type() {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_views(item),
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field)),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| has_views(field)),
        _ => false,
    }
}

/// Takes the stream format's frame off: eight bytes with the metadata's padded length, the
/// metadata, its padding, the body. Flight wants metadata and body apart.
fn unframe(buffers: Vec<Buffer>) -> Option<Message> {
    let mut buffers = buffers.into_iter();
    let prefix = buffers.next()?;
    let length: [u8; 4] = prefix.as_slice().get(4..8)?.try_into().ok()?;
    let padded = usize::try_from(i32::from_le_bytes(length)).ok()?;
    let header = buffers.next()?;
    let mut seen = header.len();
    while seen < padded {
        seen += buffers.next()?.len();
    }
    let body: Vec<Buffer> = buffers.collect();
    let body_len = body.iter().map(Buffer::len).sum();
    Some(Message {
        header: Bytes::copy_from_slice(header.as_slice()),
        app_metadata: Bytes::new(),
        body,
        body_len,
    })
}

fn slices(batch: &RecordBatch, parts: usize) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    let step = rows.div_ceil(parts.max(1)).max(1);
    (0..rows)
        .step_by(step)
        .map(move |from| batch.slice(from, step.min(rows - from)))
}

fn too_large(schema: &Schema, batch: &RecordBatch) -> Refusal {
    let widest = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .max_by_key(|(column, _)| column.to_data().get_slice_memory_size().unwrap_or(0))
        .map_or("", |(_, field)| field.name().as_str());
    Refusal::new(
        Code::ByteLimit,
        format!(
            "one row is larger than the {} KiB that a message may have, mostly in column \
             \"{widest}\"; select less of it, for example with substr",
            MESSAGE_BYTES_MAX / 1024
        ),
    )
    .with_detail(format!("row of {} bytes", slice_bytes(batch)))
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn broken(error: ArrowError) -> Refusal {
    Refusal::internal(format!("encode for the wire: {error}"))
}

/// A batch as bytes, for a ticket.
pub(crate) fn encode_batch(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The first batch of bytes that [`encode_batch`] made.
pub(crate) fn decode_batch(bytes: &[u8]) -> Result<Option<RecordBatch>, ArrowError> {
    StreamReader::try_new(bytes, None)?.next().transpose()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_flight::utils::flight_data_to_batches;
    use datafusion::arrow::array::{
        ArrayRef, BooleanArray, Int32Array, StringArray, StringViewArray, UInt64Array,
    };
    use datafusion::arrow::compute::concat_batches;
    use prost::Message as _;

    use super::*;

    fn through_the_wire(batch: &RecordBatch) -> (Vec<usize>, Vec<RecordBatch>) {
        compressed(batch, None)
    }

    fn compressed(
        batch: &RecordBatch,
        compression: Option<Compression>,
    ) -> (Vec<usize>, Vec<RecordBatch>) {
        let mut out = VecDeque::new();
        BatchEncoder::new(&batch.schema(), compression)
            .unwrap()
            .encode(batch, &mut out)
            .unwrap();
        out.push_front(schema_message(&batch.schema()).with_app_metadata("note"));
        let mut sizes = Vec::new();
        let data: Vec<FlightData> = out
            .into_iter()
            .map(|message| {
                let mut bytes = BytesMut::new();
                message.put(&mut bytes);
                assert_eq!(bytes.len(), message.encoded_len());
                sizes.push(bytes.len());
                let decoded = FlightData::decode(bytes.freeze()).unwrap();
                assert_eq!(decoded, FlightData::from(message));
                decoded
            })
            .collect();
        (sizes, flight_data_to_batches(&data).unwrap())
    }

    fn concat(batches: &[RecordBatch]) -> RecordBatch {
        concat_batches(&batches[0].schema(), batches).unwrap()
    }

    #[test]
    fn messages_are_flight_data() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("ccc")]));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
        let batch = RecordBatch::try_from_iter([("t", text), ("b", flags)]).unwrap();
        let (sizes, batches) = through_the_wire(&batch);
        assert_eq!(sizes.len(), 2);
        assert_eq!(batches, std::slice::from_ref(&batch));
        let (_, sliced) = through_the_wire(&batch.slice(1, 2));
        assert_eq!(concat(&sliced), batch.slice(1, 2));
    }

    #[test]
    fn inv_14_no_message_is_larger_than_drivers_accept_however_skewed_the_rows() {
        let wide = "x".repeat(1_500_000);
        let text = (0..8_000).map(|i| {
            if i % 3_999 == 1 {
                wide.as_str()
            } else {
                "narrow"
            }
        });
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(text));
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..8_000));
        let batch = RecordBatch::try_from_iter([("id", ids), ("t", text)]).unwrap();
        let (sizes, batches) = through_the_wire(&batch);
        assert!(
            sizes.iter().all(|size| *size <= MESSAGE_BYTES_MAX),
            "{sizes:?}"
        );
        assert!(sizes.len() > 2);
        assert_eq!(concat(&batches), batch);
    }

    #[test]
    fn inv_14_compressed_messages_read_the_same_and_keep_to_the_limit() {
        // Text that compresses, and noise that does not.
        let noise = (0..400_000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        let noise: ArrayRef = Arc::new(UInt64Array::from_iter_values(noise));
        let text = (0..400_000).map(|i| format!("the same text again and again {}", i % 7));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(text));
        let batch = RecordBatch::try_from_iter([("n", noise), ("t", text)]).unwrap();
        let (plain, _) = through_the_wire(&batch);
        for compression in [Compression::Lz4, Compression::Zstd] {
            let (sizes, batches) = compressed(&batch, Some(compression));
            assert!(sizes.iter().all(|size| *size <= MESSAGE_BYTES_MAX));
            assert!(sizes.iter().sum::<usize>() * 2 < plain.iter().sum::<usize>());
            assert_eq!(concat(&batches), batch);
        }
    }

    #[test]
    fn one_row_that_is_too_large_names_its_column() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![
            "a".to_owned(),
            "x".repeat(5_000_000),
        ]));
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("note", text)]).unwrap();
        let mut out = VecDeque::new();
        let refusal = BatchEncoder::new(&batch.schema(), None)
            .unwrap()
            .encode(&batch, &mut out)
            .unwrap_err();
        assert_eq!(refusal.code(), Code::ByteLimit);
        assert!(refusal.message().contains("\"note\""), "{refusal}");
    }

    #[test]
    fn inv_14_views_are_cut_too_and_drag_no_other_rows_along() {
        let texts = (0..4_000).map(|i| format!("{i:05}{}", "x".repeat(2_000)));
        let text: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("t", text)]).unwrap();
        let (sizes, batches) = through_the_wire(&batch);
        assert!(
            sizes.iter().all(|size| *size <= MESSAGE_BYTES_MAX),
            "{sizes:?}"
        );
        assert_eq!(concat(&batches), batch);
        let (sizes, _) = through_the_wire(&batch.slice(7, 1));
        assert!(sizes.iter().sum::<usize>() < 4_096, "{sizes:?}");
    }

    #[test]
    fn parameters_survive_a_ticket() {
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        let batch = RecordBatch::try_from_iter([("1", ids)]).unwrap();
        assert_eq!(
            decode_batch(&encode_batch(&batch).unwrap()).unwrap(),
            Some(batch)
        );
        assert!(decode_batch(b"garbage").is_err());
    }
}
