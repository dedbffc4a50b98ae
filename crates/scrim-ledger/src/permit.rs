//! The right to proceed.

use std::sync::Arc;

use scrim_model::{Code, QueryId};

use crate::{
    entry::{Closing, Outcome},
    writer::Shared,
};

/// The right to read what some decisions show: proof that the ledger holds them durably.
///
/// There is one permit for each opened record, it cannot be copied or made, and every way of
/// closing consumes it, so the record is closed exactly once. Dropping it closes the record as
/// `abandoned`.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    query: QueryId,
    hashes: Vec<String>,
    rows: u64,
    bytes: u64,
    open: bool,
}

impl Permit {
    /// Only the writer calls this, after the record is durable and counted as live.
    pub(crate) fn new(shared: Arc<Shared>, query: QueryId, hashes: Vec<String>) -> Self {
        Self {
            shared,
            query,
            hashes,
            rows: 0,
            bytes: 0,
            open: true,
        }
    }

    /// The query that may proceed.
    pub fn query(&self) -> QueryId {
        self.query
    }

    /// Whether a decision with this hash is among those that were recorded.
    pub fn covers(&self, decision_hash: &str) -> bool {
        self.hashes.iter().any(|hash| hash == decision_hash)
    }

    /// Notes what was handed over so far, for the case that the permit is dropped.
    pub fn progress(&mut self, rows: u64, bytes: u64) {
        (self.rows, self.bytes) = (rows, bytes);
    }

    /// Closes the record: all of the result was handed over.
    pub fn completed(mut self, rows: u64, bytes: u64) {
        self.progress(rows, bytes);
        self.close(Outcome::Completed, None, None);
    }

    /// Closes the record: the query failed after `rows` rows.
    pub fn failed(mut self, code: Code, rows: u64, bytes: u64) {
        self.progress(rows, bytes);
        self.close(Outcome::Failed, Some(code), None);
    }

    /// Closes the record: the right to the data ended after `rows` rows.
    pub fn revoked(mut self, reason: impl Into<String>, rows: u64, bytes: u64) {
        self.progress(rows, bytes);
        self.close(Outcome::Revoked, Some(Code::Revoked), Some(reason.into()));
    }

    fn close(&mut self, outcome: Outcome, code: Option<Code>, reason: Option<String>) {
        self.open = false;
        let (rows, bytes) = (Some(self.rows), Some(self.bytes));
        self.shared.close(Closing {
            query: self.query,
            outcome,
            rows,
            bytes,
            code,
            reason,
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.open {
            self.close(Outcome::Abandoned, None, None);
        }
    }
}
