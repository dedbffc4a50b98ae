//! Time zones of sessions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use scrim_model::{Code, Refusal};

/// Bytes of a time zone's name; the longest of IANA's has 32.
const BYTES_MAX: usize = 64;

/// A time zone that is known: an IANA name or an offset such as `+02:00`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeZone(Arc<str>);

impl TimeZone {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is no time zone.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let listed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '/' | ':');
        let known =
            text.len() <= BYTES_MAX && text.chars().all(listed) && Tz::from_str(text).is_ok();
        if !known {
            return Err(Refusal::new(
                Code::RequestInvalid,
                "no such time zone; give a name like Europe/Berlin or an offset like +02:00",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self("+00:00".into())
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_and_nothing_else() {
        for text in [
            "Europe/Berlin",
            "America/New_York",
            "UTC",
            "+02:00",
            "-09:30",
            "Etc/GMT+5",
        ] {
            assert_eq!(TimeZone::parse(text).unwrap().as_str(), text);
        }
        let long = "x".repeat(BYTES_MAX + 1);
        for text in [
            "",
            "Mars/Olympus",
            "+25:00",
            "+2:00:00:00",
            "UTC'",
            "local",
            "12",
            &long,
        ] {
            assert!(TimeZone::parse(text).is_err(), "{text}");
        }
    }
}
