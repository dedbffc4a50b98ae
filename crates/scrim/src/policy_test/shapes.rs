//! What may stand in a test file. The reader takes its keys from here, and so do the JSON Schema and
//! the reference in `policies/README.md`: to add a key, describe it here.

use scrim_document::{Key, Kind, Shape};
use scrim_model::{Code, PrincipalKind};

const INSTANT: Kind = Kind::Form {
    like: "an instant, like 2026-03-02T10:00:00Z",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}.",
};
const WHOLE: Kind = Kind::Whole {
    min: i64::MIN,
    max: i64::MAX,
};
const NUMBER_OF_ROWS: Kind = Kind::Whole {
    min: 0,
    max: i64::MAX,
};
const TEXTS: Kind = Kind::List(&Kind::AnyText);
const TEXT_OR_TEXTS: Kind = Kind::AnyOf(&[Kind::Text, Kind::List(&Kind::Text)]);
const COUNTED: Kind = Kind::AnyOf(&[NUMBER_OF_ROWS, Kind::Map(&COUNT)]);
const CELL: Kind = Kind::AnyOf(&[Kind::AnyText, Kind::Number, Kind::Bool, Kind::Null]);
/// How a column is shown; the bare word `null` is a mask, too.
const SHOWN: Kind = Kind::AnyOf(&[Kind::Text, Kind::Null]);
const FIXTURE: Kind = Kind::AnyOf(&[
    Kind::List(&Kind::Named(&Kind::Any)),
    Kind::Text,
    Kind::Map(&TABLE),
]);

/// A test file.
pub static TEST: Shape = Shape::closed(
    "test",
    "what an owner means by the policies, as questions with answers",
    &[
        Key::required("kind", Kind::Words(|| vec!["PolicyTest"]), "what this is"),
        Key::required("at", INSTANT, "when every case happens"),
        Key::optional(
            "context",
            Kind::Map(&CONTEXT),
            "the circumstances of every case",
        ),
        Key::optional("purpose", Kind::Text, "the purpose of every case"),
        Key::optional(
            "tables",
            Kind::Named(&FIXTURE),
            "rows in the place of governed tables' sources: a list of maps, a block of text with a \
             header line, the path of a file, or a map",
        ),
        Key::optional(
            "lookups",
            Kind::Named(&FIXTURE),
            "rows in the place of look-up tables' sources",
        ),
        Key::required("personas", Kind::Named(&Kind::Map(&PERSONA)), "who asks"),
        Key::required(
            "cases",
            Kind::List(&Kind::Map(&CASE)),
            "questions with what their answers must be",
        ),
    ],
);

/// The circumstances of a request.
pub(super) static CONTEXT: Shape = Shape::closed(
    "context",
    "circumstances; what is not said is not known",
    &[
        Key::optional(
            "ip",
            Kind::Form {
                like: "an address, like 10.1.2.3",
                pattern: "^[0-9a-fA-F.:]+$",
            },
            "the address that it comes from",
        ),
        Key::optional(
            "network",
            Kind::Text,
            "a named network that it comes from: an address in it",
        ),
        Key::optional("country", Kind::Text, "the country that it comes from"),
        Key::optional("device", Kind::Text, "the device"),
        Key::optional(
            "device_trusted",
            Kind::Bool,
            "whether the device is trusted",
        ),
        Key::optional("time", INSTANT, "when it is made").unsaid("at"),
        Key::optional(
            "hour",
            Kind::Whole { min: 0, max: 23 },
            "the hour of that day, UTC",
        ),
        Key::optional("risk", WHOLE, "how risky it looks"),
        Key::optional(
            "queries_last_hour",
            WHOLE,
            "queries of the principal in the last hour",
        )
        .unsaid("0"),
        Key::optional(
            "rows_last_day",
            WHOLE,
            "rows sent to the principal in the last day",
        )
        .unsaid("0"),
        Key::optional("client", Kind::Text, "the client's name"),
    ],
);

