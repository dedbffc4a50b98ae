//! Where the data lie.

use scrim_document::{Key, Kind, Need, Shape};

/// What each kind of place must say. `custom` is not here: it is read or left alone by its address.
const NEEDS: &[Need] = &[
    Need {
        key: "type",
        words: &["local"],
        keys: &["path", "format"],
    },
    Need {
        key: "type",
        words: &["s3", "azure"],
        keys: &["location", "format"],
    },
    Need {
        key: "type",
        words: &["postgres", "postgresql"],
        keys: &["host", "port", "database", "schema"],
    },
];

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
.and(&PLACE)
.needing(NEEDS);

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
.and(&SOURCE_EXTRAS)
.needing(NEEDS);

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
