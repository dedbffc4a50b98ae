//! Masks of text.
//!
//! Lengths and positions count Unicode scalar values after NFC, so that the two ways to write an
//! accented letter count, and show, the same.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, NullBufferBuilder, OffsetSizeTrait,
    StringViewBuilder,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use regex::{Match, Regex, RegexBuilder};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::mask::{KeepDomain, NoMatch};
use crate::network;

/// What a value becomes that a mask cannot read.
pub(crate) const REDACTED: &str = "****";

/// The first three digits of ZIP codes whose areas hold 20,000 people or fewer, by the census of
/// 2000, as the U.S. department of health lists them for the Safe Harbor rule.
const SMALL_ZIP3: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878",
    "879", "884", "890", "893",
];

/// The most memory, in bytes, that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern of `regex_replace`; matching takes time linear in the value.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| format!("is not a usable regular expression: {error}"))
}

/// The value in NFC; most text is, and is not copied.
pub(crate) fn nfc(value: &str) -> Cow<'_, str> {
    if value.is_ascii() || is_nfc_quick(value.chars()) == IsNormalized::Yes {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(value.nfc().collect())
    }
}

#[derive(Debug)]
pub(crate) enum TextKernel {
    Partial {
        keep_first: usize,
        keep_last: usize,
        fill: String,
        min_masked: usize,
    },
    Prefix {
        length: usize,
    },
    Email {
        keep_local: usize,
        keep_domain: KeepDomain,
    },
    Regex {
        regex: Regex,
        replacement: String,
        on_no_match: NoMatch,
    },
    Zip3,
    IpTruncate {
        v4: u32,
        v6: u32,
    },
}

impl TextKernel {
    /// Appends the masked value; `false` makes it NULL.
    fn write(&self, value: &str, out: &mut String) -> bool {
        match self {
            Self::Partial {
                keep_first,
                keep_last,
                fill,
                min_masked,
            } => {
                partial(
                    &nfc(value),
                    (*keep_first, *keep_last, *min_masked),
                    fill,
                    out,
                );
            }
            Self::Prefix { length } => out.push_str(head(&nfc(value), *length)),
            Self::Email {
                keep_local,
                keep_domain,
            } => {
                email(&nfc(value), *keep_local, *keep_domain, out);
            }
            Self::Regex {
                regex,
                replacement,
                on_no_match,
            } => {
                replace(regex, replacement, *on_no_match, &nfc(value), out);
            }
            Self::Zip3 => out.push_str(zip3(value)),
            Self::IpTruncate { v4, v6 } => match network::truncate(value, *v4, *v6) {
                // Writing to a string cannot fail.
                Some(address) => return write!(out, "{address}").is_ok(),
                None => return false,
            },
        }
        true
    }

    pub(crate) fn apply(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        match array.data_type() {
            DataType::Utf8 => self.plain::<i32>(array.as_string()),
            DataType::LargeUtf8 => self.plain::<i64>(array.as_string()),
            DataType::Utf8View => self.view(array),
            other => Err(ArrowError::InvalidArgumentError(format!(
                "a text mask was given {other}"
            ))),
        }
    }

