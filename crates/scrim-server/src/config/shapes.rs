//! What may stand in `scrim.yaml`. The readers take their keys from here, and so does the JSON Schema:
//! to add a key, describe it here.

use scrim_document::{Key, Kind, Shape};
use scrim_model::ValueType;

const COUNT: Kind = Kind::Whole {
    min: 1,
    max: i64::MAX,
};
const DURATION: Kind = Kind::Form {
    like: "a duration, like 30s, 5m or 8h",
    pattern: r"^\s*[0-9]+\s*(ms|s|m|min|h|d)\s*$",
};
const DURATION_OR_NEVER: Kind = Kind::AnyOf(&[Kind::Whole { min: 0, max: 0 }, DURATION]);
const SIZE: Kind = Kind::AnyOf(&[
    COUNT,
    Kind::Form {
        like: "a size, like 512MiB or 2GiB",
        pattern: r"^\s*[0-9]+\s*([KMGT]iB|[kKMGT]?B)?\s*$",
    },
]);

/// All that `scrim.yaml` can say.
pub static CONFIG: Shape = Shape::closed(
    "config",
    "the configuration of a server; paths start at its folder",
    &[
        Key::optional("listen", Kind::Map(&LISTEN), "where to listen"),
        Key::optional("tls", Kind::Map(&TLS), "the server's certificate"),
        Key::required(
            "policies",
            Kind::Text,
            "the folder of contracts and agreements",
        ),
        Key::optional(
            "environment",
            Kind::Text,
            "which `servers` entry of the contracts holds",
        )
        .unsaid("the first of each"),
        Key::required("ledger", Kind::Map(&LEDGER), "the ledger"),
        Key::required("keys", Kind::Map(&KEYS), "the keys"),
        Key::required(
            "identity",
            Kind::Map(&IDENTITY),
            "who may sign in, and for how long",
        ),
        Key::optional("secrets", Kind::Map(&SECRETS), "the credentials of sources"),
        Key::optional("sources", Kind::Map(&SOURCES), "bounds of sources"),
        Key::optional(
            "lookup",
            Kind::Named(&Kind::Map(&LOOKUP)),
            "tables that row rules alone may ask, as `lookup.NAME`",
        ),
        Key::optional(
            "networks",
            Kind::Named(&Kind::List(&Kind::Form {
                like: "a network, like 10.0.0.0/8",
                pattern: "^[0-9a-fA-F.:]+(/[0-9]+)?$",
            })),
            "names in `context.network`",
        ),
        Key::optional("limits", Kind::Map(&LIMITS), "what queries may use"),
        Key::optional(
            "spill",
            Kind::Map(&SPILL),
            "where large sorts and joins use the disk",
        ),
        Key::optional(
            "administrators",
            Kind::List(&Kind::Text),
            "the accounts that may administer the running server",
        ),
        Key::optional(
            "shadow",
            Kind::Text,
            "a folder of policies that queries are decided under as well, without effect",
        ),
        Key::optional(
            "external_decisions",
            Kind::Map(&EXTERNAL),
            "a decision point that can only narrow what the policies give",
        ),
    ],
);

/// A decision point outside the policies.
pub(super) static EXTERNAL: Shape = Shape::closed(
    "external",
    "a decision point outside the policies, asked like OPA",
    &[
        Key::required("url", Kind::Text, "where questions are sent to, by POST"),
        Key::optional("timeout", DURATION, "how long an answer may take").unsaid("500ms"),
        Key::optional(
            "cache",
            DURATION_OR_NEVER,
            "how long an answer may be used again",
        )
        .unsaid("0"),
        Key::optional(
            "credentials",
            Kind::Text,
            "the name of the credential with the bearer token, as `token`",
        ),
        Key::optional(
            "ca",
            Kind::Text,
            "certificates of those who may vouch for it, PEM",
        )
        .unsaid("the system's"),
        Key::optional(
            "volatile",
            Kind::Bool,
            "whether it is told what differs with every request: the time, recent activity",
        )
        .unsaid("false"),
        Key::optional(
            "allow_plaintext_beyond_loopback",
            Kind::Bool,
            "whether http may leave this machine",
        )
        .unsaid("false"),
    ],
);

/// Where to listen.
pub(super) static LISTEN: Shape = Shape::closed(
    "listen",
    "where to listen",
    &[
        Key::optional(
            "flight",
            Kind::Form {
                like: "an address, like 127.0.0.1:50051",
                pattern: r"^(localhost|[0-9.]+|\[[0-9a-fA-F:.%]+\]):[0-9]+$",
            },
            "the address for Flight SQL; port 0 takes any free one",
        )
        .unsaid("127.0.0.1:50051"),
        Key::optional(
            "allow_plaintext_beyond_loopback",
            Kind::Bool,
            "whether passwords and data may leave this machine without `tls`",
        )
        .unsaid("false"),
    ],
);

