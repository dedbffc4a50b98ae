//! Messages that arrow-flight does not have yet: sessions, and `is_update` of prepared statements.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

/// The value of a session option; no value takes the option out.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(crate) value: Option<OptionValue>,
}

/// The forms of a value.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum OptionValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Int64(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    TextList(TextList),
}

/// A list of texts.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct TextList {
    #[prost(string, repeated, tag = "1")]
    pub(crate) values: Vec<String>,
}

/// Sets options.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) session_options: BTreeMap<String, SessionOptionValue>,
}

/// Which options were not set, and why.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SetSessionOptionsResult {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) errors: BTreeMap<String, OptionError>,
}

/// Why an option was not set.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct OptionError {
    #[prost(enumeration = "OptionErrorValue", tag = "1")]
    pub(crate) value: i32,
}

/// The kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum OptionErrorValue {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

/// The options of the session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) session_options: BTreeMap<String, SessionOptionValue>,
}

/// The session's end.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct CloseSessionResult {
    #[prost(enumeration = "CloseStatus", tag = "1")]
    pub(crate) status: i32,
}

/// How a session was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum CloseStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}

/// A prepared statement, with the newer field that tells queries from updates.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct CreatePreparedStatementResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) prepared_statement_handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) parameter_schema: Bytes,
    #[prost(bool, optional, tag = "4")]
    pub(crate) is_update: Option<bool>,
}

impl CreatePreparedStatementResult {
    /// The type's name in an `Any`.
    pub(crate) const TYPE_URL: &'static str =
        "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult";
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::ActionCreatePreparedStatementResult;

    use super::*;

    #[test]
    fn options_have_the_protocols_bytes() {
        let value = SessionOptionValue {
            value: Some(OptionValue::Int64(1)),
        };
        assert_eq!(value.encode_to_vec(), [0x19, 1, 0, 0, 0, 0, 0, 0, 0]);
        let request = SetSessionOptionsRequest {
            session_options: [("a".to_owned(), SessionOptionValue { value: None })].into(),
        };
        assert_eq!(
            request.encode_to_vec()[..2],
            [0x0a, request.encode_to_vec().len() as u8 - 2]
        );
        assert_eq!(
            SetSessionOptionsRequest::decode(request.encode_to_vec().as_slice()).unwrap(),
            request
        );
        let closed = CloseSessionResult {
            status: CloseStatus::Closed.into(),
        };
        assert_eq!(closed.encode_to_vec(), [0x08, 1]);
    }

    #[test]
    fn older_clients_read_the_prepared_statement() {
        let ours = CreatePreparedStatementResult {
            prepared_statement_handle: Bytes::from_static(b"h"),
            dataset_schema: Bytes::from_static(b"d"),
            parameter_schema: Bytes::from_static(b"p"),
            is_update: Some(false),
        };
        let theirs =
            ActionCreatePreparedStatementResult::decode(ours.encode_to_vec().as_slice()).unwrap();
        assert_eq!(
            theirs.prepared_statement_handle,
            ours.prepared_statement_handle
        );
        assert_eq!(theirs.parameter_schema, ours.parameter_schema);
    }
}
