//! What was decided, from the ledger: told again, made again, and made under other policies.

pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod sets;
pub(crate) mod unused;
pub(crate) mod usage;

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use scrim_ledger::{Damage, FILE_NAME};

use crate::outcome::Failure;

/// The moment from which on the ledger is read: so long ago, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long before now.
    Ago(TimeDelta),
    /// At this instant.
    At(DateTime<Utc>),
}

impl Since {
    /// Reads `7d`, `12h`, `30m`, `2w`, or what `instant` reads.
    pub fn parse(
        text: &str,
        instant: impl Fn(&str) -> Result<DateTime<Utc>, String>,
    ) -> Result<Self, String> {
        let ago = |unit: char, span: fn(i64) -> Option<TimeDelta>| {
            let count = text.strip_suffix(unit)?.parse().ok()?;
            span(count).filter(|span| *span >= TimeDelta::zero())
        };
        let ago = ago('m', TimeDelta::try_minutes)
            .or_else(|| ago('h', TimeDelta::try_hours))
            .or_else(|| ago('d', TimeDelta::try_days))
            .or_else(|| ago('w', TimeDelta::try_weeks));
        match ago {
            Some(span) => Ok(Self::Ago(span)),
            None => instant(text).map(Self::At).map_err(|_| {
                "write it like 7d, 12h or 30m, or like 2026-03-02T23:00:00Z or 2026-03-02"
                    .to_owned()
            }),
        }
    }

    /// The instant, seen from another one.
    pub fn instant(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Ago(span) => now
                .checked_sub_signed(span)
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
            Self::At(instant) => instant,
        }
    }
}

/// The file of a ledger, which is named by its folder or by itself.
pub(crate) fn ledger_file(path: &Path) -> Result<PathBuf, Failure> {
    let path = if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path.to_owned()
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::Usage(format!(
        "there is no ledger at {}",
        path.display()
    )))
}

/// A number of things, in words.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The path of a field inside a column, given its path under the column; of the column itself when
/// that is empty.
pub(crate) fn path_in(column: &str, path: &str) -> String {
    let dot = if path.is_empty() || path.starts_with('[') {
        ""
    } else {
        "."
    };
    format!("{column}{dot}{path}")
}

/// Says that a ledger is damaged, and where.
pub(crate) fn damaged(path: &Path) -> impl Fn(Damage) -> Failure {
    move |damage| Failure::Failed(format!("{}: {damage}", path.display()))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Since;

    #[test]
    fn the_beginning_is_a_span_or_an_instant() {
        let instant = |text: &str| text.parse::<DateTime<Utc>>().map_err(|e| e.to_string());
        let since = |text| Since::parse(text, instant);
        assert_eq!(since("7d"), Ok(Since::Ago(TimeDelta::days(7))));
        assert_eq!(since("12h"), Ok(Since::Ago(TimeDelta::hours(12))));
        assert_eq!(since("30m"), Ok(Since::Ago(TimeDelta::minutes(30))));
        assert_eq!(since("2w"), Ok(Since::Ago(TimeDelta::weeks(2))));
        let noon = "2026-03-02T12:00:00Z";
        assert_eq!(since(noon), Ok(Since::At(instant(noon).unwrap())));
        for text in ["", "d", "-1d", "7", "7 days", "99999999999999999d", "é"] {
            assert!(since(text).is_err(), "{text}");
        }
        let now = instant(noon).unwrap();
        assert_eq!(
            Since::Ago(TimeDelta::hours(1)).instant(now).to_rfc3339(),
            "2026-03-02T11:00:00+00:00"
        );
        assert_eq!(
            Since::Ago(TimeDelta::MAX).instant(now),
            DateTime::<Utc>::MIN_UTC
        );
    }
}
