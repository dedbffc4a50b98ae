//! Stable codes of refusals.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// The stable code of a refusal: what clients may match on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name),+ }

        impl Code {
            /// Every code, for the table in the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as clients see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

codes! {
    /// No or no valid credentials.
    Unauthenticated = "unauthenticated",
    /// Too many failed log-ins.
    Throttled = "throttled",
    /// The session has ended.
    SessionEnded = "session-ended",
    /// The statement is not SQL that we understand.
    SqlSyntax = "sql-syntax",
    /// The statement is longer or deeper than the limits allow.
    SqlTooLarge = "sql-too-large",
    /// Only reading statements are served.
    ReadOnly = "read-only",
    /// A kind of statement that is not served.
    StatementRefused = "statement-refused",
    /// A function that is not on the list.
    FunctionRefused = "function-refused",
    /// A table or column of that name does not exist.
    NameNotFound = "name-not-found",
    /// The statement is well-formed but does not make sense.
    PlanInvalid = "plan-invalid",
    /// The table is closed for this request by a guard of its contract.
    TableClosed = "table-closed",
    /// A purpose must be stated.
    PurposeRequired = "purpose-required",
    /// The policy asks for something that this server cannot do.
    ObligationUnknown = "obligation-unknown",
    /// A parameter is missing or of the wrong type.
    ParameterInvalid = "parameter-invalid",
    /// A value could not be converted.
    CastInvalid = "cast-invalid",
    /// Division by zero.
    DivideByZero = "divide-by-zero",
    /// A number left its range.
    Overflow = "overflow",
    /// An expression of the query failed on a value.
    ExpressionFailed = "expression-failed",
    /// The query ran out of its memory.
    MemoryLimit = "memory-limit",
    /// The result has more rows than allowed.
    RowLimit = "row-limit",
    /// The result has more bytes than allowed.
    ByteLimit = "byte-limit",
    /// The query took longer than allowed.
    TimeLimit = "time-limit",
    /// Too many queries at once.
    ConcurrencyLimit = "concurrency-limit",
    /// Too many queries in a minute.
    RateLimit = "rate-limit",
    /// A source could not be read.
    SourceUnavailable = "source-unavailable",
    /// A source has no room for another reader.
    SourceBusy = "source-busy",
    /// A source was replaced while it was read.
    SourceChanged = "source-changed",
    /// A source holds what its contract says it does not.
    SourceInvalid = "source-invalid",
    /// A decision point outside the policies did not answer, so nothing is shown.
    DecisionUnavailable = "decision-unavailable",
    /// The ledger could not be written, so nothing is served.
    LedgerUnavailable = "ledger-unavailable",
    /// Nobody read the result for too long.
    ReaderIdle = "reader-idle",
    /// The query was cancelled.
    Cancelled = "cancelled",
    /// The right to the data ended.
    Revoked = "revoked",
    /// The ticket or handle is not ours, or not yours.
    TicketInvalid = "ticket-invalid",
    /// The ticket or handle has expired.
    TicketExpired = "ticket-expired",
    /// The result's definition changed since the ticket was made.
    ResultChanged = "result-changed",
    /// The request is malformed.
    RequestInvalid = "request-invalid",
    /// The request is of a kind that is not served.
    NotServed = "not-served",
    /// The server is stopping.
    Stopping = "stopping",
    /// Something broke inside; the log knows more.
    Internal = "internal",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn codes_are_distinct_kebab_case() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(
            texts
                .iter()
                .all(|t| t.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        );
    }
}
