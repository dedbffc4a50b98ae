//! Masks bound to the type of one column.

use std::fmt;
use std::sync::Arc;

use arrow::array::types::{Int16Type, Int32Type, Int64Type};
use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, RunArray,
    StringArray, UInt32Array, new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options, concat, take};
use arrow::datatypes::{DataType, FieldRef, RunEndIndexType};
use arrow::error::ArrowError;

use crate::compact::compact;
use crate::date::DateKernel;
use crate::error::MaskError;
use crate::keys::MaskKeys;
use crate::mask::{Kind, Scope};
use crate::number::NumberKernel;
use crate::params::ParamValue;
use crate::pseudonym::PseudonymKernel;
use crate::text::{TextKernel, compile};

/// A mask ready for arrays of one type, with its keys if it needs any.
#[derive(Clone)]
pub struct BoundMask(Arc<Bound>);

struct Bound {
    name: &'static str,
    data_type: DataType,
    kernel: Kernel,
}

enum Kernel {
    Null,
    /// One value of the column's plain type.
    Constant(ArrayRef),
    Text(TextKernel),
    Number(NumberKernel),
    Date(DateKernel),
    Pseudonym(PseudonymKernel),
}

impl fmt::Debug for BoundMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither parameters nor keys: whoever prints a plan must not print a secret.
        f.debug_struct("BoundMask")
            .field("name", &self.0.name)
            .field("data_type", &self.0.data_type)
            .finish_non_exhaustive()
    }
}

impl BoundMask {
    /// The mask's name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The type it takes and gives.
    pub fn data_type(&self) -> &DataType {
        &self.0.data_type
    }

    /// Masks every value: the type and the length stay, NULL stays NULL.
    ///
    /// No value makes it fail; it fails only on an array of another type and when the result does
    /// not fit into one array.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if array.data_type() != &self.0.data_type {
            return Err(ArrowError::InvalidArgumentError(format!(
                "mask `{}` is for {}, it was given {}",
                self.0.name,
                self.0.data_type,
                array.data_type()
            )));
        }
        match &self.0.kernel {
            Kernel::Null => Ok(new_null_array(array.data_type(), array.len())),
            kernel => on_values(array, kernel),
        }
    }
}

/// Masks the values of an encoded array once each, after dropping those that no row shows.
fn on_values(array: &ArrayRef, kernel: &Kernel) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Dictionary(_, _) => {
            let compacted = compact(array)?;
            let dictionary = compacted.as_any_dictionary();
            Ok(dictionary.with_values(on_values(dictionary.values(), kernel)?))
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => on_runs::<Int16Type>(array, kernel),
            DataType::Int32 => on_runs::<Int32Type>(array, kernel),
            _ => on_runs::<Int64Type>(array, kernel),
        },
        _ => kernel.apply(array.as_ref()),
    }
}

fn on_runs<R: RunEndIndexType>(array: &ArrayRef, kernel: &Kernel) -> Result<ArrayRef, ArrowError> {
    let compacted = compact(array)?;
    match compacted.as_any().downcast_ref::<RunArray<R>>() {
        Some(runs) => Ok(Arc::new(
            runs.with_values(on_values(runs.values(), kernel)?),
        )),
        None => Err(ArrowError::InvalidArgumentError(
            "an unknown run-end type".to_owned(),
        )),
    }
}

impl Kernel {
    fn apply(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Null => Ok(new_null_array(array.data_type(), array.len())),
            Self::Constant(value) => {
                let zeros = ScalarBuffer::from(vec![0_u32; array.len()]);
                let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
                take(value, &UInt32Array::try_new(zeros, nulls)?, None)
            }
            Self::Text(kernel) => kernel.apply(array),
            Self::Number(kernel) => kernel.apply(array),
            Self::Date(kernel) => kernel.apply(array),
            Self::Pseudonym(kernel) => kernel.apply(array),
        }
    }
}

/// The type of the values behind dictionaries and runs.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

/// Where a mask is bound, for its messages.
struct Site<'a> {
    mask: &'static str,
    column: &'a str,
    data_type: &'a DataType,
}

impl Site<'_> {
    fn wrong_type(&self, works_on: &str) -> MaskError {
        MaskError::WrongType {
            mask: self.mask,
            column: self.column.to_owned(),
            data_type: self.data_type.to_string(),
            works_on: works_on.to_owned(),
        }
    }

    fn unfit(&self, problem: impl Into<String>) -> MaskError {
        let column = self.column.to_owned();
        MaskError::Unfit {
            mask: self.mask,
            column,
            problem: problem.into(),
        }
    }
}

