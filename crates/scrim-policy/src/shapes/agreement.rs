//! Agreements.

use scrim_document::{Key, Kind, Shape};

use crate::AgreementStatus;

const DAY: Kind = Kind::Form {
    like: "a day, like 2026-12-31",
    pattern: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
};

/// An agreement.
pub static AGREEMENT: Shape = Shape::closed(
    "agreement",
    "the grant of one profile to one consumer",
    &[
        Key::required(
            "apiVersion",
            Kind::Form {
                like: "a version, like v0.9.0",
                pattern: r"^v0\.9\.[0-9]+$",
            },
            "the version of the form",
        ),
        Key::required(
            "kind",
            Kind::Words(|| vec!["AccessAgreement"]),
            "what this is",
        ),
        Key::required("id", Kind::Text, "its id, unique in the policy set"),
        Key::required(
            "status",
            Kind::Words(|| AgreementStatus::ALL.map(AgreementStatus::as_str).to_vec()),
            "where it is in its life; only an active one gives access",
        ),
        Key::required("contract", Kind::Map(&OFFER), "what it is about"),
        Key::required("profile", Kind::Text, "the contract's profile"),
        Key::required("consumer", Kind::Map(&CONSUMER), "who gets it"),
        Key::required("purpose", Kind::Text, "one of the contract's purposes"),
        Key::optional("start", DAY, "the first day, in UTC"),
        Key::optional("end", DAY, "the last day, in UTC"),
        Key::optional("when", Kind::Condition, "requests for which it holds").unsaid("true"),
        Key::optional(
            "parameters",
            Kind::Named(&Kind::AnyOf(&[
                Kind::AnyText,
                Kind::Number,
                Kind::Bool,
                Kind::List(&Kind::AnyText),
            ])),
            "values of `agreement.NAME` in conditions",
        ),
    ],
);

/// The contract of an agreement.
pub(crate) static OFFER: Shape = Shape::closed(
    "offer",
    "the contract that an agreement is about",
    &[
        Key::required("id", Kind::Text, "the contract's id"),
        Key::required(
            "version",
            Kind::Form {
                like: "`^1` compatible, `~1.2` patches, `1.2.3` that one, `*` any",
                pattern: r"^(\*|[\^~=]?[0-9].*)$",
            },
            "which versions of it",
        ),
    ],
);

/// The consumer of an agreement.
pub(crate) static CONSUMER: Shape = Shape::closed(
    "consumer",
    "who gets the data",
    &[
        Key::required(
            "organisation",
            Kind::Text,
            "who receives; pseudonyms differ by it",
        ),
        Key::required(
            "who",
            Kind::Condition,
            "its principals that may ask; `true` for all",
        ),
    ],
);
