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
const TEXTS: Kind = Kind::List(&Kind::AnyText);

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
            "circumstances of every case",
        ),
        Key::required(
            "personas",
            Kind::Named(&Kind::Map(&PERSONA)),
            "those in whose name cases ask",
        ),
        Key::required("cases", Kind::List(&Kind::Map(&CASE)), "the cases"),
    ],
);

/// Someone in whose name cases ask.
pub(super) static PERSONA: Shape = Shape::closed(
    "persona",
    "someone in whose name cases ask",
    &[
        Key::optional("id", Kind::Text, "the principal's id").unsaid("the persona's name"),
        Key::required("org", Kind::Text, "its organisation"),
        Key::optional("groups", TEXTS, "its groups"),
        Key::optional("roles", TEXTS, "its roles"),
        Key::optional(
            "kind",
            Kind::Words(|| PrincipalKind::ALL.map(PrincipalKind::as_str).to_vec()),
            "who is behind it",
        )
        .unsaid("human"),
        Key::optional(
            "attributes",
            Kind::Named(&Kind::Any),
            "values of `principal.NAME`",
        ),
        Key::optional("context", Kind::Map(&CONTEXT), "circumstances of its cases"),
    ],
);

/// A question with its answer.
pub(super) static CASE: Shape = Shape::closed(
    "case",
    "a question with its answer",
    &[
        Key::required("name", Kind::Text, "what it shows"),
        Key::required("as", Kind::AnyText, "the persona that asks"),
        Key::optional("purpose", Kind::Text, "the purpose that is stated"),
        Key::optional("agreement", Kind::Text, "the one agreement to act under"),
        Key::optional("context", Kind::Map(&CONTEXT), "circumstances of this case"),
        Key::required("sql", Kind::Text, "the statement"),
        Key::required("expect", Kind::Map(&EXPECT), "what must come of it"),
    ],
);

/// What must come of a statement.
pub(super) static EXPECT: Shape = Shape::closed(
    "expect",
    "what must come of a statement: `refused` alone, or any of the others",
    &[
        Key::optional("columns", TEXTS, "the columns, in their order"),
        Key::optional(
            "rows",
            Kind::List(&Kind::List(&Kind::AnyOf(&[
                Kind::AnyText,
                Kind::Number,
                Kind::Bool,
                Kind::Null,
            ]))),
            "the rows, in their order; nested values in quotes, as the command prints them",
        ),
        Key::optional(
            "row_count",
            Kind::Whole {
                min: 0,
                max: i64::MAX,
            },
            "how many rows there are",
        ),
        Key::optional(
            "refused",
            Kind::Words(|| Code::ALL.iter().map(|code| code.as_str()).collect()),
            "the code with which it is refused",
        ),
        Key::optional(
            "never_contains",
            TEXTS,
            "texts that are in no value, nor in the bytes that the result would travel as",
        ),
    ],
);

/// The circumstances of a question.
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
        Key::optional("country", Kind::Text, "the country"),
        Key::optional("device", Kind::Text, "the device"),
        Key::optional(
            "device_trusted",
            Kind::Bool,
            "whether the device is trusted",
        ),
        Key::optional("time", INSTANT, "when it happens").unsaid("`at` of the file"),
        Key::optional(
            "hour",
            Kind::Whole { min: 0, max: 23 },
            "the hour of that day at which it happens, in UTC",
        ),
        Key::optional("risk", WHOLE, "how risky it looks"),
        Key::optional("queries_last_hour", WHOLE, "queries in the hour before").unsaid("0"),
        Key::optional("rows_last_day", WHOLE, "rows in the day before").unsaid("0"),
        Key::optional("client", Kind::Text, "the client's name"),
    ],
);
