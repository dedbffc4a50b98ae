//! Refusals as gRPC statuses: a short message with a stable code outside, the rest in the log.

use scrim_model::{Code, QueryId, Refusal};
use tonic::Status;

/// Bytes of a status message: larger trailers do not reach some clients at all.
const MESSAGE_BYTES_MAX: usize = 2048;

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
    Status::new(status_code(refusal.code()), message)
}

/// A ticket or handle that is sealed by us but for somebody else.
pub(crate) fn foreign(what: &str) -> Status {
    let message = format!(
        "{}: the {what} belongs to another principal or session",
        Code::TicketInvalid
    );
    Status::permission_denied(message)
}

fn log(refusal: &Refusal, query: Option<QueryId>) {
    let query = query.map(|id| id.to_string()).unwrap_or_default();
    let detail = refusal.detail().unwrap_or_default();
    match refusal.code() {
        Code::Internal => tracing::error!(%query, %refusal, detail, "failed inside"),
        Code::SourceUnavailable | Code::LedgerUnavailable => {
            tracing::error!(%query, %refusal, detail, "unavailable");
        }
        _ if !detail.is_empty() => tracing::warn!(%query, %refusal, detail, "refused"),
        _ => tracing::debug!(%query, %refusal, "refused"),
    }
}

fn clip(message: &mut String) {
    if message.len() > MESSAGE_BYTES_MAX {
        let mut end = MESSAGE_BYTES_MAX - '…'.len_utf8();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
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
        Code::SourceUnavailable | Code::LedgerUnavailable | Code::Stopping => {
            tonic::Code::Unavailable
        }
        Code::Cancelled => tonic::Code::Cancelled,
        Code::TicketExpired | Code::ResultChanged => tonic::Code::FailedPrecondition,
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
        let status = to_status(&Refusal::new(Code::PlanInvalid, "é".repeat(5_000)), None);
        assert!(status.message().len() <= MESSAGE_BYTES_MAX);
        assert!(status.message().ends_with('…'));
    }
}
