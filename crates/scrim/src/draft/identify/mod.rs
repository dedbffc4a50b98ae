//! Which columns are likely to identify people, by their names and by a sample of their values.
//!
//! Pure functions: the same name, type and values always give the same findings. No finding holds a
//! value, and nothing here is certain: it is a draft that a person reads.

mod checks;
mod names;
mod values;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type};
use arrow::temporal_conversions::date32_to_datetime;

use values::Share;

/// What a column is likely to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that opens an account.
    Secret,
    /// An e-mail address.
    Email,
    /// An address on the network.
    Ip,
    /// The number of a device or vehicle.
    Device,
    /// The number of a payment card.
    Card,
    /// The number of a bank account.
    BankAccount,
    /// A number that a state gives a person, or of its documents.
    NationalId,
    /// A telephone number.
    Phone,
    /// When somebody was born.
    BirthDate,
    /// What somebody signs in with.
    UserName,
    /// What somebody is called.
    PersonName,
    /// The area that letters go to.
    PostalCode,
    /// A place on the map.
    Coordinates,
    /// Where somebody lives.
    Address,
    /// What somebody wrote.
    FreeText,
    /// A document with anything in it.
    Document,
    /// The owner's own number for a person.
    PersonKey,
    /// Something of which each row has another.
    Unique,
}

/// A likely identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// Why, in words; never with a value.
    pub(crate) why: String,
}

/// What types are to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Text,
    Whole,
    Real,
    Date,
    Bytes,
    Nested,
    Other,
}

impl Class {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if *scale > 0 => {
                Self::Real
            }
            DataType::Decimal128(..) | DataType::Decimal256(..) => Self::Whole,
            other if other.is_integer() => Self::Whole,
            other if other.is_numeric() => Self::Real,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Self::Date,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Bytes,
            other if other.is_nested() => Self::Nested,
            _ => Self::Other,
        }
    }
}

impl Kind {
    /// With an article, for a column that is named like one.
    fn noun(self) -> &'static str {
        match self {
            Self::Secret => "a password or key",
            Self::Email => "an e-mail address",
            Self::Ip => "an IP address",
            Self::Device => "the number of a device",
            Self::Card => "a card number",
            Self::BankAccount => "a bank account",
            Self::NationalId => "a national identity number",
            Self::Phone => "a telephone number",
            Self::BirthDate => "a date of birth",
            Self::UserName => "a sign-in name",
            Self::PersonName => "a person's name",
            Self::PostalCode => "a postal code",
            Self::Coordinates => "a place on the map",
            Self::Address => "a postal address",
            Self::FreeText => "free text",
            Self::Document => "a document",
            Self::PersonKey => "the key of a person",
            Self::Unique => "a unique number",
        }
    }

    /// Whether one value alone tells who it is.
    pub(crate) fn is_direct(self) -> bool {
        match self {
            Self::Secret
            | Self::Email
            | Self::Ip
            | Self::Device
            | Self::Card
            | Self::BankAccount
            | Self::NationalId
            | Self::Phone
            | Self::UserName
            | Self::PersonName
            | Self::Address => true,
            Self::BirthDate
            | Self::PostalCode
            | Self::Coordinates
            | Self::FreeText
            | Self::Document
            | Self::PersonKey
            | Self::Unique => false,
        }
    }

    /// How sensitive it is, in the words that contracts use.
    pub(crate) fn classification(self) -> &'static str {
        match self {
            Self::FreeText | Self::Document => "restricted",
            direct if direct.is_direct() => "restricted",
            _ => "confidential",
        }
    }

    /// Whether a column of such a type can hold it at all.
    fn fits(self, class: Class) -> bool {
        match self {
            Self::Email | Self::Ip | Self::UserName | Self::Unique => class == Class::Text,
            Self::PersonName | Self::Address | Self::FreeText | Self::Document => {
                matches!(class, Class::Text | Class::Nested)
            }
            Self::Secret => matches!(class, Class::Text | Class::Bytes),
            Self::Device
            | Self::Card
            | Self::BankAccount
            | Self::NationalId
            | Self::Phone
            | Self::PostalCode => matches!(class, Class::Text | Class::Whole),
            Self::BirthDate => matches!(class, Class::Text | Class::Whole | Class::Date),
            Self::PersonKey => matches!(class, Class::Text | Class::Whole | Class::Bytes),
            Self::Coordinates => {
                matches!(
                    class,
                    Class::Text | Class::Real | Class::Bytes | Class::Nested
                )
            }
        }
    }

    /// The mask that keeps most of what is left to know, as a contract writes it; none where hiding
    /// is all that helps.
    pub(crate) fn mask(self, data_type: &DataType) -> Option<&'static str> {
        let class = Class::of(data_type);
        match (self, class) {
            (Self::Email, Class::Text) => Some("{mask: email}"),
            (Self::Ip, Class::Text) => Some("{mask: ip_truncate}"),
            (Self::Phone, Class::Text) => Some("{mask: partial, keep_last: 2}"),
            (Self::Card | Self::BankAccount, Class::Text) => Some("{mask: partial, keep_last: 4}"),
            (Self::PersonName, Class::Text) => Some("{mask: partial, keep_first: 1}"),
            (Self::PostalCode, Class::Text) => Some("{mask: prefix, length: 2}"),
            (Self::BirthDate, Class::Date) => Some("{mask: truncate_date, unit: year}"),
            (Self::Coordinates, Class::Real) => Some("{mask: round, to: 1}"),
            (
                Self::NationalId | Self::Device | Self::UserName | Self::PersonKey | Self::Unique,
                _,
            ) => takes_pseudonyms(data_type).then_some("{mask: pseudonymize}"),
            _ => None,
        }
    }
}

