//! What may stand in the documents of a policy set. The readers take their keys from here, and so do
//! the JSON Schemas and the reference in `policies/README.md`: to add a key, describe it here.

use scrim_document::{Key, Kind, Shape, Variant};

use crate::AgreementStatus;
use crate::fit::LOGICAL_TYPES;

const VERSION: Kind = Kind::Form {
    like: "a semantic version, like 1.0.0",
    pattern: r"^[0-9]+\.[0-9]+\.[0-9]+([-+].+)?$",
};
const DAY: Kind = Kind::Form {
    like: "a day, like 2026-12-31",
    pattern: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
};
const POSITIVE: Kind = Kind::Whole {
    min: 1,
    max: i64::MAX,
};
const SOME_TEXT: Kind = Kind::AnyOf(&[Kind::AnyText, Kind::Null]);

/// A contract: the keys of ODCS, of which those that are read are described in full.
pub static CONTRACT: Shape = Shape::closed(
    "contract",
    "a contract in the form of the Open Data Contract Standard 3.1",
    &[
        Key::required(
            "apiVersion",
            Kind::Form {
                like: "a version of the standard, like v3.1.0",
                pattern: r"^v3\.1\.[0-9]+$",
            },
            "the version of the standard",
        ),
        Key::required("kind", Kind::Words(|| vec!["DataContract"]), "what this is"),
        Key::required("id", Kind::Text, "its id, which agreements name"),
        Key::ignored("name", "its name for people"),
        Key::required("version", VERSION, "its version, which agreements accept"),
        Key::required(
            "status",
            Kind::Text,
            "where it is in its life; it does not decide access",
        ),
        Key::optional("domain", Kind::Text, "the schema in which clients see it").unsaid("public"),
        Key::optional("tenant", Kind::Text, "the organisation that owns the table"),
        Key::ignored("tags", "of the standard"),
        Key::ignored("dataProduct", "of the standard"),
        Key::optional(
            "description",
            Kind::Any,
            "its `purpose` is shown where the table has no description",
        ),
        Key::optional(
            "servers",
            Kind::List(&Kind::Map(&SERVER)),
            "where the data lie, by environment",
        ),
        Key::required(
            "schema",
            Kind::List(&Kind::Map(&TABLE)),
            "the table; one for each contract",
        ),
        Key::optional("support", Kind::Any, "the first channel is told to partners"),
        Key::ignored("price", "of the standard"),
        Key::optional("team", Kind::Any, "told to partners where there is no support channel"),
        Key::ignored("roles", "of the standard"),
        Key::ignored("slaDefaultElement", "of the standard"),
        Key::ignored("slaProperties", "of the standard"),
        Key::ignored("authoritativeDefinitions", "of the standard"),
        Key::ignored("contractCreatedTs", "of the standard"),
        Key::optional(
            "customProperties",
            Kind::Properties(&CUSTOM),
            "all that is enforced, as the property `accessPolicy`",
        ),
    ],
);

/// The custom properties of a contract.
pub(crate) static CUSTOM: Shape = Shape::open(
    "customProperties",
    "the custom properties of a contract",
    &[Key::optional(
        "accessPolicy",
        Kind::Map(&ACCESS),
        "how its rows and columns may be shown, and what always holds",
    )],
);

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
    let of = |mask: &scrim_anonymize::MaskShape| Variant {
        word: mask.name,
        says: mask.gives,
        keys: mask.parameters.iter().map(parameter).collect(),
    };
    scrim_anonymize::MASKS.iter().map(of).collect()
}

