//! `round`, `bucket`, `top_code`, `bottom_code` on integers, decimals and floats.
//!
//! Integers and decimals are exact and saturate at the bounds of their type. Floats follow the
//! decimal numbers that the policy wrote; NaN and the infinities become NULL, except that
//! `top_code` and `bottom_code` know what to do with an infinity.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::error::ArrowError;

use crate::exact::Exact;

/// A mask of numbers with its parameters as the policy wrote them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NumberKernel {
    Round { to: Exact },
    Bucket { width: Exact, origin: Exact },
    Top { limit: Exact },
    Bottom { limit: Exact },
}

/// The same in the units of a column's type.
#[derive(Clone, Copy)]
enum Native<N> {
    Round {
        to: N,
    },
    /// The origin is at least zero and less than the width.
    Bucket {
        width: N,
        origin: N,
    },
    Top {
        limit: N,
    },
    Bottom {
        limit: N,
    },
}

/// A native number that an exact parameter may be turned into.
trait Whole: ArrowNativeTypeOp {
    fn from_i128(value: i128) -> Option<Self>;
}

macro_rules! whole {
    ($($native:ty),*) => {
        $(impl Whole for $native {
            fn from_i128(value: i128) -> Option<Self> {
                value.try_into().ok()
            }
        })*
    };
}

whole!(i8, i16, i32, i64, u8, u16, u32, u64, i128);

impl Whole for i256 {
    fn from_i128(value: i128) -> Option<Self> {
        Some(Self::from_i128(value))
    }
}

impl NumberKernel {
    pub(crate) fn works_on(data_type: &DataType) -> bool {
        data_type.is_numeric()
    }

    /// Tells which parameter the type cannot hold.
    pub(crate) fn check(&self, data_type: &DataType) -> Result<(), String> {
        use DataType as D;
        match data_type {
            D::Int8 => self.native::<i8>(0).map(|_| ()),
            D::Int16 => self.native::<i16>(0).map(|_| ()),
            D::Int32 => self.native::<i32>(0).map(|_| ()),
            D::Int64 => self.native::<i64>(0).map(|_| ()),
            D::UInt8 => self.native::<u8>(0).map(|_| ()),
            D::UInt16 => self.native::<u16>(0).map(|_| ()),
            D::UInt32 => self.native::<u32>(0).map(|_| ()),
            D::UInt64 => self.native::<u64>(0).map(|_| ()),
            D::Decimal32(_, scale) => self.native::<i32>(*scale).map(|_| ()),
            D::Decimal64(_, scale) => self.native::<i64>(*scale).map(|_| ()),
            D::Decimal128(_, scale) => self.native::<i128>(*scale).map(|_| ()),
            D::Decimal256(_, scale) => self.native::<i256>(*scale).map(|_| ()),
            _ => Ok(()),
        }
        .map_err(|(parameter, value)| {
            format!("`{parameter}` is {value}, which {data_type} cannot hold exactly")
        })
    }

    fn native<N: Whole>(&self, scale: i8) -> Result<Native<N>, (&'static str, Exact)> {
        let fit = |name, value: Exact| {
            value
                .at_scale(scale)
                .and_then(N::from_i128)
                .ok_or((name, value))
        };
        Ok(match *self {
            Self::Round { to } => Native::Round { to: fit("to", to)? },
            Self::Top { limit } => Native::Top {
                limit: fit("limit", limit)?,
            },
            Self::Bottom { limit } => Native::Bottom {
                limit: fit("limit", limit)?,
            },
            Self::Bucket { width, origin } => {
                let narrow = fit("width", width)?;
                let start = origin.at_scale(scale).zip(width.at_scale(scale));
                let start = start.map(|(origin, width)| origin.rem_euclid(width));
                let origin = start.and_then(N::from_i128).ok_or(("origin", origin))?;
                Native::Bucket {
                    width: narrow,
                    origin,
                }
            }
        })
    }

