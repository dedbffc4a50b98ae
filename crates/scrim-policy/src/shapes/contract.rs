//! Contracts: the keys of the Open Data Contract Standard that are read, and the names of the others.

use scrim_document::{Key, Kind, Shape};

use super::access::ACCESS;
use super::servers::SERVER;
use crate::fit::LOGICAL_TYPES;

const VERSION: Kind = Kind::Form {
    like: "a semantic version, like 1.0.0",
    pattern: r"^[0-9]+\.[0-9]+\.[0-9]+([-+].+)?$",
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
        Key::optional("tenant", SOME_TEXT, "the organisation that owns the table"),
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
        Key::optional(
            "support",
            Kind::Any,
            "its channels are told to partners, as whom to ask for more",
        ),
        Key::ignored("price", "of the standard"),
        Key::optional(
            "team",
            Kind::Any,
            "its name is told to partners where there is no support channel",
        ),
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