/// The server's certificate, and those of clients.
pub(super) static TLS: Shape = Shape::closed(
    "tls",
    "the server's certificate, and those of clients",
    &[
        Key::required("cert", Kind::Text, "the certificate chain, PEM"),
        Key::required("key", Kind::Text, "its private key, PEM"),
        Key::optional(
            "client_ca",
            Kind::Text,
            "who signs client certificates, PEM",
        ),
        Key::optional(
            "client_auth",
            Kind::Words(|| vec!["required", "optional"]),
            "whether clients must show one",
        )
        .unsaid("required"),
    ],
);

/// The ledger.
pub(super) static LEDGER: Shape = Shape::closed(
    "ledger",
    "the ledger",
    &[Key::required(
        "path",
        Kind::Text,
        "its folder; one server at a time",
    )],
);

/// The keys.
pub(super) static KEYS: Shape = Shape::closed(
    "keys",
    "the keys",
    &[Key::required(
        "file",
        Kind::Text,
        "the key file, which `scrim keys new` makes",
    )],
);

/// The credentials of sources.
pub(super) static SECRETS: Shape = Shape::closed(
    "secrets",
    "the credentials of sources",
    &[Key::required(
        "file",
        Kind::Text,
        "the file, which only its owner can read",
    )],
);

/// Where queries use the disk.
pub(super) static SPILL: Shape = Shape::closed(
    "spill",
    "where large sorts and joins use the disk",
    &[Key::required("path", Kind::Text, "the folder")],
);

/// Who may sign in.
pub(super) static IDENTITY: Shape = Shape::closed(
    "identity",
    "who may sign in, and for how long",
    &[
        Key::required(
            "accounts",
            Kind::Text,
            "the accounts file, which `scrim accounts add` writes",
        ),
        Key::optional("session", Kind::Map(&SESSION), "how long sessions last"),
        Key::optional(
            "attributes",
            Kind::Named(&Kind::Words(ValueType::words)),
            "attributes of accounts with their types, `principal.NAME` in policies",
        ),
        Key::optional(
            "certificates",
            Kind::List(&Kind::Map(&CERTIFICATE)),
            "the accounts of client certificates",
        ),
    ],
);

/// How long sessions last.
pub(super) static SESSION: Shape = Shape::closed(
    "session",
    "how long sessions last",
    &[
        Key::optional("ttl", DURATION, "how long a token is good for").unsaid("8h"),
        Key::optional("max", DURATION, "how long a session lasts at most").unsaid("24h"),
    ],
);

/// A client certificate that stands for an account.
pub(super) static CERTIFICATE: Shape = Shape::closed(
    "certificate",
    "a client certificate that stands for an account, by `subject` or by `san`",
    &[
        Key::optional("subject", Kind::Text, "its subject, like `CN=alice,O=Acme`"),
        Key::optional(
            "san",
            Kind::Text,
            "a URI, an e-mail address or a DNS name in it",
        ),
        Key::required("account", Kind::Text, "the account"),
    ],
);

/// Bounds of sources.
pub(super) static SOURCES: Shape = Shape::closed(
    "sources",
    "bounds of sources",
    &[
        Key::optional(
            "postgres_connections",
            Kind::Whole { min: 1, max: 1_000 },
            "connections to one database",
        )
        .unsaid("8"),
        Key::optional(
            "connect_timeout",
            DURATION,
            "how long a database may take to answer",
        )
        .unsaid("5s"),
        Key::optional(
            "statement_timeout",
            DURATION,
            "how long a database may work on one statement",
        )
        .unsaid("5m"),
        Key::optional(
            "read_timeout",
            DURATION,
            "how long an object store may be silent",
        )
        .unsaid("30s"),
        Key::optional("footers", SIZE, "Parquet footers that are kept").unsaid("64MiB"),
        Key::optional(
            "listing_age",
            DURATION,
            "how old a listing of an object store may be",
        )
        .unsaid("0s"),
    ],
);

/// A look-up table.
pub(super) static LOOKUP: Shape = Shape::closed(
    "lookup",
    "a table that row rules alone may ask",
    &[
        Key::optional("table", Kind::Text, "its name at the source").unsaid("its name here"),
        Key::optional("refresh", DURATION, "the age at which it is read again")
            .unsaid("5m for a database; files when they change"),
    ],
)
.and(&scrim_policy::SOURCE);

/// What queries may use.
pub(super) static LIMITS: Shape = Shape::closed(
    "limits",
    "what queries may use",
    &[
        Key::optional(
            "memory",
            SIZE,
            "what all running queries may hold together, 16MiB at least",
        )
        .unsaid("2GiB"),
        Key::optional("rows", COUNT, "rows of one result").unsaid("10000000"),
        Key::optional("bytes", SIZE, "bytes of one result").unsaid("4GiB"),
        Key::optional("time", DURATION, "the longest query, up to a day").unsaid("5m"),
        Key::optional(
            "concurrent_per_principal",
            COUNT,
            "queries of one principal at once",
        )
        .unsaid("8"),
        Key::optional(
            "streams_per_principal",
            COUNT,
            "results that one principal has open, read or not",
        )
        .unsaid("64"),
        Key::optional("sessions_per_principal", COUNT, "sessions of one principal").unsaid("256"),
        Key::optional(
            "idle_reader",
            DURATION,
            "how long a reader may leave a result alone",
        )
        .unsaid("5m"),
    ],
);
