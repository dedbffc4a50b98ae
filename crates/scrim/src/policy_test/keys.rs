//! The keys of a test file in one table, for documentation and for the schemas of editors. A test
//! holds it against what the readers accept.

/// A key, what it holds, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub holds: Holds,
    /// Whether a file without it is an error.
    pub required: bool,
    /// What it means, in one line.
    pub about: &'static str,
}

/// What the value of a key is.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// Text, or a list of texts.
    TextOrTexts,
    /// A map with these keys.
    Keys(&'static [Key]),
    /// A map from names to maps with these keys.
    Named(&'static [Key]),
    /// A list of maps with these keys.
    Each(&'static [Key]),
    /// A map from names to any values.
    Names,
    /// Text, or a map with these keys.
    TextOr(&'static [Key]),
    /// A list of texts, or a map with these keys.
    TextsOr(&'static [Key]),
    /// A whole number, or a map with these keys.
    WholeOr(&'static [Key]),
    /// A list of lists of single values.
    Rows,
    /// A map from names to texts, or to maps with these keys.
    NamedTextOr(&'static [Key]),
    /// A map from names of tables to rows: a list of maps, a block of text, the path of a file, or a
    /// map with these keys.
    Tables(&'static [Key]),
}

const fn optional(name: &'static str, holds: Holds, about: &'static str) -> Key {
    Key {
        name,
        holds,
        required: false,
        about,
    }
}

const fn required(name: &'static str, holds: Holds, about: &'static str) -> Key {
    Key {
        name,
        holds,
        required: true,
        about,
    }
}

/// A test file.
pub const FILE: &[Key] = &[
    required("kind", Holds::Text, "`PolicyTest`"),
    required(
        "at",
        Holds::Text,
        "when every case happens, as 2026-03-02T10:00:00Z",
    ),
    optional(
        "context",
        Holds::Keys(CONTEXT),
        "the circumstances of every case",
    ),
    optional("purpose", Holds::Text, "the purpose of every case"),
    optional(
        "tables",
        Holds::Tables(TABLE),
        "rows in the place of governed tables' sources",
    ),
    optional(
        "lookups",
        Holds::Tables(TABLE),
        "rows in the place of look-up tables' sources",
    ),
    required("personas", Holds::Named(PERSONA), "who asks"),
    required(
        "cases",
        Holds::Each(CASE),
        "questions with what their answers must be",
    ),
];

/// The circumstances of a request.
pub const CONTEXT: &[Key] = &[
    optional("ip", Holds::Text, "the address that it comes from"),
    optional(
        "network",
        Holds::Text,
        "a named network that it comes from: an address in it",
    ),
    optional("country", Holds::Text, "the country that it comes from"),
    optional("device", Holds::Text, "the device"),
    optional(
        "device_trusted",
        Holds::Flag,
        "whether the device is trusted",
    ),
    optional(
        "time",
        Holds::Text,
        "when it is made, as 2026-03-02T10:00:00Z",
    ),
    optional("hour", Holds::Whole, "the hour of that day, UTC"),
    optional("risk", Holds::Whole, "how risky it looks"),
    optional(
        "queries_last_hour",
        Holds::Whole,
        "queries of the principal in the last hour; 0 when unsaid",
    ),
    optional(
        "rows_last_day",
        Holds::Whole,
        "rows sent to the principal in the last day; 0 when unsaid",
    ),
    optional("client", Holds::Text, "the client's name"),
];

/// A persona.
pub const PERSONA: &[Key] = &[
    optional(
        "id",
        Holds::Text,
        "the principal's id; the persona's name when unsaid",
    ),
    required("org", Holds::Text, "the principal's organisation"),
    optional("groups", Holds::Texts, "its groups"),
    optional("roles", Holds::Texts, "its roles"),
    optional("kind", Holds::Text, "`human`, `service` or `agent`"),
    optional("acr", Holds::Text, "how it proved who it is"),
    optional("auth_age", Holds::Whole, "seconds since it signed in"),
    optional("on_behalf_of", Holds::Text, "for whom an agent acts"),
    optional(
        "attributes",
        Holds::Names,
        "attributes that `scrim.yaml` declares",
    ),
    optional("purpose", Holds::Text, "the purpose that it states"),
    optional("context", Holds::Keys(CONTEXT), "its circumstances"),
];

/// A case.
pub const CASE: &[Key] = &[
    required("name", Holds::Text, "what it shows"),
    required(
        "as",
        Holds::TextOrTexts,
        "the persona that asks, or several, one after the other",
    ),
    optional(
        "with",
        Holds::Keys(WITH),
        "what is different about the persona in this case",
    ),
    optional("purpose", Holds::Text, "the purpose that it states"),
    optional(
        "agreement",
        Holds::Text,
        "the one agreement that it acts under",
    ),
    optional("at", Holds::Text, "when it happens"),
    optional(
        "context",
        Holds::Keys(CONTEXT),
        "the circumstances of this case",
    ),
    optional(
        "sql",
        Holds::Text,
        "the statement; not needed for `sees` and `denied`",
    ),
    required("expect", Holds::Keys(EXPECT), "what must hold; all of it"),
];

/// What is different about a persona in one case.
pub const WITH: &[Key] = &[
    optional("org", Holds::Text, "the principal's organisation"),
    optional("groups", Holds::Texts, "its groups"),
    optional("roles", Holds::Texts, "its roles"),
    optional("kind", Holds::Text, "`human`, `service` or `agent`"),
    optional("acr", Holds::Text, "how it proved who it is"),
    optional("auth_age", Holds::Whole, "seconds since it signed in"),
    optional("on_behalf_of", Holds::Text, "for whom an agent acts"),
    optional(
        "attributes",
        Holds::Names,
        "attributes, beside those of the persona",
    ),
];

/// Rows in the place of a source.
pub const TABLE: &[Key] = &[
    optional(
        "file",
        Holds::Text,
        "a CSV, JSON lines, Parquet or Arrow file, from the test file's folder on",
    ),
    optional(
        "columns",
        Holds::Texts,
        "the names of the columns of `rows`",
    ),
    optional("rows", Holds::Rows, "the rows, each a list of values"),
];

/// What must hold of an answer.
pub const EXPECT: &[Key] = &[
    optional(
        "refused",
        Holds::TextOr(REFUSED),
        "it is refused, with this code; stands alone",
    ),
    optional(
        "columns",
        Holds::TextsOr(COLUMNS),
        "the names of the columns, in order",
    ),
    optional(
        "rows",
        Holds::Rows,
        "the rows; in order if the statement orders them",
    ),
    optional(
        "row_count",
        Holds::WholeOr(COUNT),
        "how many rows there are",
    ),
    optional(
        "never_contains",
        Holds::Texts,
        "texts that are in no value and not in the bytes that travel",
    ),
    optional(
        "masks",
        Holds::Names,
        "for a column: `clear`, `masked`, or the name of its mask",
    ),
    optional(
        "matches",
        Holds::Names,
        "for a column: a regular expression that each of its values matches",
    ),
    optional(
        "all_null",
        Holds::Texts,
        "columns in which every value is NULL",
    ),
    optional(
        "same_as",
        Holds::TextOrTexts,
        "personas that get the same rows for the same statement",
    ),
    optional(
        "differs_from",
        Holds::TextOrTexts,
        "personas that get no row of these for the same statement",
    ),
    optional(
        "subset_of",
        Holds::Text,
        "another case whose rows hold all of these",
    ),
    optional(
        "decision",
        Holds::Keys(DECISION),
        "what was decided about the table",
    ),
    optional(
        "sees",
        Holds::Named(SEES),
        "tables that are visible, without a statement",
    ),
    optional(
        "denied",
        Holds::Texts,
        "tables that are not visible, without a statement",
    ),
];

/// A refusal.
pub const REFUSED: &[Key] = &[
    required("code", Holds::Text, "the code of the refusal"),
    optional("message", Holds::Text, "a part of what the client is told"),
];

/// Columns of a result.
pub const COLUMNS: &[Key] = &[
    optional("has", Holds::Texts, "columns that are there"),
    optional("lacks", Holds::Texts, "columns that are not there"),
];

/// A number of rows.
pub const COUNT: &[Key] = &[
    optional("min", Holds::Whole, "at least so many"),
    optional("max", Holds::Whole, "at most so many"),
];

/// A decision.
pub const DECISION: &[Key] = &[
    optional(
        "table",
        Holds::Text,
        "the table, when the statement names several",
    ),
    optional(
        "verdict",
        Holds::Text,
        "`shown`, `no-agreement`, `purpose-required` or `closed`",
    ),
    optional(
        "agreements",
        Holds::Texts,
        "the agreements that match, all of them",
    ),
    optional("guard", Holds::Text, "the guard that closes the table"),
];

/// A table as a persona sees it.
pub const SEES: &[Key] = &[
    optional(
        "rows",
        Holds::WholeOr(COUNT),
        "how many of its rows it sees",
    ),
    optional(
        "columns",
        Holds::NamedTextOr(SEEN),
        "all visible columns as a list, or some with how they are shown",
    ),
];

/// A column as a persona sees it: a word (`clear`, `masked`, `hidden`), or what holds of its values.
pub const SEEN: &[Key] = &[
    optional("mask", Holds::Text, "the name of its mask"),
    optional("never_contains", Holds::Texts, "texts that are in no value"),
    optional(
        "matches",
        Holds::Text,
        "a regular expression that each value matches",
    ),
    optional("all_null", Holds::Flag, "every value is NULL"),
    optional(
        "never_shows_input",
        Holds::Flag,
        "no value contains the value that it stands for",
    ),
    optional(
        "same_for_same_input",
        Holds::Flag,
        "equal values are shown as equal ones",
    ),
    optional(
        "distinct_for_distinct_input",
        Holds::Flag,
        "different values are shown as different ones",
    ),
    optional(
        "differs_between",
        Holds::Texts,
        "personas of other recipients, to whom every value is shown differently",
    ),
];
