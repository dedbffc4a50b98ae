//! Refusals as gRPC statuses: a short message with a stable code outside, the same as an
//! `ErrorInfo` for machines, the rest in the log.

use std::collections::BTreeMap;

use arrow_flight::sql::Any;
use prost::Message;
use scrim_model::{Code, QueryId, Refusal};
use tonic::Status;

/// Bytes of a status message: larger trailers do not reach some clients at all.
const MESSAGE_BYTES_MAX: usize = 2048;
/// Bytes of a status message as the trailer `grpc-message` writes it, where most characters beyond
/// ASCII take three for each of their bytes. The message goes out a second time in
/// `grpc-status-details-bin`, and both together must stay below 8 KiB.
const ENCODED_BYTES_MAX: usize = 4096;

/// `google.rpc.Status`. Written out here, for two messages are no dependency, and since the text
/// has to be as short as the trailers ask for.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// The status that a client sees; what only the owner may know goes to the log under the query's
/// id.
pub(crate) fn to_status(refusal: &Refusal, query: Option<QueryId>) -> Status {
    log(refusal, query);
    let mut message = match query {
        Some(id) => format!("{refusal} (query {id})"),
        None => refusal.to_string(),
    };
    // Whatever a message quotes, it stays one printable line.
    if message.contains(char::is_control) {
        message = message.replace(char::is_control, " ");
    }
    clip(&mut message);
    detailed(status_code(refusal.code()), refusal.code(), message, query)
}

/// A ticket or handle that is sealed by us but for somebody else.
pub(crate) fn foreign(what: &str) -> Status {
    let code = Code::TicketInvalid;
    let message = format!("{code}: the {what} belongs to another principal or session");
    detailed(tonic::Code::PermissionDenied, code, message, None)
}

fn detailed(status: tonic::Code, code: Code, message: String, query: Option<QueryId>) -> Status {
    let info = ErrorInfo {
        reason: code.as_str().to_owned(),
        domain: "scrim".to_owned(),
        metadata: query
            .map(|id| ("query_id".to_owned(), id.to_string()))
            .into_iter()
            .collect(),
    };
    let details = RpcStatus {
        code: status.into(),
        message: message.clone(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
            value: info.encode_to_vec().into(),
        }],
    };
    Status::with_details(status, message, details.encode_to_vec().into())
}

fn log(refusal: &Refusal, query: Option<QueryId>) {
    let query = query.map(|id| id.to_string()).unwrap_or_default();
    let detail = refusal.detail().unwrap_or_default();
    match refusal.code() {
        Code::Internal => tracing::error!(%query, %refusal, detail, "failed inside"),
        Code::SourceUnavailable
        | Code::SourceBusy
        | Code::SourceChanged
        | Code::SourceInvalid
        | Code::DecisionUnavailable
        | Code::LedgerUnavailable => {
            tracing::error!(%query, %refusal, detail, "unavailable");
        }
        _ if !detail.is_empty() => tracing::warn!(%query, %refusal, detail, "refused"),
        _ => tracing::debug!(%query, %refusal, "refused"),
    }
}

fn clip(message: &mut String) {
    let (mut encoded, mut end) = (0, 0);
    for (at, character) in message.char_indices() {
        encoded += encoded_len(character);
        if at + character.len_utf8() > MESSAGE_BYTES_MAX || encoded > ENCODED_BYTES_MAX {
            message.truncate(end);
            message.push('…');
            return;
        }
        // The last place at which the sign of what was cut off still fits.
        let room = encoded + encoded_len('…') <= ENCODED_BYTES_MAX;
        if room && at + character.len_utf8() + '…'.len_utf8() <= MESSAGE_BYTES_MAX {
            end = at + character.len_utf8();
        }
    }
}

/// Bytes of a character in `grpc-message`.
fn encoded_len(character: char) -> usize {
    match character {
        '%' => 3,
        ' '..='~' => 1,
        _ => 3 * character.len_utf8(),
    }
}