fn takes_pseudonyms(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Int64
            | DataType::UInt64
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}

/// What a column is likely to hold of people, if anything.
pub(crate) fn identify(name: &str, data_type: &DataType, sample: &ArrayRef) -> Option<Finding> {
    let class = Class::of(data_type);
    let texts = texts(class, sample);
    let values: Vec<&str> = match &texts {
        Some(texts) => texts
            .as_string::<i32>()
            .iter()
            .flatten()
            .filter(|v| !v.trim().is_empty())
            .collect(),
        None => Vec::new(),
    };
    let named = names::by_name(name).filter(|(kind, _)| kind.fits(class));
    // a bare `name` is that of anything
    let named = named.filter(|(_, bare)| !(*bare && values::few_repeated(&values)));
    let named = named.map(|(kind, _)| kind);
    let looks = looks(class, sample, &values);
    combine(named, looks, &values)
}

fn looks(class: Class, sample: &ArrayRef, values: &[&str]) -> Option<(Kind, Share, &'static str)> {
    match class {
        Class::Text => values::by_text(values).or_else(|| {
            let share = values::all_different(values)?;
            Some((Kind::Unique, share, "different from one another"))
        }),
        Class::Whole => values::by_numbers(values),
        Class::Date => {
            let days = cast(sample, &DataType::Date32).ok()?;
            let days = days.as_primitive::<Date32Type>().iter().flatten();
            let dates: Vec<_> = days
                .filter_map(date32_to_datetime)
                .map(|d| d.date())
                .collect();
            let share = values::by_dates(&dates)?;
            Some((Kind::BirthDate, share, values::BIRTHS))
        }
        Class::Real | Class::Bytes | Class::Nested | Class::Other => None,
    }
}

/// The values as plain strings, where they are text or whole numbers.
fn texts(class: Class, sample: &ArrayRef) -> Option<ArrayRef> {
    let readable = matches!(class, Class::Text | Class::Whole);
    cast(sample, &DataType::Utf8).ok().filter(|_| readable)
}

/// Values that could look so by no chance count more than a name, a name more than other values.
fn combine(
    named: Option<Kind>,
    looks: Option<(Kind, Share, &'static str)>,
    values: &[&str],
) -> Option<Finding> {
    let said = |kind: Kind| format!("named like {}", kind.noun());
    let Some(named) = named else {
        let (kind, share, noun) = looks?;
        let why = in_words(kind, share, noun);
        return Some(Finding { kind, why });
    };
    let (kind, words) = match looks {
        Some((kind, share, noun)) if kind == named => (kind, Some(in_words(kind, share, noun))),
        Some((kind, share, noun)) if counts_more(kind, named) => {
            let why = in_words(kind, share, noun);
            return Some(Finding { kind, why });
        }
        Some((kind, share, noun)) if named == Kind::PersonKey => {
            (named, Some(in_words(kind, share, noun)))
        }
        _ => {
            let share = values::share_of(named, values);
            (
                named,
                share.map(|(share, noun)| in_words(named, share, noun)),
            )
        }
    };
    let why = match words {
        Some(words) => format!("{}; {words}", said(kind)),
        None => said(kind),
    };
    Some(Finding { kind, why })
}

fn counts_more(looks: Kind, named: Kind) -> bool {
    let certain = matches!(
        looks,
        Kind::Email | Kind::BankAccount | Kind::Card | Kind::NationalId | Kind::Ip | Kind::Device
    );
    certain && named != Kind::Secret
}

fn in_words(kind: Kind, share: Share, noun: &str) -> String {
    let Share { like, of } = share;
    let are = match kind {
        Kind::Unique if noun.starts_with("different") => "are",
        _ => "look like",
    };
    let of_words = thousands(of);
    if like == of {
        return format!("all {of_words} sampled values {are} {noun}");
    }
    // never rounded up to all, nor down to none
    let percent = (like * 100 / of.max(1)).max(1);
    format!("{percent} % of {of_words} sampled values {are} {noun}")
}

/// A number with commas between thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests;
