//! PostgreSQL's `numeric`: digits of base 10,000, of which the first counts 10,000 to the power of
//! the weight.

use datafusion::arrow::datatypes::i256;

use super::binary::{Broken, take};
use super::text::write;

const BASE_DIGITS: i32 = 4;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

const BEYOND: Broken = Broken("a numeric has more digits than its type");

/// A value as it came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numeric<'a> {
    Finite(Finite<'a>),
    Nan,
    /// Whether it is the negative one.
    Infinite(bool),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Finite<'a> {
    is_negative: bool,
    /// The power of ten of the first digit's unit.
    exponent: i32,
    digits: &'a [u8],
}

impl<'a> Numeric<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut rest = bytes;
        let count = u16::from_be_bytes(take(&mut rest)?);
        let weight = i16::from_be_bytes(take(&mut rest)?);
        let sign = u16::from_be_bytes(take(&mut rest)?);
        let _shown_scale: [u8; 2] = take(&mut rest)?;
        if rest.len() != usize::from(count) * 2 {
            return Err(Broken(
                "a numeric has another number of digits than it says",
            ));
        }
        let finite = |is_negative| {
            Self::Finite(Finite {
                is_negative,
                exponent: i32::from(weight) * BASE_DIGITS,
                digits: rest,
            })
        };
        match sign {
            POSITIVE => Ok(finite(false)),
            NEGATIVE => Ok(finite(true)),
            NAN => Ok(Self::Nan),
            INFINITY => Ok(Self::Infinite(false)),
            MINUS_INFINITY => Ok(Self::Infinite(true)),
            _ => Err(Broken("a numeric has an unknown sign")),
        }
    }

    fn finite(self) -> Option<Finite<'a>> {
        match self {
            Self::Finite(finite) => Some(finite),
            Self::Nan | Self::Infinite(_) => None,
        }
    }
}

impl Finite<'_> {
    fn digits(&self) -> impl Iterator<Item = Result<u16, Broken>> {
        let pairs = self.digits.as_chunks().0.iter();
        pairs.map(|pair| match u16::from_be_bytes(*pair) {
            digit @ 0..10_000 => Ok(digit),
            _ => Err(Broken("a numeric has a digit beyond its base")),
        })
    }

    /// The digits as whole numbers of ten to the power of `-scale`: by what to multiply the number so
    /// far and what to add, and at the end by what power of ten to multiply it.
    fn steps(&self, scale: i8) -> impl Iterator<Item = Result<(u16, u16), Broken>> {
        let mut exponent = self.exponent + i32::from(scale);
        self.digits().map(move |digit| {
            let digit = digit?;
            let here = exponent;
            exponent -= BASE_DIGITS;
            // Only the end of the last digit may lie beyond the scale, and it is zero.
            let (times, divisor) = match here {
                0.. => (10_000, 1),
                -1 => (1_000, 10),
                -2 => (100, 100),
                -3 => (10, 1_000),
                _ => (1, 10_000),
            };
            if digit % divisor == 0 {
                Ok((times, digit / divisor))
            } else {
                Err(BEYOND)
            }
        })
    }

    /// The power of ten that is missing after the last step.
    fn missing(&self, scale: i8) -> u32 {
        let count = i32::try_from(self.digits.len() / 2).unwrap_or(i32::MAX);
        let last = (self.exponent + i32::from(scale)).saturating_sub((count - 1) * BASE_DIGITS);
        u32::try_from(last).unwrap_or(0)
    }
}

