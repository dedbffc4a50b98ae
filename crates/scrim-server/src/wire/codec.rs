//! The codec of DoGet: tickets in, messages out, with one copy between Arrow's buffers and the
//! connection's instead of the two that the generated service makes.

use arrow_flight::Ticket;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::Message;

/// Decodes `Ticket`, encodes `FlightData`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DoGetCodec;

impl Codec for DoGetCodec {
    type Encode = Message;
    type Decode = Ticket;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for DoGetCodec {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, item: Message, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Once, to the exact size: growing step by step would copy megabytes again and again.
        buf.reserve(item.encoded_len());
        item.put(buf);
        Ok(())
    }
}

impl Decoder for DoGetCodec {
    type Item = Ticket;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Ticket>, Status> {
        Ticket::decode(buf)
            .map(Some)
            .map_err(|_| Status::invalid_argument("request-invalid: the message is no ticket"))
    }
}