fn parameter(parameter: &'static scrim_anonymize::Parameter) -> Key {
    use scrim_anonymize::{ParameterKind, Unsaid};
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

/// The one schema object of a contract.
pub(crate) static TABLE: Shape = Shape::open(
    "table",
    "a table",
    &[
        Key::optional("id", Kind::Text, "its id, for references"),
        Key::required("name", Kind::Text, "the name under which clients see it"),
        Key::optional("physicalName", Kind::Text, "the source's own name of it")
            .unsaid("its `name`"),
        Key::optional("description", SOME_TEXT, "what it is, as clients are told"),
        Key::required(
            "properties",
            Kind::List(&Kind::Map(&COLUMN)),
            "its columns; what is not listed exists for nobody",
        ),
        Key::optional(
            "relationships",
            Kind::AnyOf(&[Kind::List(&Kind::Map(&TABLE_KEY)), Kind::Null]),
            "keys of several columns that lead to other tables",
        ),
    ],
);

/// A column, or a field inside one.
pub(crate) static COLUMN: Shape = Shape::open(
    "column",
    "a column, or a field inside one",
    &[Key::required(
        "name",
        Kind::Text,
        "the name under which clients see it",
    )],
)
.and(&ELEMENT);

/// The element of a list; a column has all this and a name.
pub(crate) static ELEMENT: Shape = Shape::open(
    "element",
    "the element of a list",
    &[
        Key::optional("id", Kind::Text, "its id, for references"),
        Key::optional("physicalName", Kind::Text, "the source's own name of it")
            .unsaid("its `name`"),
        Key::optional(
            "logicalType",
            Kind::Words(|| LOGICAL_TYPES.to_vec()),
            "its type, compared with the source's",
        ),
        Key::optional("physicalType", Kind::Text, "the source's own type of it"),
        Key::optional("description", SOME_TEXT, "what it is, as clients are told"),
        Key::optional(
            "classification",
            SOME_TEXT,
            "how sensitive it is, in the owner's words",
        ),
        Key::optional(
            "tags",
            Kind::List(&Kind::AnyText),
            "tags, by which profiles may treat it",
        ),
        Key::optional(
            "required",
            Kind::Bool,
            "whether every row has it; not enforced",
        )
        .unsaid("false"),
        Key::optional(
            "primaryKey",
            Kind::Bool,
            "whether it belongs to the primary key",
        )
        .unsaid("false"),
        Key::optional(
            "primaryKeyPosition",
            Kind::Whole {
                min: -1,
                max: i64::MAX,
            },
            "its place in the primary key, from 1",
        ),
        Key::optional(
            "relationships",
            Kind::AnyOf(&[Kind::List(&Kind::Map(&COLUMN_KEY)), Kind::Null]),
            "columns of other tables that it leads to",
        ),
        Key::optional(
            "properties",
            Kind::List(&Kind::Map(&COLUMN)),
            "the fields inside it",
        ),
        Key::optional("items", Kind::Map(&ELEMENT), "the elements inside it"),
    ],
);

/// A relationship of a column.
pub(crate) static COLUMN_KEY: Shape = Shape::open(
    "columnKey",
    "a column of another table that a column leads to",
    &[
        RELATIONSHIP_TYPE,
        Key::required("to", Kind::Text, "that column"),
        Key::refused("from"),
    ],
);

/// A relationship of a table.
pub(crate) static TABLE_KEY: Shape = Shape::open(
    "tableKey",
    "columns of another table that columns lead to; one on both sides, or as many",
    &[
        RELATIONSHIP_TYPE,
        Key::required("from", REFERENCES, "columns of this table"),
        Key::required("to", REFERENCES, "what they lead to, in the same order"),
    ],
);

const RELATIONSHIP_TYPE: Key = Key::optional(
    "type",
    Kind::Text,
    "the standard has one, and others are left alone",
)
.unsaid("foreignKey");

const REFERENCES: Kind = Kind::AnyOf(&[Kind::Text, Kind::List(&Kind::Text)]);

/// An entry of `servers`.
pub(crate) static SERVER: Shape = Shape::open(
    "server",
    "where the data lie in one environment",
    &[
        Key::required("server", Kind::Text, "its name"),
        Key::optional("environment", Kind::Text, "the environment that it serves"),
        Key::required(
            "type",
            Kind::Text,
            "`local`, `s3`, `azure`, `postgres` or `custom` (`gs://`, `https://`); others are not read",
        ),
        Key::optional(
            "format",
            Kind::Text,
            "how files are written: `parquet`, `csv`, `json`, `arrow` or `delta`",
        ),
        Key::optional(
            "customProperties",
            Kind::AnyOf(&[Kind::Properties(&EXTRAS), Kind::Null]),
            "what the standard has no key for",
        ),
    ],
)
.and(&PLACE);

/// A source as a configuration describes it: all that an entry of `servers` can say, in one map.
pub static SOURCE: Shape = Shape::closed(
    "source",
    "where a table lies, as in `servers` of a contract",
    &[
        Key::required(
            "type",
            Kind::Words(|| vec!["local", "s3", "azure", "custom", "postgres", "postgresql"]),
            "the kind of place; `custom` is for `gs://` and `https://`",
        ),
        Key::optional(
            "format",
            Kind::Words(|| {
                vec![
                    "parquet", "csv", "json", "jsonl", "ndjson", "arrow", "delta",
                ]
            }),
            "how files are written",
        ),
    ],
)
.and(&SOURCE_EXTRAS);

static SOURCE_EXTRAS: Shape =
    Shape::closed("sourceProperties", "what is said of a source", EXTRA_KEYS).and(&PLACE);

/// Keys of the standard that say where a source is.
static PLACE: Shape = Shape::open(
    "place",
    "where a source is",
    &[
        Key::optional(
            "path",
            Kind::Text,
            "of `local`: a file, a folder or a pattern, from the folder of `scrim.yaml` on",
        ),
        Key::optional(
            "location",
            Kind::Text,
            "of `s3`, `azure` and `custom`: the address, with a pattern or not",
        ),
        Key::optional(
            "endpointUrl",
            Kind::Text,
            "the address of a store that is not its maker's",
        ),
        Key::optional(
            "delimiter",
            Kind::Text,
            "of `csv`: one character or `tab`; of `json`: `new_line`",
        )
        .unsaid(","),
        Key::optional("host", Kind::Text, "of `postgres`"),
        Key::optional(
            "port",
            Kind::Whole {
                min: 1,
                max: 65_535,
            },
            "of `postgres`",
        ),
        Key::optional("database", Kind::Text, "of `postgres`"),
        Key::optional("schema", Kind::Text, "of `postgres`: the schema in it"),
    ],
);

/// The custom properties of an entry of `servers`.
pub(crate) static EXTRAS: Shape = Shape::open(
    "serverProperties",
    "what the standard has no key for",
    &[
        Key::optional("endpointUrl", Kind::Text, "as the key, where it has none"),
        Key::optional("delimiter", Kind::Text, "as the key, where it has none"),
    ],
)
.and(&MORE_EXTRAS);

static MORE_EXTRAS: Shape = Shape::open("extras", "what the standard has no key for", EXTRA_KEYS);

const EXTRA_KEYS: &[Key] = &[
    Key::optional(
        "credentials",
        Kind::Text,
        "the name of its credentials, which never stand here",
    ),
    Key::optional("region", Kind::Text, "of `s3`: the region of the bucket"),
    Key::optional(
        "addressing",
        Kind::Words(|| vec!["path", "virtual"]),
        "of `s3`: where the bucket stands in addresses",
    )
    .unsaid("path"),
    Key::optional(
        "badRows",
        Kind::Words(|| vec!["fail", "skip"]),
        "of `csv` and `json`: what happens to a row that does not fit",
    )
    .unsaid("fail"),
    Key::optional(
        "version",
        Kind::AnyOf(&[
            Kind::Whole {
                min: 0,
                max: i64::MAX,
            },
            Kind::Form {
                like: "a number in quotes",
                pattern: "^[0-9]+$",
            },
        ]),
        "of `delta`: the number of a version",
    ),
    Key::optional(
        "asOf",
        Kind::Form {
            like: "an instant, like 2026-03-02T23:00:00Z",
            pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}.",
        },
        "of `delta`: the version that was current then",
    ),
    Key::optional(
        "tls",
        Kind::Words(|| vec!["verify-full", "off"]),
        "of `postgres`: how the connection is protected",
    )
    .unsaid("verify-full"),
    Key::optional("tlsCa", Kind::Text, "of `postgres`: a file of certificates")
        .unsaid("the system's"),
];

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
