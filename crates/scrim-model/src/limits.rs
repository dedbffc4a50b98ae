//! Limits of a profile.

use serde::{Deserialize, Serialize};

/// What one query or one principal may use under an agreement; `None` is "the server's own limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Rows that one result may have.
    pub max_rows: Option<u64>,
    /// Bytes that one result may have, as Arrow buffers.
    pub max_bytes: Option<u64>,
    /// Queries that one principal may start in a minute.
    pub queries_per_minute: Option<u64>,
    /// Queries that one principal may run at once.
    pub concurrent_queries: Option<u64>,
}

impl Limits {
    /// The more generous of two sets of limits, field by field: no limit beats any limit.
    #[must_use]
    pub fn most_generous(self, other: Self) -> Self {
        let wider = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.max(b));
        Self {
            max_rows: wider(self.max_rows, other.max_rows),
            max_bytes: wider(self.max_bytes, other.max_bytes),
            queries_per_minute: wider(self.queries_per_minute, other.queries_per_minute),
            concurrent_queries: wider(self.concurrent_queries, other.concurrent_queries),
        }
    }

    /// The stricter of two sets of limits, field by field; for several tables in one query.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        let narrower = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            max_rows: narrower(self.max_rows, other.max_rows),
            max_bytes: narrower(self.max_bytes, other.max_bytes),
            queries_per_minute: narrower(self.queries_per_minute, other.queries_per_minute),
            concurrent_queries: narrower(self.concurrent_queries, other.concurrent_queries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn no_limit_is_the_most_generous_and_the_least_strict() {
        let ten = Limits {
            max_rows: Some(10),
            ..Limits::default()
        };
        let five = Limits {
            max_rows: Some(5),
            max_bytes: Some(1),
            ..Limits::default()
        };
        assert_eq!(ten.most_generous(five).max_rows, Some(10));
        assert_eq!(ten.most_generous(five).max_bytes, None);
        assert_eq!(ten.strictest(five).max_rows, Some(5));
        assert_eq!(ten.strictest(five).max_bytes, Some(1));
    }
}
