//! The messages of sessions, which arrow-flight lacks, written from the protocol and not shared
//! with the server: a number that is wrong there is found here.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{Message, Oneof};
use tonic::Status;

use crate::client::Client;

#[derive(Clone, PartialEq, Message)]
pub(super) struct OptionValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Int64(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Texts(Texts),
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(super) values: Vec<String>,
}

/// SetSessionOptionsRequest and GetSessionOptionsResult alike.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Options {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) options: BTreeMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct SetResult {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) errors: BTreeMap<String, OptionError>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct OptionError {
    /// 1 invalid name, 2 invalid value, 3 error.
    #[prost(int32, tag = "1")]
    pub(super) value: i32,
}

/// ActionCreatePreparedStatementResult as of Arrow 25, in its `Any`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Prepared {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) parameter_schema: Bytes,
    #[prost(bool, optional, tag = "4")]
    pub(super) is_update: Option<bool>,
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// SetSessionOptions; gives the options that were not set, with the reasons' numbers.
pub(super) async fn set_options(
    client: &mut Client,
    options: &[(&str, Value)],
) -> Result<Vec<(String, i32)>, Status> {
    let options = options.iter().cloned().map(|(name, value)| {
        let value = Some(value);
        (name.to_owned(), OptionValue { value })
    });
    let options = options.collect();
    let body = Options { options }.encode_to_vec().into();
    let answers = client.action("SetSessionOptions", body).await?;
    assert_eq!(answers.len(), 1);
    let result = SetResult::decode(answers[0].clone()).unwrap();
    Ok(result
        .errors
        .into_iter()
        .map(|(n, e)| (n, e.value))
        .collect())
}

/// GetSessionOptions.
pub(super) async fn get_options(client: &mut Client) -> Result<BTreeMap<String, Value>, Status> {
    let answers = client.action("GetSessionOptions", Bytes::new()).await?;
    assert_eq!(answers.len(), 1);
    let options = Options::decode(answers[0].clone()).unwrap().options;
    Ok(options
        .into_iter()
        .map(|(n, v)| (n, v.value.unwrap()))
        .collect())
}