pub(crate) fn bind(
    kind: &Kind,
    column: &str,
    data_type: &DataType,
    keys: &MaskKeys,
) -> Result<BoundMask, MaskError> {
    let site = Site {
        mask: kind.name(),
        column,
        data_type,
    };
    let values = plain(data_type);
    let kernel = match kind {
        Kind::Null => Kernel::Null,
        Kind::Constant { value } => Kernel::Constant(constant(&site, value, values)?),
        Kind::Round { to } => number(&site, NumberKernel::Round { to: *to }, values)?,
        Kind::Bucket { width, origin } => number(
            &site,
            NumberKernel::Bucket {
                width: *width,
                origin: *origin,
            },
            values,
        )?,
        Kind::TopCode { limit } => number(&site, NumberKernel::Top { limit: *limit }, values)?,
        Kind::BottomCode { limit } => {
            number(&site, NumberKernel::Bottom { limit: *limit }, values)?
        }
        Kind::TruncateDate { unit, zone } => Kernel::Date(DateKernel {
            unit: *unit,
            zone: date_zone(&site, zone, values)?,
        }),
        Kind::Pseudonymize {
            domain,
            scope,
            bits,
        } => {
            PseudonymKernel::check(values, *bits).map_err(|works_on| site.wrong_type(works_on))?;
            let domain = domain.as_deref().unwrap_or(column);
            let key = keys.domain(domain, &key_scope(&site, scope, keys)?);
            Kernel::Pseudonym(PseudonymKernel::new(&key, *bits))
        }
        Kind::Partial { .. }
        | Kind::Prefix { .. }
        | Kind::Email { .. }
        | Kind::RegexReplace { .. }
        | Kind::Zip3
        | Kind::IpTruncate { .. } => Kernel::Text(text(&site, kind, values)?),
    };
    Ok(BoundMask(Arc::new(Bound {
        name: kind.name(),
        data_type: data_type.clone(),
        kernel,
    })))
}

fn text(site: &Site<'_>, kind: &Kind, values: &DataType) -> Result<TextKernel, MaskError> {
    if !matches!(
        values,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    ) {
        return Err(site.wrong_type("it works on text"));
    }
    Ok(match kind {
        Kind::Partial {
            keep_first,
            keep_last,
            fill,
            min_masked,
        } => TextKernel::Partial {
            keep_first: *keep_first as usize,
            keep_last: *keep_last as usize,
            fill: fill.clone(),
            min_masked: *min_masked as usize,
        },
        Kind::Prefix { length } => TextKernel::Prefix {
            length: *length as usize,
        },
        Kind::Email {
            keep_local,
            keep_domain,
        } => TextKernel::Email {
            keep_local: *keep_local as usize,
            keep_domain: *keep_domain,
        },
        Kind::RegexReplace {
            pattern,
            replacement,
            on_no_match,
        } => TextKernel::Regex {
            regex: compile(pattern).map_err(|problem| site.unfit(problem))?,
            replacement: replacement.clone(),
            on_no_match: *on_no_match,
        },
        Kind::IpTruncate { v4, v6 } => TextKernel::IpTruncate { v4: *v4, v6: *v6 },
        Kind::Zip3 => TextKernel::Zip3,
        Kind::Null
        | Kind::Constant { .. }
        | Kind::Pseudonymize { .. }
        | Kind::TruncateDate { .. }
        | Kind::Round { .. }
        | Kind::Bucket { .. }
        | Kind::TopCode { .. }
        | Kind::BottomCode { .. } => return Err(site.unfit("is no mask of text")),
    })
}

fn number(site: &Site<'_>, kernel: NumberKernel, values: &DataType) -> Result<Kernel, MaskError> {
    if !NumberKernel::works_on(values) {
        return Err(site.wrong_type("it works on integers, decimals and floats"));
    }
    kernel
        .check(values)
        .map_err(|problem| site.unfit(problem))?;
    Ok(Kernel::Number(kernel))
}