fn status_code(code: Code) -> tonic::Code {
    match code {
        Code::Unauthenticated | Code::SessionEnded => tonic::Code::Unauthenticated,
        Code::ReadOnly
        | Code::TableClosed
        | Code::PurposeRequired
        | Code::ObligationUnknown
        | Code::Revoked => tonic::Code::PermissionDenied,
        Code::SqlSyntax
        | Code::SqlTooLarge
        | Code::StatementRefused
        | Code::FunctionRefused
        | Code::PlanInvalid
        | Code::ParameterInvalid
        | Code::CastInvalid
        | Code::DivideByZero
        | Code::Overflow
        | Code::ExpressionFailed
        | Code::TicketInvalid
        | Code::RequestInvalid => tonic::Code::InvalidArgument,
        Code::NameNotFound => tonic::Code::NotFound,
        Code::Throttled
        | Code::MemoryLimit
        | Code::RowLimit
        | Code::ByteLimit
        | Code::ConcurrencyLimit
        | Code::RateLimit => tonic::Code::ResourceExhausted,
        Code::TimeLimit => tonic::Code::DeadlineExceeded,
        Code::SourceUnavailable
        | Code::SourceBusy
        | Code::DecisionUnavailable
        | Code::LedgerUnavailable
        | Code::Stopping => tonic::Code::Unavailable,
        Code::SourceChanged => tonic::Code::Aborted,
        Code::Cancelled | Code::ReaderIdle => tonic::Code::Cancelled,
        Code::TicketExpired | Code::ResultChanged | Code::SourceInvalid => {
            tonic::Code::FailedPrecondition
        }
        Code::NotServed => tonic::Code::Unimplemented,
        Code::Internal => tonic::Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_broke_inside_is_internal() {
        for code in Code::ALL {
            let internal = status_code(*code) == tonic::Code::Internal;
            assert_eq!(internal, *code == Code::Internal, "{code}");
            assert_ne!(status_code(*code), tonic::Code::Ok);
            assert_ne!(status_code(*code), tonic::Code::Unknown);
        }
    }

    #[test]
    fn inv_15_the_detail_never_leaves() {
        let refusal = Refusal::internal("disk /secret/path broke");
        let status = to_status(&refusal, Some(QueryId::default()));
        assert!(!status.message().contains("secret"), "{}", status.message());
        assert!(status.message().starts_with("internal: "));
        assert!(status.message().contains("(query "));
    }

    #[test]
    fn messages_are_one_printable_line() {
        let status = to_status(&Refusal::new(Code::SqlSyntax, "a\nb\u{7}c"), None);
        assert_eq!(status.message(), "sql-syntax: a b c");
    }

    #[test]
    fn messages_are_short_enough_for_every_client() {
        for text in ["é", "x", "%", "漢", "\u{10ffff}", "a%é"] {
            let refusal = Refusal::new(Code::PlanInvalid, text.repeat(5_000));
            let status = to_status(&refusal, Some(QueryId::default()));
            let message = status.message();
            assert!(message.len() <= MESSAGE_BYTES_MAX);
            assert!(message.ends_with('…'));
            let encoded: usize = message.chars().map(encoded_len).sum();
            let details = status.details().len().div_ceil(3) * 4;
            assert!(
                encoded + details < 8 * 1024 - 512,
                "{text}: {encoded} {details}"
            );
        }
        for length in [2_000, 2_030, 2_048] {
            let refusal = Refusal::new(Code::PlanInvalid, "x".repeat(length));
            let whole = refusal.to_string();
            let status = to_status(&refusal, None);
            assert_eq!(status.message() == whole, whole.len() <= MESSAGE_BYTES_MAX);
        }
    }

    #[test]
    fn details_say_the_same_to_machines() {
        let query = QueryId::default();
        let status = to_status(&Refusal::new(Code::RowLimit, "too many"), Some(query));
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(details.code, i32::from(status.code()));
        assert_eq!(details.message, status.message());
        let info = ErrorInfo::decode(details.details[0].value.clone()).unwrap();
        assert_eq!((&*info.reason, &*info.domain), ("row-limit", "scrim"));
        assert_eq!(info.metadata["query_id"], query.to_string());
        let foreign = RpcStatus::decode(foreign("ticket").details()).unwrap();
        assert!(foreign.message.starts_with("ticket-invalid: "));
    }
}
