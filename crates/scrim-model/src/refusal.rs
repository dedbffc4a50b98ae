//! Why a query does not run, told twice.

use std::fmt;

use crate::Code;

/// Any reason a query does not run or does not end well: a short, safe message with a stable code
/// for the client, and the full chain for the log.
#[derive(Clone)]
pub struct Refusal {
    code: Code,
    message: String,
    detail: Option<String>,
}

impl Refusal {
    /// A refusal whose message is safe to show to the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Something broke inside: a constant message for the client, the cause for the log.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "the query failed inside the server").with_detail(detail)
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What only the log may know; never send it.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}

impl std::error::Error for Refusal {}
