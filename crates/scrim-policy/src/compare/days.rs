//! The days on which an agreement gives anything.

use std::fmt;

use chrono::NaiveDate;

use super::Width;

/// The days on which an agreement gives anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Days {
    /// On none, and why.
    None(String),
    /// From the first to the last, if there are such.
    Some(Option<NaiveDate>, Option<NaiveDate>),
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(why) => write!(f, "never ({why})"),
            Self::Some(None, None) => f.write_str("always"),
            Self::Some(Some(start), None) => write!(f, "from {start}"),
            Self::Some(None, Some(end)) => write!(f, "until {end}"),
            Self::Some(Some(start), Some(end)) => write!(f, "{start} to {end}"),
        }
    }
}

impl Days {
    /// How new days stand to these.
    pub(super) fn width(&self, new: &Self) -> Width {
        match (self, new) {
            (Self::None(_), Self::None(_)) => Width::Equal,
            (Self::None(_), Self::Some(..)) => Width::Wider,
            (Self::Some(..), Self::None(_)) => Width::Narrower,
            (Self::Some(from, to), Self::Some(new_from, new_to)) => {
                let ends = (
                    to.unwrap_or(NaiveDate::MAX),
                    new_to.unwrap_or(NaiveDate::MAX),
                );
                let starts = (
                    from.unwrap_or(NaiveDate::MIN),
                    new_from.unwrap_or(NaiveDate::MIN),
                );
                let old_in_new = starts.1 <= starts.0 && ends.0 <= ends.1;
                let new_in_old = starts.0 <= starts.1 && ends.1 <= ends.0;
                Width::of(Some(old_in_new), Some(new_in_old))
            }
        }
    }
}