/// A persona.
pub(super) static PERSONA: Shape = Shape::closed(
    "persona",
    "someone in whose name cases ask",
    &[
        Key::optional("id", Kind::Text, "the principal's id").unsaid("the persona's name"),
        Key::required("org", Kind::Text, "the principal's organisation"),
        Key::optional("purpose", Kind::Text, "the purpose that it states"),
        Key::optional("context", Kind::Map(&CONTEXT), "its circumstances"),
        KIND.unsaid("human"),
    ],
)
.and(&TRAITS);

const KIND: Key = Key::optional(
    "kind",
    Kind::Words(|| PrincipalKind::ALL.map(PrincipalKind::as_str).to_vec()),
    "who is behind it",
);

/// What is different about a persona in one case.
pub(super) static WITH: Shape = Shape::closed(
    "with",
    "what is different about a persona in one case",
    &[
        Key::optional("org", Kind::Text, "the principal's organisation"),
        KIND,
    ],
)
.and(&TRAITS);

static TRAITS: Shape = Shape::closed(
    "traits",
    "what is known of a principal",
    &[
        Key::optional("groups", TEXTS, "its groups"),
        Key::optional("roles", TEXTS, "its roles"),
        Key::optional("acr", Kind::Text, "how it proved who it is"),
        Key::optional(
            "auth_age",
            Kind::Whole {
                min: 0,
                max: 31_536_000,
            },
            "seconds since it signed in",
        ),
        Key::optional("on_behalf_of", Kind::Text, "for whom an agent acts"),
        Key::optional(
            "attributes",
            Kind::Named(&Kind::Any),
            "attributes that `scrim.yaml` declares",
        ),
    ],
);

/// A case.
pub(super) static CASE: Shape = Shape::closed(
    "case",
    "a question with its answer",
    &[
        Key::required("name", Kind::Text, "what it shows"),
        Key::required(
            "as",
            TEXT_OR_TEXTS,
            "the persona that asks, or several, one after the other",
        ),
        Key::optional(
            "with",
            Kind::Map(&WITH),
            "what is different about the persona in this case",
        ),
        Key::optional("purpose", Kind::Text, "the purpose that it states"),
        Key::optional(
            "agreement",
            Kind::Text,
            "the one agreement that it acts under",
        ),
        Key::optional("at", INSTANT, "when it happens"),
        Key::optional(
            "context",
            Kind::Map(&CONTEXT),
            "the circumstances of this case",
        ),
        Key::optional(
            "sql",
            Kind::Text,
            "the statement; not needed for `sees` and `denied`",
        ),
        Key::required("expect", Kind::Map(&EXPECT), "what must hold; all of it"),
    ],
);

/// Rows in the place of a source.
pub(super) static TABLE: Shape = Shape::closed(
    "rows",
    "rows in the place of a source: `file`, or `columns` and `rows`",
    &[
        Key::optional(
            "file",
            Kind::Text,
            "a CSV, JSON lines, Parquet or Arrow file, from the test file's folder on",
        ),
        Key::optional(
            "columns",
            Kind::List(&Kind::Text),
            "the names of the columns of `rows`",
        ),
        Key::optional(
            "rows",
            Kind::List(&Kind::List(&Kind::Any)),
            "the rows, each a list of values",
        ),
    ],
);

