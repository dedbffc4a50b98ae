//! The masks and their parameters as they are described to whoever writes policies. Masks are read by
//! these descriptions: names, ranges and what holds when nothing is said stand nowhere else.

use crate::date::Unit;
use crate::mask::{KeepDomain, NoMatch};

/// The most characters that a parameter may keep, and the longest text it may hold.
const CHARACTERS_MAX: u32 = 65_536;

/// A mask with all that is to be said of it.
#[derive(Debug)]
pub struct MaskShape {
    /// Its name in policies.
    pub name: &'static str,
    /// Which mask it is.
    pub kind: MaskKind,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// What it masks.
    pub fits: &'static str,
    /// What it shows.
    pub gives: &'static str,
}

/// Which mask one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are described in `MASKS`")]
pub enum MaskKind {
    Null,
    Constant,
    Partial,
    Prefix,
    Email,
    RegexReplace,
    Pseudonymize,
    TruncateDate,
    Round,
    Bucket,
    TopCode,
    BottomCode,
    Zip3,
    IpTruncate,
}

/// A parameter of a mask.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: ParameterKind,
    /// What holds when it is not there.
    pub unsaid: Unsaid,
    /// What it means.
    pub says: &'static str,
}

/// What a parameter holds.
#[derive(Debug, Clone, Copy)]
pub enum ParameterKind {
    /// Text, a number, true or false, or a list of them.
    Anything,
    /// Text.
    Text,
    /// A whole number in a range, both ends included.
    Count {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// A number, in quotes or not.
    Number,
    /// A number above zero, in quotes or not.
    Step,
    /// One of some words.
    Words(fn() -> Vec<&'static str>),
    /// What this version refuses, whatever it is.
    Refused,
}

/// What holds when a parameter is not there.
#[derive(Debug, Clone, Copy)]
pub enum Unsaid {
    /// It must be there.
    Needed,
    /// It may be left out, and no value stands for that.
    Left,
    /// This value.
    Is(&'static str),
}

const fn parameter(
    name: &'static str,
    holds: ParameterKind,
    unsaid: Unsaid,
    says: &'static str,
) -> Parameter {
    Parameter {
        name,
        holds,
        unsaid,
        says,
    }
}

const fn characters(min: u32) -> ParameterKind {
    ParameterKind::Count {
        min,
        max: CHARACTERS_MAX,
    }
}

const LIMIT: &[Parameter] = &[parameter(
    "limit",
    ParameterKind::Number,
    Unsaid::Needed,
    "the limit",
)];

/// All masks, in the order of their names.
pub static MASKS: [MaskShape; 14] = [
    MaskShape {
        name: "bottom_code",
        kind: MaskKind::BottomCode,
        parameters: LIMIT,
        fits: "numbers",
        gives: "the limit for what lies below it",
    },
    MaskShape {
        name: "bucket",
        kind: MaskKind::Bucket,
        parameters: &[
            parameter(
                "width",
                ParameterKind::Step,
                Unsaid::Needed,
                "the width of a bucket",
            ),
            parameter(
                "origin",
                ParameterKind::Number,
                Unsaid::Is("0"),
                "where a bucket begins",
            ),
        ],
        fits: "numbers",
        gives: "the lower bound of the bucket",
    },
    MaskShape {
        name: "constant",
        kind: MaskKind::Constant,
        parameters: &[parameter(
            "value",
            ParameterKind::Anything,
            Unsaid::Needed,
            "what is shown",
        )],
        fits: "anything",
        gives: "that value",
    },
    MaskShape {
        name: "email",
        kind: MaskKind::Email,
        parameters: &[
            parameter(
                "keep_local",
                characters(0),
                Unsaid::Is("1"),
                "characters that stay before the `@`",
            ),
            parameter(
                "keep_domain",
                ParameterKind::Words(|| KeepDomain::ALL.map(KeepDomain::name).to_vec()),
                Unsaid::Is("tld"),
                "how much of the domain stays",
            ),
        ],
        fits: "text",
        gives: "`z****@****.org`; what is no address becomes `****`",
    },
    MaskShape {
        name: "ip_truncate",
        kind: MaskKind::IpTruncate,
        parameters: &[
            parameter(
                "v4",
                ParameterKind::Count { min: 0, max: 32 },
                Unsaid::Is("24"),
                "bits that stay of an IPv4 address",
            ),
            parameter(
                "v6",
                ParameterKind::Count { min: 0, max: 128 },
                Unsaid::Is("48"),
                "bits that stay of an IPv6 address",
            ),
        ],
        fits: "text",
        gives: "the network of an address; NULL for what is none",
    },
    MaskShape {
        name: "null",
        kind: MaskKind::Null,
        parameters: &[],
        fits: "anything",
        gives: "NULL",
    },
    MaskShape {
        name: "partial",
        kind: MaskKind::Partial,
        parameters: &[
            parameter(
                "keep_first",
                characters(0),
                Unsaid::Is("0"),
                "characters that stay in front",
            ),
            parameter(
                "keep_last",
                characters(0),
                Unsaid::Is("0"),
                "characters that stay at the end",
            ),
            parameter(
                "fill",
                ParameterKind::Text,
                Unsaid::Is("****"),
                "what stands for the others",
            ),
            // Zero would show short values whole.
            parameter(
                "min_masked",
                characters(1),
                Unsaid::Is("4"),
                "characters that are masked at least",
            ),
        ],
        fits: "text",
        gives: "the first characters, the fill, the last ones; the fill alone when the text is \
                shorter than the three numbers together",
    },
    MaskShape {
        name: "prefix",
        kind: MaskKind::Prefix,
        parameters: &[parameter(
            "length",
            characters(1),
            Unsaid::Needed,
            "characters that stay",
        )],
        fits: "text",
        gives: "the first characters, for codes with a hierarchy (ICD, industry)",
    },
    MaskShape {
        name: "pseudonymize",
        kind: MaskKind::Pseudonymize,
        parameters: &[
            parameter(
                "domain",
                ParameterKind::Text,
                Unsaid::Left,
                "columns of one domain share their tokens; the column's name when unsaid",
            ),
            parameter(
                "scope",
                ParameterKind::Text,
                Unsaid::Is("recipient"),
                "who can link tokens: one recipient, or all of a group (`group:ID`)",
            ),
            parameter(
                "bits",
                ParameterKind::Count { min: 0, max: 256 },
                Unsaid::Is("128"),
                "the length of a token: 64, 96, 128 or 256",
            ),
        ],
        fits: "text, 64-bit integers, binary",
        gives: "a keyed token: the same value gives the same token for one recipient under one \
                contract",
    },
    MaskShape {
        name: "regex_replace",
        kind: MaskKind::RegexReplace,
        parameters: &[
            parameter(
                "pattern",
                ParameterKind::Text,
                Unsaid::Needed,
                "what is replaced",
            ),
            parameter(
                "replacement",
                ParameterKind::Text,
                Unsaid::Needed,
                "by what; `$1` is the first group",
            ),
            parameter(
                "on_no_match",
                ParameterKind::Words(|| NoMatch::ALL.map(NoMatch::name).to_vec()),
                Unsaid::Is("redact"),
                "what a text shows in which nothing matches",
            ),
        ],
        fits: "text",
        gives: "every match replaced",
    },
    MaskShape {
        name: "round",
        kind: MaskKind::Round,
        parameters: &[parameter(
            "to",
            ParameterKind::Step,
            Unsaid::Needed,
            "the multiples",
        )],
        fits: "numbers",
        gives: "the nearest multiple, halves to even",
    },
    MaskShape {
        name: "top_code",
        kind: MaskKind::TopCode,
        parameters: LIMIT,
        fits: "numbers",
        gives: "the limit for what lies above it",
    },
    MaskShape {
        name: "truncate_date",
        kind: MaskKind::TruncateDate,
        parameters: &[
            parameter(
                "unit",
                ParameterKind::Words(|| Unit::ALL.map(Unit::name).to_vec()),
                Unsaid::Needed,
                "the unit",
            ),
            parameter(
                "zone",
                ParameterKind::Text,
                Unsaid::Is("UTC"),
                "the time zone of the calendar",
            ),
        ],
        fits: "dates, timestamps",
        gives: "the beginning of the unit",
    },
    MaskShape {
        name: "zip3",
        kind: MaskKind::Zip3,
        parameters: &[parameter(
            "population",
            ParameterKind::Refused,
            Unsaid::Left,
            "not supported yet",
        )],
        fits: "text",
        gives: "the first three digits of a US ZIP code; `000` for areas of 20,000 people or fewer \
                and for what is no ZIP code",
    },
];
