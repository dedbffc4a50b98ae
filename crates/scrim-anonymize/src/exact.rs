//! Decimal numbers of a policy, kept exactly as written.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};

/// `digits` divided by ten to the power of `scale`, without trailing zeros behind the point.
///
/// A step of `0.05` must mean five hundredths on a decimal column, not the nearest double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exact {
    digits: i128,
    scale: u8,
}

impl From<i64> for Exact {
    fn from(value: i64) -> Self {
        Self {
            digits: i128::from(value),
            scale: 0,
        }
    }
}

impl Exact {
    /// Reads `-12`, `0.05` or `1e3`; `None` when it is no number or has too many digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let unsigned = whole.trim_start_matches(['-', '+']);
        let all_digits = unsigned
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit());
        if !all_digits || (unsigned.is_empty() && fraction.is_empty()) {
            return None;
        }
        let digits = format!("{whole}{fraction}").parse::<i128>().ok()?;
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Self::normal(digits, scale)
    }

    fn normal(mut digits: i128, mut scale: i32) -> Option<Self> {
        if digits == 0 {
            return Some(Self { digits, scale: 0 });
        }
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        while scale < 0 {
            digits = digits.checked_mul(10)?;
            scale += 1;
        }
        let scale = u8::try_from(scale).ok().filter(|scale| *scale <= 38)?;
        Some(Self { digits, scale })
    }

    pub(crate) fn is_positive(self) -> bool {
        self.digits > 0
    }

    pub(crate) fn scale(self) -> u8 {
        self.scale
    }

    /// The number of units of ten to the minus `scale`, when that is whole.
    pub(crate) fn at_scale(self, scale: i8) -> Option<i128> {
        let shift = i32::from(scale) - i32::from(self.scale);
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 {
            return self.digits.checked_mul(power);
        }
        (self.digits % power == 0).then_some(self.digits / power)
    }

    /// How it stands to another number; `None` when they have too many digits for one scale.
    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        let scale = i8::try_from(self.scale.max(other.scale)).ok()?;
        Some(self.at_scale(scale)?.cmp(&other.at_scale(scale)?))
    }

    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        // The text is a valid number by construction; NaN would make the mask give NULL, which
        // shows less, not more.
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.digits);
        }
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs();
        let power = 10_u128.pow(u32::from(self.scale));
        let width = usize::from(self.scale);
        write!(f, "{sign}{}.{:0width$}", digits / power, digits % power)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.scale, i64::try_from(self.digits)) {
            (0, Ok(whole)) => serializer.serialize_i64(whole),
            (_, Ok(_) | Err(_)) => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exact;

    #[test]
    fn numbers_are_kept_as_written() {
        for (text, shown) in [
            ("0.05", "0.05"),
            ("-12.50", "-12.5"),
            ("1e3", "1000"),
            ("-0.5", "-0.5"),
            (".5", "0.5"),
            ("15e-1", "1.5"),
            ("0.000", "0"),
        ] {
            assert_eq!(Exact::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "", "-", ".", "1.2.3", "NaN", "inf", "1e400", "--1", "0x1", "1_0",
        ] {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn scaling_is_exact_or_refused() {
        let number = Exact::parse("2.5").unwrap();
        assert_eq!(number.at_scale(2), Some(250));
        assert_eq!(number.at_scale(0), None);
        assert_eq!(Exact::parse("1200").unwrap().at_scale(-2), Some(12));
        assert_eq!(Exact::parse("1250").unwrap().at_scale(-2), None);
    }
}
