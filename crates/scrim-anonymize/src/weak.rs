//! Masks that hide less than they seem to, as far as their parameters and a column's type tell.

use std::fmt;

use arrow::datatypes::DataType;

use crate::date::Unit;
use crate::mask::{KeepDomain, Kind, Mask, NoMatch};

/// Characters of an address's local part that do not yet tell who it is.
const LOCAL_MAX: u32 = 3;
/// Bits of an address that a whole site shares.
const V4_MAX: u32 = 28;
const V6_MAX: u32 = 64;

/// Why a mask hides little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weakness {
    /// It shows more characters of a value than it hides.
    KeepsMost {
        /// The characters that it shows.
        shown: u32,
        /// The characters that it hides at least.
        hidden: u32,
    },
    /// It shows the day.
    KeepsDay,
    /// It shows most of an e-mail address.
    KeepsAddress,
    /// Its step is so small that hardly a value changes.
    SmallStep(String),
    /// It shows values as they are that its pattern does not find.
    KeepsUnmatched,
    /// It shows an address down to a few machines.
    KeepsMachine,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepsMost { shown, hidden } => write!(
                f,
                "`partial` shows {shown} characters and hides as few as {hidden}"
            ),
            Self::KeepsDay => f.write_str("`truncate_date` keeps the day"),
            Self::KeepsAddress => f.write_str("`email` keeps what tells whose address it is"),
            Self::SmallStep(step) => write!(f, "steps of {step} change hardly a value"),
            Self::KeepsUnmatched => {
                f.write_str("`regex_replace` shows every value that its pattern does not find")
            }
            Self::KeepsMachine => f.write_str("`ip_truncate` keeps all but a few machines apart"),
        }
    }
}

impl Mask {
    /// Why the mask hides little of a column of this type; `None` when nothing speaks against it.
    pub fn weakness(&self, data_type: &DataType) -> Option<Weakness> {
        match &self.0 {
            Kind::Partial {
                keep_first,
                keep_last,
                min_masked,
                ..
            } => {
                let (shown, hidden) = (keep_first.saturating_add(*keep_last), *min_masked);
                (shown > hidden).then_some(Weakness::KeepsMost { shown, hidden })
            }
            Kind::Email {
                keep_local,
                keep_domain,
            } => {
                let whole_domain = *keep_domain == KeepDomain::Full && *keep_local > 0;
                (*keep_local > LOCAL_MAX || whole_domain).then_some(Weakness::KeepsAddress)
            }
            Kind::RegexReplace { on_no_match, .. } => {
                (*on_no_match == NoMatch::Keep).then_some(Weakness::KeepsUnmatched)
            }
            Kind::TruncateDate { unit, .. } => (*unit == Unit::Day).then_some(Weakness::KeepsDay),
            Kind::Round { to: step } | Kind::Bucket { width: step, .. } => {
                // How far floating-point numbers lie apart, their type does not tell.
                let counts = data_type.is_integer() || data_type.is_decimal();
                (counts && step.to_f64() <= 1.0).then(|| Weakness::SmallStep(step.to_string()))
            }
            Kind::IpTruncate { v4, v6 } => {
                (*v4 > V4_MAX || *v6 > V6_MAX).then_some(Weakness::KeepsMachine)
            }
            Kind::Null
            | Kind::Constant { .. }
            | Kind::Prefix { .. }
            | Kind::Pseudonymize { .. }
            | Kind::TopCode { .. }
            | Kind::BottomCode { .. }
            | Kind::Zip3 => None,
        }
    }

    /// Whether the mask shows a part of each text as it is.
    pub fn shows_part(&self) -> bool {
        match &self.0 {
            Kind::Partial {
                keep_first,
                keep_last,
                ..
            } => keep_first.saturating_add(*keep_last) > 0,
            Kind::Prefix { .. } | Kind::RegexReplace { .. } => true,
            Kind::Null
            | Kind::Constant { .. }
            | Kind::Email { .. }
            | Kind::Pseudonymize { .. }
            | Kind::TruncateDate { .. }
            | Kind::Round { .. }
            | Kind::Bucket { .. }
            | Kind::TopCode { .. }
            | Kind::BottomCode { .. }
            | Kind::Zip3
            | Kind::IpTruncate { .. } => false,
        }
    }
}