/// What must hold of an answer.
pub(super) static EXPECT: Shape = Shape::closed(
    "expect",
    "what must hold of an answer: `refused` alone, or any of the others",
    &[
        Key::optional(
            "refused",
            Kind::AnyOf(&[CODE, Kind::Map(&REFUSED)]),
            "it is refused, with this code",
        ),
        Key::optional(
            "columns",
            Kind::AnyOf(&[TEXTS, Kind::Map(&COLUMNS)]),
            "the names of the columns, in order",
        ),
        Key::optional(
            "rows",
            Kind::List(&Kind::List(&CELL)),
            "the rows; in order if the statement orders them; nested values in quotes, as the \
             command prints them",
        ),
        Key::optional("row_count", COUNTED, "how many rows there are"),
        Key::optional(
            "never_contains",
            TEXTS,
            "texts that are in no value and not in the bytes that travel",
        ),
        Key::optional(
            "masks",
            Kind::Named(&SHOWN),
            "for a column: `clear`, `masked`, `hidden`, or the name of its mask",
        ),
        Key::optional(
            "matches",
            Kind::Named(&Kind::Text),
            "for a column: a regular expression that each of its values matches",
        ),
        Key::optional("all_null", TEXTS, "columns in which every value is NULL"),
        Key::optional(
            "same_as",
            TEXT_OR_TEXTS,
            "personas that get the same rows for the same statement",
        ),
        Key::optional(
            "differs_from",
            TEXT_OR_TEXTS,
            "personas that get no row of these for the same statement",
        ),
        Key::optional(
            "subset_of",
            Kind::Text,
            "another case whose rows hold all of these",
        ),
        Key::optional(
            "decision",
            Kind::Map(&DECISION),
            "what was decided about the table",
        ),
        Key::optional(
            "sees",
            Kind::Named(&Kind::AnyOf(&[Kind::Map(&SEES), Kind::Null])),
            "tables that are visible, without a statement",
        ),
        Key::optional(
            "denied",
            TEXTS,
            "tables that are not visible, without a statement",
        ),
    ],
);

const CODE: Kind = Kind::Words(|| Code::ALL.iter().map(|code| code.as_str()).collect());

/// A refusal.
pub(super) static REFUSED: Shape = Shape::closed(
    "refused",
    "a refusal",
    &[
        Key::required("code", CODE, "the code of the refusal"),
        Key::optional("message", Kind::Text, "a part of what the client is told"),
    ],
);

/// Columns of a result.
pub(super) static COLUMNS: Shape = Shape::closed(
    "columns",
    "columns of a result",
    &[
        Key::optional("has", TEXTS, "columns that are there"),
        Key::optional("lacks", TEXTS, "columns that are not there"),
    ],
);

/// A number of rows.
pub(super) static COUNT: Shape = Shape::closed(
    "count",
    "a number of rows",
    &[
        Key::optional("min", NUMBER_OF_ROWS, "at least so many"),
        Key::optional("max", NUMBER_OF_ROWS, "at most so many"),
    ],
);

/// A decision.
pub(super) static DECISION: Shape = Shape::closed(
    "decision",
    "what was decided; at least one of `verdict`, `agreements` and `guard`",
    &[
        Key::optional(
            "table",
            Kind::Text,
            "the table, when the statement names several",
        ),
        Key::optional(
            "verdict",
            Kind::Words(|| super::format::VERDICTS.to_vec()),
            "what came of it",
        ),
        Key::optional(
            "agreements",
            TEXTS,
            "the agreements that match, all of them",
        ),
        Key::optional("guard", Kind::Text, "the guard that closes the table"),
    ],
);

/// A table as a persona sees it.
pub(super) static SEES: Shape = Shape::closed(
    "sees",
    "a table as a persona sees it",
    &[
        Key::optional("rows", COUNTED, "how many of its rows it sees"),
        Key::optional(
            "columns",
            Kind::AnyOf(&[TEXTS, Kind::Named(&Kind::AnyOf(&[SHOWN, Kind::Map(&SEEN)]))]),
            "all visible columns as a list, or some with how they are shown",
        ),
    ],
);

/// A column as a persona sees it.
pub(super) static SEEN: Shape = Shape::closed(
    "seen",
    "what holds of the values of a column",
    &[
        Key::optional(
            "mask",
            SHOWN,
            "`clear`, `masked`, `hidden`, or the name of its mask",
        ),
        Key::optional("never_contains", TEXTS, "texts that are in no value"),
        Key::optional(
            "matches",
            Kind::Text,
            "a regular expression that each value matches",
        ),
        Key::optional("all_null", Kind::True, "every value is NULL"),
        Key::optional(
            "never_shows_input",
            Kind::True,
            "no value contains the value that it stands for",
        ),
        Key::optional(
            "same_for_same_input",
            Kind::True,
            "equal values are shown as equal ones",
        ),
        Key::optional(
            "distinct_for_distinct_input",
            Kind::True,
            "different values are shown as different ones",
        ),
        Key::optional(
            "differs_between",
            TEXTS,
            "personas of other recipients, to whom every value is shown differently",
        ),
    ],
);
