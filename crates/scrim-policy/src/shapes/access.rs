//! What is enforced for one table.

use scrim_anonymize::{MASKS, MaskShape, Parameter, ParameterKind, Unsaid};
use scrim_document::{Key, Kind, Shape, Variant};

const POSITIVE: Kind = Kind::Whole {
    min: 1,
    max: i64::MAX,
};

/// The access policy of a contract in a file of its own.
pub static POLICY: Shape = Shape::closed(
    "policy",
    "the access policy of a contract, in a file of its own",
    &[Key::required("contract", Kind::Text, "the contract's id")],
)
.and(&ACCESS);

/// All that is enforced for one table.
pub(crate) static ACCESS: Shape = Shape::closed(
    "accessPolicy",
    "how the rows and columns of a table may be shown, and what always holds",
    &[
        Key::required(
            "purposes",
            Kind::List(&Kind::Text),
            "what agreements may be made for",
        ),
        Key::optional(
            "groups",
            Kind::List(&Kind::AnyText),
            "groups of recipients that may share pseudonyms, for `scope: group:ID` of a mask",
        ),
        Key::optional(
            "guards",
            Kind::List(&Kind::Map(&GUARD)),
            "what holds for everyone, whatever the agreement",
        ),
        Key::required(
            "profiles",
            Kind::Named(&Kind::Map(&PROFILE)),
            "the ways in which the table may be shown, by name",
        ),
        Key::refused("exceptions"),
    ],
);

/// What always holds.
pub(crate) static GUARD: Shape = Shape::closed(
    "guard",
    "what holds for everyone; it has `when`, `rows` or both",
    &[
        Key::required("id", Kind::Text, "its name in reasons and refusals"),
        Key::optional(
            "when",
            Kind::Condition,
            "requests that may see the table at all",
        ),
        Key::optional("rows", Kind::Condition, "rows that may be shown at all"),
        Key::refused("step_up"),
        Key::refused("columns"),
    ],
);

/// A way in which a table may be shown.
pub(crate) static PROFILE: Shape = Shape::closed(
    "profile",
    "a way in which the table may be shown",
    &[
        Key::optional("rows", Kind::Condition, "which rows").unsaid("true"),
        Key::optional(
            "columns",
            Kind::Named(&TREATMENT),
            "how columns, fields (`contact.phone`) and elements (`labels[]`) are shown",
        ),
        Key::optional(
            "tagged",
            Kind::Named(&TREATMENT),
            "how columns with a tag are shown, unless `columns` names them",
        ),
        Key::optional(
            "default",
            TREATMENT,
            "how columns that are named nowhere are shown",
        )
        .unsaid("hidden"),
        Key::optional(
            "limits",
            Kind::Map(&LIMITS),
            "what one consumer may take; going over ends the result with an error",
        ),
        Key::optional(
            "release",
            Kind::Words(|| vec!["rows"]),
            "in which form data leave",
        )
        .unsaid("rows"),
        Key::refused("entity"),
        Key::refused("min_entities"),
    ],
);

const TREATMENT: Kind = Kind::AnyOf(&[
    Kind::Words(|| vec!["clear", "hidden"]),
    Kind::Tagged {
        key: "mask",
        of: masks,
    },
]);

/// The masks, as they are known to those who run them.
fn masks() -> Vec<Variant> {
    let of = |mask: &'static MaskShape| Variant {
        word: mask.name,
        says: mask.gives,
        keys: mask.parameters.iter().map(parameter).collect(),
    };
    MASKS.iter().map(of).collect()
}

fn parameter(parameter: &'static Parameter) -> Key {
    const EXACT: Kind = Kind::AnyOf(&[
        Kind::Number,
        Kind::Form {
            like: "a number in quotes",
            pattern: "[0-9]",
        },
    ]);
    let holds = match parameter.holds {
        ParameterKind::Anything => VALUE,
        ParameterKind::Text => Kind::AnyText,
        ParameterKind::Count { min, max } => Kind::Whole {
            min: min.into(),
            max: max.into(),
        },
        ParameterKind::Number | ParameterKind::Step => EXACT,
        ParameterKind::Words(words) => Kind::Words(words),
        ParameterKind::Refused => Kind::Refused,
    };
    let key = Key::optional(parameter.name, holds, parameter.says);
    match parameter.unsaid {
        Unsaid::Needed => Key {
            required: true,
            ..key
        },
        Unsaid::Left => key,
        Unsaid::Is(value) => key.unsaid(value),
    }
}

const VALUE: Kind = Kind::AnyOf(&[
    Kind::AnyText,
    Kind::Number,
    Kind::Bool,
    Kind::List(&Kind::Any),
]);

/// Bounds of one profile.
pub(crate) static LIMITS: Shape = Shape::closed(
    "limits",
    "what one consumer may take",
    &[
        Key::optional("max_rows", POSITIVE, "rows of one result"),
        Key::optional("max_bytes", POSITIVE, "bytes of one result"),
        Key::optional("queries_per_minute", POSITIVE, "queries in any minute"),
        Key::optional("concurrent_queries", POSITIVE, "queries at once"),
    ],
);