    pub(crate) fn apply(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        use DataType as D;
        match array.data_type() {
            D::Int8 => self.whole::<Int8Type>(array, 0, None),
            D::Int16 => self.whole::<Int16Type>(array, 0, None),
            D::Int32 => self.whole::<Int32Type>(array, 0, None),
            D::Int64 => self.whole::<Int64Type>(array, 0, None),
            D::UInt8 => self.whole::<UInt8Type>(array, 0, None),
            D::UInt16 => self.whole::<UInt16Type>(array, 0, None),
            D::UInt32 => self.whole::<UInt32Type>(array, 0, None),
            D::UInt64 => self.whole::<UInt64Type>(array, 0, None),
            D::Decimal32(p, s) => self.whole::<Decimal32Type>(array, *s, Some(*p)),
            D::Decimal64(p, s) => self.whole::<Decimal64Type>(array, *s, Some(*p)),
            D::Decimal128(p, s) => self.whole::<Decimal128Type>(array, *s, Some(*p)),
            D::Decimal256(p, s) => self.whole::<Decimal256Type>(array, *s, Some(*p)),
            D::Float16 => {
                type Half = <Float16Type as ArrowPrimitiveType>::Native;
                Ok(self.float::<Float16Type>(array, Half::to_f64, Half::from_f64, 65_504.0))
            }
            D::Float32 => {
                let max = f64::from(f32::MAX);
                Ok(self.float::<Float32Type>(array, f64::from, |value| value as f32, max))
            }
            D::Float64 => Ok(self.float::<Float64Type>(array, |v| v, |v| v, f64::MAX)),
            other => Err(ArrowError::InvalidArgumentError(format!(
                "a number mask was given {other}"
            ))),
        }
    }

    fn whole<T: ArrowPrimitiveType>(
        &self,
        array: &dyn Array,
        scale: i8,
        precision: Option<u8>,
    ) -> Result<ArrayRef, ArrowError>
    where
        T::Native: Whole,
    {
        let native = self.native::<T::Native>(scale).map_err(|(parameter, _)| {
            ArrowError::InvalidArgumentError(format!("`{parameter}` does not fit the type"))
        })?;
        let (min, max) = bounds(precision);
        let clamp = |value: T::Native| {
            if value.is_lt(min) {
                min
            } else if value.is_gt(max) {
                max
            } else {
                value
            }
        };
        let array = array.as_primitive::<T>();
        let masked: PrimitiveArray<T> = match native {
            Native::Round { to } => array.unary(|value| clamp(round(value, to, min, max))),
            Native::Bucket { width, origin } => {
                array.unary(|value| clamp(lower_bound(value, width, origin, min)))
            }
            Native::Top { limit } => {
                array.unary(|value| clamp(if value.is_gt(limit) { limit } else { value }))
            }
            Native::Bottom { limit } => {
                array.unary(|value| clamp(if value.is_lt(limit) { limit } else { value }))
            }
        };
        Ok(Arc::new(masked.with_data_type(array.data_type().clone())))
    }

    fn float<T: ArrowPrimitiveType>(
        &self,
        array: &dyn Array,
        widen: impl Fn(T::Native) -> f64 + Copy,
        narrow: impl Fn(f64) -> T::Native + Copy,
        max: f64,
    ) -> ArrayRef {
        let array = array.as_primitive::<T>();
        // What the type makes of a number: comparisons happen among values the type can hold.
        let held = |value: f64| widen(narrow(value));
        let back = |value: f64| narrow(value.clamp(-max, max) + 0.0);
        let finite = |value: T::Native| Some(widen(value)).filter(|value| value.is_finite());
        let masked: PrimitiveArray<T> = match self {
            Self::Round { to } => {
                let grid = Grid::new(*to, Exact::from(0));
                array.unary_opt(|value| Some(back(grid.nearest(finite(value)?, held))))
            }
            Self::Bucket { width, origin } => {
                let grid = Grid::new(*width, *origin);
                array.unary_opt(|value| Some(back(grid.below(finite(value)?, held))))
            }
            Self::Top { limit } => cap(
                array,
                held(limit.to_f64()),
                Ordering::Greater,
                widen,
                narrow,
            ),
            Self::Bottom { limit } => {
                cap(array, held(limit.to_f64()), Ordering::Less, widen, narrow)
            }
        };
        Arc::new(masked)
    }
}

/// Replaces what lies `beyond` the limit, and NaN by NULL.
fn cap<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    limit: f64,
    beyond: Ordering,
    widen: impl Fn(T::Native) -> f64,
    narrow: impl Fn(f64) -> T::Native,
) -> PrimitiveArray<T> {
    array.unary_opt(|value| {
        let order = widen(value).partial_cmp(&limit)?;
        Some(if order == beyond {
            narrow(limit)
        } else {
            value
        })
    })
}

