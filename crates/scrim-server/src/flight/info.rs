//! Announcing results: schema and one endpoint.

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use bytes::Bytes;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use prost::Message;
use scrim_model::{Code, QueryId, Refusal};
use tonic::Status;

use crate::status::to_status;

/// A result that can be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    /// Exactly the schema that DoGet will send.
    pub(crate) schema: SchemaRef,
    /// What DoGet takes, one for each part of the result.
    pub(crate) tickets: Vec<Bytes>,
    /// Whether the rows come in an order that was asked for.
    pub(crate) ordered: bool,
    /// By what id the result is asked about; what is no statement has none.
    pub(crate) id: Option<QueryId>,
}

impl Announced {
    /// Endpoints without a location, and one of them unless more were asked for: the only form that
    /// every driver handles.
    pub(crate) fn info(self, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        Ok(FlightInfo {
            schema: schema_bytes(&self.schema)?,
            flight_descriptor: Some(descriptor),
            endpoint: self
                .tickets
                .into_iter()
                .map(|ticket| FlightEndpoint::new().with_ticket(Ticket::new(ticket)))
                .collect(),
            // 0 would show as "no rows".
            total_records: -1,
            total_bytes: -1,
            ordered: self.ordered,
            app_metadata: self.id.map(|id| id.to_string().into()).unwrap_or_default(),
        })
    }
}

/// A schema as an encapsulated message, the one form in which drivers accept it outside a stream.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let message: Result<IpcMessage, _> =
        SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into();
    message
        .map(|IpcMessage(bytes)| bytes)
        .map_err(|e| to_status(&Refusal::internal(format!("encode a schema: {e}")), None))
}

/// The command of a descriptor.
pub(crate) fn command_of(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    if descriptor.r#type() != DescriptorType::Cmd {
        return Err(malformed("expected a Flight SQL command, not a path"));
    }
    command(&descriptor.cmd)
}

/// The Flight SQL message in these bytes.
pub(crate) fn command(bytes: &[u8]) -> Result<Command, Status> {
    Any::decode(bytes)
        .ok()
        .and_then(|any| Command::try_from(any).ok())
        .ok_or_else(|| malformed("this is no Flight SQL message"))
}

/// A request that cannot be read.
pub(crate) fn malformed(message: &str) -> Status {
    to_status(&Refusal::new(Code::RequestInvalid, message), None)
}

/// A request of a kind that is not served.
pub(crate) fn not_served(what: &str) -> Status {
    to_status(
        &Refusal::new(Code::NotServed, format!("{what} is not served here")),
        None,
    )
}

/// A request that would write.
pub(crate) fn read_only() -> Status {
    to_status(
        &Refusal::new(
            Code::ReadOnly,
            "nothing can be written here; only queries are served",
        ),
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_encapsulated_messages() {
        let bytes = schema_bytes(&Schema::empty()).unwrap();
        assert_eq!(bytes[..4], [0xff; 4]);
    }

    #[test]
    fn garbage_is_an_invalid_argument() {
        for bytes in [&b"garbage"[..], &[0xff; 40], b""] {
            let command = command(bytes);
            assert!(
                !matches!(&command, Err(status) if status.code() != tonic::Code::InvalidArgument)
            );
        }
        let path = FlightDescriptor::new_path(vec!["a".to_owned()]);
        assert_eq!(
            command_of(&path).unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }
}