    fn plain<O: OffsetSizeTrait>(
        &self,
        array: &GenericStringArray<O>,
    ) -> Result<ArrayRef, ArrowError> {
        let mut out = String::with_capacity(array.value_data().len().min(1 << 20));
        let mut offsets = Vec::with_capacity(array.len() + 1);
        let mut nulls = NullBufferBuilder::new(array.len());
        offsets.push(O::zero());
        for value in array {
            let start = out.len();
            let shown = value.is_some_and(|value| self.write(value, &mut out));
            if !shown {
                out.truncate(start);
            }
            nulls.append(shown);
            let end = O::from_usize(out.len());
            offsets.push(end.ok_or(ArrowError::OffsetOverflowError(out.len()))?);
        }
        let values = Buffer::from_vec(out.into_bytes());
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(GenericStringArray::try_new(
            offsets,
            values,
            nulls.finish(),
        )?))
    }

    fn view(&self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        let mut builder = StringViewBuilder::with_capacity(array.len());
        let mut out = String::new();
        for value in array.as_string_view() {
            out.clear();
            if value.is_some_and(|value| self.write(value, &mut out)) {
                builder.try_append_value(&out)?;
            } else {
                builder.append_null();
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

fn count(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// The first `length` characters.
fn head(text: &str, length: usize) -> &str {
    match text.char_indices().nth(length) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// The last `length` characters.
fn tail(text: &str, length: usize) -> &str {
    match length
        .checked_sub(1)
        .map(|last| text.char_indices().nth_back(last))
    {
        None => "",
        Some(None) => text,
        Some(Some((start, _))) => text.get(start..).unwrap_or_default(),
    }
}

fn partial(text: &str, keep: (usize, usize, usize), fill: &str, out: &mut String) {
    let (first, last, masked) = keep;
    let length = count(text);
    if length == 0 {
        return;
    }
    let long = length >= first.saturating_add(last).saturating_add(masked);
    if long {
        out.push_str(head(text, first));
    }
    out.push_str(fill);
    if long {
        out.push_str(tail(text, last));
    }
}

/// Shows the beginning of the local part and what `keep_domain` allows of the domain; whatever
/// does not look like an address is redacted whole, for nobody knows what it is.
fn email(text: &str, keep_local: usize, keep_domain: KeepDomain, out: &mut String) {
    let parts = text.split_once('@').filter(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && domain
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
    });
    let Some((local, domain)) = parts else {
        return out.push_str(REDACTED);
    };
    // A local part that would be kept whole is not kept at all.
    if count(local) > keep_local {
        out.push_str(head(local, keep_local));
    }
    out.push_str(REDACTED);
    out.push('@');
    match keep_domain {
        KeepDomain::Full => out.extend(domain.chars().flat_map(char::to_lowercase)),
        KeepDomain::None => out.push_str(REDACTED),
        KeepDomain::Tld => {
            out.push_str(REDACTED);
            // The last part of an address of a machine is the machine.
            let tld = domain.rsplit_once('.').map(|(_, tld)| tld);
            if let Some(tld) = tld.filter(|tld| tld.starts_with(char::is_alphabetic)) {
                out.push('.');
                out.extend(tld.chars().flat_map(char::to_lowercase));
            }
        }
    }
}

/// Replaces every match. A match of nothing in a value that has something took nothing away, so
/// it does not count as one.
fn replace(regex: &Regex, by: &str, on_no_match: NoMatch, text: &str, out: &mut String) {
    let start = out.len();
    let mut end = 0;
    let mut matched = false;
    let mut skip_to = |found: Match<'_>, out: &mut String| {
        matched |= !found.is_empty() || text.is_empty();
        out.push_str(text.get(end..found.start()).unwrap_or_default());
        end = found.end();
    };
    if by.contains('$') {
        for found in regex.captures_iter(text) {
            if let Some(whole) = found.get(0) {
                skip_to(whole, out);
                found.expand(by, out);
            }
        }
    } else {
        // Finding where a match lies is much cheaper than finding the groups in it.
        for found in regex.find_iter(text) {
            skip_to(found, out);
            out.push_str(by);
        }
    }
    if matched {
        return out.push_str(text.get(end..).unwrap_or_default());
    }
    out.truncate(start);
    out.push_str(match on_no_match {
        NoMatch::Redact => REDACTED,
        NoMatch::Keep => text,
    });
}

/// The area of a five-digit or ZIP+4 code, or `000`.
fn zip3(value: &str) -> &str {
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = value.trim();
    let (five, four) = value.split_once('-').unwrap_or((value, "0000"));
    match five.get(..3) {
        Some(area) if digits(five, 5) && digits(four, 4) && !SMALL_ZIP3.contains(&area) => area,
        Some(_) | None => "000",
    }
}

#[cfg(test)]
mod tests;