/// The least and the greatest value of an integer type, or of a decimal's precision.
fn bounds<N: Whole>(precision: Option<u8>) -> (N, N) {
    let widest = (N::MIN_TOTAL_ORDER, N::MAX_TOTAL_ORDER);
    let Some(digits) = precision else {
        return widest;
    };
    let power = N::from_i128(10).and_then(|ten| ten.pow_checked(u32::from(digits)).ok());
    match power {
        Some(power) => (N::ONE.sub_wrapping(power), power.sub_wrapping(N::ONE)),
        None => widest,
    }
}

/// What is left of `value` above the next multiple of `step` below it.
fn remainder<N: Whole>(value: N, step: N) -> N {
    let rest = value.mod_wrapping(step);
    if rest.is_lt(N::ZERO) {
        rest.add_wrapping(step)
    } else {
        rest
    }
}

/// The nearest multiple; of two equally near ones the even one.
fn round<N: Whole>(value: N, step: N, min: N, max: N) -> N {
    let down = remainder(value, step);
    if down.is_zero() {
        return value;
    }
    let up = step.sub_wrapping(down);
    let goes_up = match down.compare(up) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => {
            let quotient = value.div_wrapping(step);
            let odd = !quotient.mod_wrapping(N::ONE.add_wrapping(N::ONE)).is_zero();
            // Division cuts towards zero; below zero the multiple underneath is one further.
            odd != value.is_lt(N::ZERO)
        }
    };
    if goes_up {
        value.add_checked(up).unwrap_or(max)
    } else {
        value.sub_checked(down).unwrap_or(min)
    }
}

/// The lower bound of the bucket that holds `value`.
fn lower_bound<N: Whole>(value: N, width: N, origin: N, min: N) -> N {
    // The distance is counted from a bucket's bound on the value's own side of zero, so that it
    // cannot overflow.
    let distance = if value.is_lt(N::ZERO) {
        value.add_wrapping(width.sub_wrapping(origin))
    } else if value.is_lt(origin) {
        // Only the bucket around zero gets here.
        value
            .add_checked(width.sub_wrapping(origin))
            .unwrap_or(value)
    } else {
        value.sub_wrapping(origin)
    };
    value.sub_checked(remainder(distance, width)).unwrap_or(min)
}

/// `f64::floor`, without the call it costs where the processor's own may not be assumed.
fn floor(value: f64) -> f64 {
    // Below this a double may have a fraction, and fits an i64.
    if value.abs() < 4_503_599_627_370_496.0 {
        let cut = (value as i64) as f64;
        if cut > value { cut - 1.0 } else { cut }
    } else {
        value
    }
}

/// Multiples of a decimal step on doubles: bound number `k` is `(origin + k * step) / power`, one
/// correctly rounded division, hence the double that a person would write.
struct Grid {
    step: f64,
    origin: f64,
    power: f64,
}

impl Grid {
    fn new(step: Exact, origin: Exact) -> Self {
        let scale = step.scale().max(origin.scale());
        let power = 10_f64.powi(i32::from(scale));
        let whole = |value: Exact| {
            let exact = i8::try_from(scale)
                .ok()
                .and_then(|scale| value.at_scale(scale));
            exact.map_or(value.to_f64() * power, |whole| whole as f64)
        };
        Self {
            step: whole(step),
            origin: whole(origin),
            power,
        }
    }

    fn bound(&self, index: f64) -> f64 {
        (self.origin + index * self.step) / self.power
    }

    fn index_below(&self, value: f64, held: impl Fn(f64) -> f64) -> Option<f64> {
        let index = floor((value * self.power - self.origin) / self.step);
        if !index.is_finite() {
            return None;
        }
        // The product above was rounded; the neighbours decide.
        Some(if held(self.bound(index + 1.0)) <= value {
            index + 1.0
        } else if held(self.bound(index)) > value {
            index - 1.0
        } else {
            index
        })
    }

    /// The greatest bound that is not above the value; a value too large for the arithmetic is
    /// coarser than any step that fits it, and stays.
    fn below(&self, value: f64, held: impl Fn(f64) -> f64) -> f64 {
        self.index_below(value, held)
            .map_or(value, |index| self.bound(index))
    }

    fn nearest(&self, value: f64, held: impl Fn(f64) -> f64 + Copy) -> f64 {
        let Some(index) = self.index_below(value, held) else {
            return value;
        };
        let middle =
            held((2.0 * self.origin + (2.0 * index + 1.0) * self.step) / (2.0 * self.power));
        let up = match value.partial_cmp(&middle) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => index % 2.0 != 0.0,
            Some(Ordering::Less) | None => false,
        };
        self.bound(if up { index + 1.0 } else { index })
    }
}

#[cfg(test)]
mod tests;