fn date_zone(
    site: &Site<'_>,
    zone: &str,
    values: &DataType,
) -> Result<Option<arrow::array::timezone::Tz>, MaskError> {
    let utc = matches!(zone, "UTC" | "Z" | "+00:00");
    match values {
        DataType::Date32 | DataType::Date64 => Ok(None),
        DataType::Timestamp(_, _) if utc => Ok(None),
        DataType::Timestamp(_, Some(_)) => zone
            .parse()
            .map(Some)
            .map_err(|_| site.unfit(format!("`{zone}` is no time zone"))),
        DataType::Timestamp(_, None) => Err(site.unfit(
            "`zone` says whose calendar counts, but this timestamp has no zone to start from; \
             leave `zone` out",
        )),
        _ => Err(site.wrong_type("it works on dates and timestamps")),
    }
}

/// What the key of a pseudonym is bound to. A group has a prefix; a recipient whose own name begins
/// with it would get the group's tokens.
fn key_scope(site: &Site<'_>, scope: &Scope, keys: &MaskKeys) -> Result<String, MaskError> {
    let recipient = keys.recipient();
    match scope {
        Scope::Group(id) => Ok(format!("group:{id}")),
        Scope::Recipient
            if recipient.starts_with("group:") || recipient.starts_with("release:") =>
        {
            Err(site.unfit("a recipient's name must not begin with `group:` or `release:`"))
        }
        Scope::Recipient => Ok(recipient.to_owned()),
    }
}

/// The value as an array of one, cast to the column's plain type.
fn constant(site: &Site<'_>, value: &ParamValue, values: &DataType) -> Result<ArrayRef, MaskError> {
    let unfit = || site.unfit(format!("`value` is {value}, which is no {values}"));
    let array = match (value, values) {
        (ParamValue::List(items), DataType::List(field)) => list::<i32>(site, items, field)?,
        (ParamValue::List(items), DataType::LargeList(field)) => list::<i64>(site, items, field)?,
        (ParamValue::List(items), DataType::FixedSizeList(field, length)) => {
            if usize::try_from(*length) != Ok(items.len()) {
                return Err(unfit());
            }
            let child = elements(site, items, field.data_type())?;
            let array = FixedSizeListArray::try_new(Arc::clone(field), *length, child, None);
            Arc::new(array.map_err(|_| unfit())?)
        }
        (ParamValue::List(_), _) => return Err(unfit()),
        (_, other) if other.is_nested() || other.is_null() => {
            let works_on = "it works on plain values and, given a list, on lists; mask the nested \
                            fields by their paths";
            return Err(site.wrong_type(works_on));
        }
        (ParamValue::Text(text), _) => scalar(text, values).ok_or_else(unfit)?,
        (
            ParamValue::Bool(_),
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
        )
        | (ParamValue::Int(_) | ParamValue::Float(_), _) => {
            scalar(&value.to_string(), values).ok_or_else(unfit)?
        }
        (ParamValue::Bool(_), _) => return Err(unfit()),
    };
    Ok(array)
}

/// Text is what every type can be read from, and reading refuses what it cannot hold.
fn scalar(text: &str, data_type: &DataType) -> Option<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let text = StringArray::from(vec![text]);
    let array = match data_type {
        DataType::FixedSizeBinary(_) => {
            let binary = cast_with_options(&text, &DataType::Binary, &options).ok()?;
            cast_with_options(&binary, data_type, &options).ok()?
        }
        _ => cast_with_options(&text, data_type, &options).ok()?,
    };
    (array.null_count() == 0).then_some(array)
}

fn elements(
    site: &Site<'_>,
    items: &[ParamValue],
    data_type: &DataType,
) -> Result<ArrayRef, MaskError> {
    let items: Vec<ArrayRef> = items
        .iter()
        .map(|item| constant(site, item, data_type))
        .collect::<Result<_, _>>()?;
    if items.is_empty() {
        return Ok(new_null_array(data_type, 0));
    }
    let arrays: Vec<&dyn Array> = items.iter().map(AsRef::as_ref).collect();
    concat(&arrays).map_err(|error| site.unfit(error.to_string()))
}

fn list<O: OffsetSizeTrait>(
    site: &Site<'_>,
    items: &[ParamValue],
    field: &FieldRef,
) -> Result<ArrayRef, MaskError> {
    let child = elements(site, items, field.data_type())?;
    let offsets = OffsetBuffer::<O>::from_lengths([child.len()]);
    GenericListArray::try_new(Arc::clone(field), offsets, child, None)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| site.unfit(error.to_string()))
}
