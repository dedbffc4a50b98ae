//! What leaves: Arrow types that every driver reads, messages that every driver accepts.

mod cast;
mod coalesce;
mod codec;
mod describe;
mod encode;
mod outgoing;
mod schema;
mod sql_types;
mod valve;

pub use schema::{WireTypes, wire_schema};

pub(crate) use codec::DoGetCodec;
pub(crate) use describe::{table_schema, with_masks};
pub(crate) use encode::{Compression, Message, decode_batch, encode_batch, schema_hash};
pub(crate) use outgoing::{Ending, Outgoing, Shape, Source, Terms};
#[cfg(test)]
pub(crate) use sql_types::sql_type;
pub(crate) use valve::Valve;

/// Bytes up to which a message is sent as it is.
pub(crate) const MESSAGE_BYTES_SOFT: usize = 3 * 1024 * 1024;
/// Bytes of the parts into which a larger batch is cut.
pub(crate) const MESSAGE_BYTES_PART: usize = 2 * 1024 * 1024;
/// Bytes that no message may exceed: several drivers refuse to receive more than 4 MiB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024 - 104 * 1024;
