//! Values as they are typed: times, days, ids.

use scrim_model::QueryId;

use crate::past::Since;

/// An instant, or a day as its first instant.
pub(super) fn time(text: &str) -> Result<chrono::DateTime<chrono::Utc>, String> {
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    text.parse()
        .map_err(|_| "write it like 2026-03-02T23:00:00Z or 2026-03-02".to_owned())
}

/// The id of a query or of an announced statement.
pub(super) fn query_id(text: &str) -> Result<QueryId, String> {
    text.parse()
        .map_err(|_| "write it like 01a1ff90-3d34-761d-80c0-d70709b7230b".to_owned())
}

/// So long ago, or an instant.
pub(super) fn since(text: &str) -> Result<Since, String> {
    Since::parse(text, time)
}

/// A number of days, as `30d`.
pub(super) fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').unwrap_or(text);
    days.parse()
        .map_err(|_| "write a number of days, like 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{days, time};

    #[test]
    fn days_are_counted() {
        assert_eq!((days("30d"), days("7")), (Ok(30), Ok(7)));
        assert!(days("a month").is_err() && days("-1d").is_err());
    }

    #[test]
    fn a_day_is_its_first_instant() {
        assert_eq!(time("2026-03-02"), time("2026-03-02T00:00:00Z"));
        assert!(time("yesterday").is_err());
    }
}