/// The decimal of a value; none for what is no number.
pub(super) fn decimal128(
    value: Numeric<'_>,
    precision: u8,
    scale: i8,
) -> Result<Option<i128>, Broken> {
    let Some(finite) = value.finite() else {
        return Ok(None);
    };
    let mut number = 0_i128;
    for step in finite.steps(scale) {
        let (times, digit) = step?;
        let shifted = number.checked_mul(times.into()).ok_or(BEYOND)?;
        number = shifted.checked_add(digit.into()).ok_or(BEYOND)?;
    }
    let missing = finite.missing(scale);
    if missing > 0 && number != 0 {
        let power = 10_i128.checked_pow(missing).ok_or(BEYOND)?;
        number = number.checked_mul(power).ok_or(BEYOND)?;
    }
    if 10_i128
        .checked_pow(precision.into())
        .is_none_or(|end| number >= end)
    {
        return Err(BEYOND);
    }
    Ok(Some(if finite.is_negative { -number } else { number }))
}

/// The same for more digits.
pub(super) fn decimal256(
    value: Numeric<'_>,
    precision: u8,
    scale: i8,
) -> Result<Option<i256>, Broken> {
    let Some(finite) = value.finite() else {
        return Ok(None);
    };
    let whole = |small: u16| i256::from_i128(small.into());
    let mut number = i256::ZERO;
    for step in finite.steps(scale) {
        let (times, digit) = step?;
        let shifted = number.checked_mul(whole(times)).ok_or(BEYOND)?;
        number = shifted.checked_add(whole(digit)).ok_or(BEYOND)?;
    }
    let missing = finite.missing(scale);
    if missing > 0 && number != i256::ZERO {
        let power = whole(10).checked_pow(missing).ok_or(BEYOND)?;
        number = number.checked_mul(power).ok_or(BEYOND)?;
    }
    if whole(10)
        .checked_pow(precision.into())
        .is_none_or(|end| number >= end)
    {
        return Err(BEYOND);
    }
    let signed = if finite.is_negative {
        number.checked_neg()
    } else {
        Some(number)
    };
    signed.map(Some).ok_or(BEYOND)
}

/// Whole numbers up to here are doubles, each of them.
const EXACT_MAX: u128 = 1 << 53;

/// Powers of ten up to here are doubles, each of them.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The nearest double.
pub(super) fn double(value: Numeric<'_>) -> Result<f64, Broken> {
    let finite = match value {
        Numeric::Finite(finite) => finite,
        Numeric::Nan => return Ok(f64::NAN),
        Numeric::Infinite(true) => return Ok(f64::NEG_INFINITY),
        Numeric::Infinite(false) => return Ok(f64::INFINITY),
    };
    let absolute = match short(&finite)? {
        Some(absolute) => absolute,
        None => long(&finite)?,
    };
    Ok(if finite.is_negative {
        -absolute
    } else {
        absolute
    })
}

/// The exponent of the last digit.
fn last_exponent(finite: &Finite<'_>) -> i32 {
    let count = i32::try_from(finite.digits.len() / 2).unwrap_or(i32::MAX);
    finite.exponent - (count - 1) * BASE_DIGITS
}

/// Where number and power of ten are doubles themselves, one division or product rounds once.
fn short(finite: &Finite<'_>) -> Result<Option<f64>, Broken> {
    let mut number = 0_u128;
    for digit in finite.digits() {
        number = number * 10_000 + u128::from(digit?);
        if number > EXACT_MAX {
            return Ok(None);
        }
    }
    let exponent = last_exponent(finite);
    let power = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    let Some(power) = POWERS.get(power) else {
        return Ok((number == 0).then_some(0.0));
    };
    #[expect(clippy::cast_precision_loss, reason = "it is at most 2^53")]
    let number = number as f64;
    Ok(Some(if exponent < 0 {
        number / power
    } else {
        number * power
    }))
}

/// Everything else by way of its digits.
fn long(finite: &Finite<'_>) -> Result<f64, Broken> {
    let mut text = String::with_capacity(finite.digits.len() * 2 + 8);
    for digit in finite.digits() {
        write(&mut text, format_args!("{:04}", digit?));
    }
    write(&mut text, format_args!("e{}", last_exponent(finite)));
    text.parse().map_err(|_| Broken("a numeric is no number"))
}
