//! Files in an S3 server that checks signatures, and on a web server.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::prelude::{col, lit};
use scrim_engine::FaultKind;
use scrim_model::Secret;
use scrim_policy::Addressing;
use scrim_testkit::http::{self, FileServer as WebServer};
use scrim_testkit::s3::{
    ACCESS_KEY, PUBLIC_BUCKET, S3Server, SECRET_KEY, SESSION_ACCESS_KEY, SESSION_SECRET_KEY,
    SESSION_TOKEN,
};
use scrim_testkit::web::{Gate, Trouble};

use super::*;
use crate::Credential;

/// A store with a folder behind it, and what opens its files.
struct Lake {
    folder: TempDir,
    server: S3Server,
    files: Files,
}

const KEYS: [(&str, &str); 2] = [
    ("access_key_id", ACCESS_KEY),
    ("secret_access_key", SECRET_KEY),
];

fn credential(fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter();
    Credential::new(fields.map(|(k, v)| ((*k).to_owned(), Secret::new((*v).to_owned()))))
}

impl Lake {
    fn new() -> Self {
        Self::with(SourceSettings {
            read_timeout: Duration::from_secs(5),
            ..SourceSettings::default()
        })
    }

    fn with(settings: SourceSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            server: S3Server::start(folder.path()).unwrap(),
            folder,
            files: Files::new(settings, Environment::default()),
        }
    }

    fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.server.put("lake", key, bytes.as_ref());
    }

    fn place(&self, location: &str) -> FilePlace {
        FilePlace::S3 {
            location: location.to_owned(),
            endpoint_url: Some(self.server.endpoint()),
            region: Some("eu-central-1".to_owned()),
            addressing: Addressing::Path,
        }
    }

    async fn open_with(
        &self,
        files: &Files,
        location: &str,
        fields: Option<&[(&str, &str)]>,
    ) -> Result<OpenedFiles, SourceError> {
        let credential = fields.map(credential);
        let fields = Fields::new(credential.as_ref().map(|c| ("lake", c)));
        let server = FileServer {
            place: self.place(location),
            format: PARQUET,
        };
        let base = self.folder.path();
        files.open(&server, base, fields, &Wanted::all("t")).await
    }

    async fn open(&self, path: &str, format: FileFormat) -> Result<OpenedFiles, SourceError> {
        let keys = credential(&KEYS);
        let server = FileServer {
            place: self.place(&format!("s3://lake/{path}")),
            format,
        };
        let fields = Fields::new(Some(("lake", &keys)));
        let base = self.folder.path();
        let wanted = Wanted::all("t");
        self.files.open(&server, base, fields, &wanted).await
    }

    async fn table(&self, path: &str) -> Arc<FilesTable> {
        self.open(path, PARQUET).await.unwrap().table
    }

    /// The requests since the last time, as method, range and status.
    fn requests(&self) -> Vec<String> {
        let seen = self.server.traffic().seen();
        self.server.traffic().forget();
        let line = |seen: &scrim_testkit::web::Seen| {
            let what = match (seen.method.as_str(), seen.query.contains("list-type")) {
                ("GET", true) => "LIST",
                (method, _) => method,
            };
            match seen.range {
                Some((first, last)) => format!("{what} {}", last - first + 1),
                None => what.to_owned(),
            }
        };
        seen.iter().map(line).collect()
    }
}

/// Rows in which every value is as wide as the next, so that sizes tell what was read.
fn wide(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let text = |column: i64| -> ArrayRef {
        let values = (0..rows).map(|row| format!("{:0100}", row * 31 + column));
        Arc::new(StringArray::from_iter_values(values))
    };
    let columns = ["a", "b", "c", "d"].iter().zip(0..);
    let columns = columns.map(|(name, number)| (*name, text(number)));
    RecordBatch::try_from_iter([("id", ids)].into_iter().chain(columns)).unwrap()
}

fn bytes(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// Ten row groups of a thousand rows; a column of a group has about 100 kB.
fn grouped() -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1_000))
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build();
    bytes(&wide(10_000), properties)
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Opens a table with an environment and a credential's fields.
async fn opened_with(
    lake: &Lake,
    environment: Pairs<'_>,
    fields: Option<Pairs<'_>>,
) -> Result<OpenedFiles, SourceError> {
    let environment = environment.iter();
    let environment = environment.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let files = Files::new(SourceSettings::default(), Environment::new(environment));
    let opened = lake.open_with(&files, "s3://lake/t", fields).await;
    assert!(!format!("{files:?}").contains("CANARY"));
    opened
}

#[tokio::test]
async fn keys_tokens_profiles_and_the_environment_open_a_store() {
    let lake = Lake::new();
    lake.put("t/a.parquet", grouped());
    lake.server.put(PUBLIC_BUCKET, "a.parquet", &grouped());
    let aws = lake.folder.path().join(".aws");
    fs::create_dir(&aws).unwrap();
    let profile =
        format!("[lake]\naws_access_key_id={ACCESS_KEY}\naws_secret_access_key={SECRET_KEY}\n");
    fs::write(aws.join("credentials"), profile).unwrap();
    let home = ("HOME", lake.folder.path().to_str().unwrap());
    let token = [
        ("access_key_id", SESSION_ACCESS_KEY),
        ("secret_access_key", SESSION_SECRET_KEY),
        ("session_token", SESSION_TOKEN),
    ];
    let of_environment = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let cases: [(Pairs<'_>, Option<Pairs<'_>>); 5] = [
        (&[], Some(&KEYS)),
        (&[], Some(&token)),
        (&[home], Some(&[("profile", "lake")])),
        (&[home, ("AWS_PROFILE", "lake")], None),
        (&of_environment, None),
    ];
    for (environment, fields) in cases {
        let opened = opened_with(&lake, environment, fields).await.unwrap();
        let rows = query(&opened.table, &["id"], None).await.unwrap();
        assert_eq!(rows.len(), 10_000, "{environment:?} {fields:?}");
    }
    let files = Files::new(SourceSettings::default(), Environment::default());
    let anonymous = [("anonymous", "true")];
    let location = format!("s3://{PUBLIC_BUCKET}/a.parquet");
    lake.open_with(&files, &location, Some(&anonymous))
        .await
        .unwrap();
}

#[tokio::test]
async fn inv_15_wrong_credentials_are_told_without_their_secrets() {
    let lake = Lake::new();
    lake.put("t/a.parquet", grouped());
    let no_token = [
        ("access_key_id", SESSION_ACCESS_KEY),
        ("secret_access_key", SESSION_SECRET_KEY),
    ];
    let cases: [(Pairs<'_>, &str); 7] = [
        (&[KEYS[0], ("secret_access_key", "CANARY")], "answered 403"),
        (&no_token, "the store answered 4"),
        (&[("profile", "lake")], "no profile `lake`"),
        (&KEYS[..1], "secret_access_key"),
        (&[("acces_key", "CANARY")], "`acces_key`"),
        (&[("anonymous", "true")], "answered 403"),
        (&[("anonymous", "yes")], "`anonymous`"),
    ];
    for (fields, expected) in cases {
        let error = opened_with(&lake, &[], Some(fields)).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains(expected), "{fields:?}: {error}");
        assert!(!error.contains("CANARY"), "{fields:?}: {error}");
    }
}

#[tokio::test]
async fn objects_are_found_as_files_are() {
    let lake = Lake::new();
    let number = |n: i64| {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![n]));
        bytes(
            &RecordBatch::try_from_iter([("n", column)]).unwrap(),
            WriterProperties::default(),
        )
    };
    for (key, n) in [
        ("t/k=a%20b/x.parquet", 1),
        ("t/k=c/y.parquet", 2),
        ("t/k=c/_SUCCESS", 3),
        ("tt/z.parquet", 4),
        ("t.parquet", 5),
    ] {
        lake.put(key, number(n));
    }
    for (path, expected) in [
        ("t", &["1|a b", "2|c"][..]),
        ("t/", &["1|a b", "2|c"]),
        ("t/*/y*.parquet", &["2|c"]),
        // What only some of the folders say is no column, unless it is wanted.
        ("**/*.parquet", &["1", "2", "4", "5"]),
        ("t.parquet", &["5"]),
    ] {
        let table = lake.table(path).await;
        assert_eq!(all(&table).await.unwrap(), expected, "{path}");
    }
    for path in ["no", "no/", "t/*.csv"] {
        let error = lake.open(path, PARQUET).await.unwrap_err();
        assert!(matches!(error, SourceError::Missing(_)), "{path}: {error}");
    }
    let table = lake.table("t").await;
    lake.put("t/k=d/z.parquet", number(6));
    assert_eq!(all(&table).await.unwrap(), ["1|a b", "2|c", "6|d"]);
    lake.requests();
    let rows = query(&table, &["n"], Some(col("k").eq(lit("c"))))
        .await
        .unwrap();
    assert_eq!(rows, ["2"]);
    assert_eq!(lake.requests().len(), 2, "a listing and a read");
}

#[tokio::test]
async fn only_the_needed_bytes_are_read() {
    let lake = Lake::new();
    let file = grouped();
    lake.put("t.parquet", &file);
    let table = lake.table("t.parquet").await;
    // Whether it is a file or a folder, which one it is, and its footer.
    assert_eq!(lake.requests(), ["HEAD", "HEAD", "GET 65536"]);
    let sizes = |requests: &[String]| -> Vec<u64> {
        let gets = requests.iter().filter_map(|line| line.strip_prefix("GET "));
        gets.map(|size| size.parse().unwrap()).collect()
    };
    let group = |column: &str, at: i64| {
        let low = col("id").gt_eq(lit(at * 1_000));
        (
            column.to_owned(),
            Some(low.and(col("id").lt(lit((at + 1) * 1_000)))),
        )
    };
    // One column of one group of ten; then two that lie apart; then two that lie together.
    for (columns, count, least, most) in [
        (&["a"][..], 2, 100_000, 120_000),
        (&["a", "c"], 3, 200_000, 240_000),
        (&["a", "b"], 2, 200_000, 240_000),
        (&["id"], 1, 8_000, 10_000),
    ] {
        let (_, filter) = group("a", 4);
        let rows = query(&table, columns, filter).await.unwrap();
        assert_eq!(rows.len(), 1_000);
        let requests = lake.requests();
        let sizes = sizes(&requests);
        let sum: u64 = sizes.iter().sum();
        // The first column is next to the key, which the filter asks for.
        let expected = if columns[0] == "a" { count - 1 } else { count };
        assert_eq!(sizes.len(), expected, "{columns:?} {requests:?}");
        assert!(
            (least..most + 10_000).contains(&sum),
            "{columns:?} {requests:?}"
        );
        assert_eq!(requests.len(), sizes.len() + 1, "{requests:?}");
    }
    // All of it: everything but the footer, once.
    assert_eq!(all(&table).await.unwrap().len(), 10_000);
    let sum: u64 = sizes(&lake.requests()).iter().sum();
    let data = file.len() as u64;
    assert!(sum < data && sum > data - 20_000, "{sum} of {data}");
    // What no row group can hold is not read at all.
    let none = query(&table, &["a"], Some(col("id").gt(lit(1_000_000_i64)))).await;
    assert!(none.unwrap().is_empty());
    assert_eq!(lake.requests(), ["HEAD"]);
}

#[tokio::test]
async fn page_indexes_and_bloom_filters_spare_reads() {
    let lake = Lake::new();
    let sorted = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .build();
    lake.put("paged.parquet", bytes(&wide(10_000), sorted));
    let table = lake.table("paged.parquet").await;
    lake.requests();
    let rows = query(&table, &["id", "a"], Some(col("id").eq(lit(5_050_i64))))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    let read = lake.server.traffic().bytes();
    assert!(read < 150_000, "{read}");

    // Bounds say nothing of a key in between; the filter does.
    let bloom = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(1_000))
        .set_column_bloom_filter_enabled("a".into(), true)
        .set_column_bloom_filter_max_ndv("a".into(), 1_000)
        .set_column_bloom_filter_fpp("a".into(), 0.001)
        .build();
    lake.put("bloom.parquet", bytes(&wide(10_000), bloom));
    let table = lake.table("bloom.parquet").await;
    lake.requests();
    let missing = col("a").eq(lit(format!("{:0100}x", 5)));
    assert!(
        query(&table, &["b"], Some(missing))
            .await
            .unwrap()
            .is_empty()
    );
    let read = lake.server.traffic().bytes();
    assert!(read < 50_000, "{read}");
}

#[tokio::test]
async fn footers_and_listings_are_kept_as_long_as_they_may_be() {
    for (age, listings) in [(Duration::ZERO, 3), (Duration::from_hours(1), 1)] {
        let lake = Lake::with(SourceSettings {
            listing_age: age,
            ..SourceSettings::default()
        });
        lake.put("t/a.parquet", grouped());
        let table = lake.table("t").await;
        lake.requests();
        for _ in 0..3 {
            query(&table, &["id"], None).await.unwrap();
        }
        let requests = lake.requests();
        let lists = requests.iter().filter(|line| *line == "LIST").count();
        assert_eq!(lists, listings, "{requests:?}");
        assert!(!requests.contains(&"GET 65536".to_owned()), "{requests:?}");
        // A listing that turned out to be old is not used again.
        lake.put("t/a.parquet", bytes(&wide(5), WriterProperties::default()));
        if !age.is_zero() {
            assert_eq!(
                fault(query(&table, &["id"], None).await).0,
                FaultKind::Changed
            );
        }
        assert_eq!(query(&table, &["id"], None).await.unwrap().len(), 5);
    }
    // Footers are dropped when there is no room for them, and read again.
    let lake = Lake::with(SourceSettings {
        footers_bytes: 1,
        ..SourceSettings::default()
    });
    lake.put("t.parquet", grouped());
    let table = lake.table("t.parquet").await;
    lake.requests();
    query(&table, &["id"], None).await.unwrap();
    assert!(lake.requests().contains(&"GET 65536".to_owned()));
}

#[tokio::test]
async fn what_fails_for_a_moment_is_asked_again_and_no_row_comes_twice() {
    let lake = Lake::new();
    lake.put("t.parquet", grouped());
    lake.put("t.csv", format!("id\n{}", "1\n".repeat(1_000_000)));
    let table = lake.table("t.parquet").await;
    let text = lake.open("t.csv", csv(BadRows::Fail)).await.unwrap().table;
    let expected = all(&table).await.unwrap();
    for trouble in [
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::HangUp,
        Trouble::Cut(1_000),
        Trouble::Cut(0),
    ] {
        let traffic = lake.server.traffic();
        traffic.trouble("GET /lake/t", 1, 2, trouble.clone());
        assert_eq!(all(&table).await.unwrap(), expected, "{trouble:?}");
        traffic.trouble("GET /lake/t", 0, 2, trouble.clone());
        let rows = query(&text, &["id"], None).await.unwrap();
        assert_eq!(rows.len(), 1_000_000, "{trouble:?}");
    }
}

#[tokio::test]
async fn what_keeps_failing_has_its_kind_and_the_next_query_works() {
    let lake = Lake::with(SourceSettings {
        read_timeout: Duration::from_millis(300),
        ..SourceSettings::default()
    });
    lake.put("t.parquet", grouped());
    let table = lake.table("t.parquet").await;
    for (trouble, kind, text) in [
        (Trouble::Status(500), FaultKind::Unavailable, "500"),
        (Trouble::Status(403), FaultKind::Unavailable, "403"),
        (Trouble::Status(404), FaultKind::Changed, "not there"),
        (Trouble::Status(412), FaultKind::Changed, "replaced"),
        (Trouble::Status(503), FaultKind::Busy, "503"),
        (Trouble::HangUp, FaultKind::Unavailable, "t.parquet"),
        (Trouble::Stall(5_000), FaultKind::Unavailable, "t.parquet"),
    ] {
        let traffic = lake.server.traffic();
        traffic.trouble("GET /lake/t.parquet", 2, 1_000, trouble.clone());
        let (found, told) = fault(query(&table, &["id", "d"], None).await);
        assert_eq!(found, kind, "{trouble:?}: {told}");
        assert!(told.contains(text), "{trouble:?}: {told}");
        traffic.heal();
        assert_eq!(query(&table, &["id"], None).await.unwrap().len(), 10_000);
    }
    let address = lake.server.address();
    drop(lake.server);
    let (kind, told) = fault(query(&table, &["id"], None).await);
    assert_eq!(kind, FaultKind::Unavailable, "{address}: {told}");
}

#[tokio::test]
async fn an_object_that_is_replaced_under_way_is_an_error() {
    for (format, key, old, new) in [
        (
            PARQUET,
            "t.parquet",
            grouped(),
            bytes(&wide(9_999), WriterProperties::default()),
        ),
        (
            csv(BadRows::Fail),
            "t.csv",
            format!("id\n{}", "1\n".repeat(9_000_000)).into_bytes(),
            b"id\n2\n".to_vec(),
        ),
    ] {
        let lake = Lake::new();
        lake.put(key, &old);
        let table = lake.open(key, format).await.unwrap().table;
        let planned = plan(&table, &["id"], None).await.unwrap();
        let gate = Gate::closed();
        // The second read waits until there is another object.
        let hold = Trouble::Hold(gate.clone());
        lake.server
            .traffic()
            .trouble(&format!("GET /lake/{key}"), 1, 1, hold);
        let (result, ()) = tokio::join!(run(planned), async {
            gate.reached().await;
            lake.put(key, &new);
            gate.open();
        });
        let (kind, told) = fault(result);
        assert_eq!(kind, FaultKind::Changed, "{told}");
        assert!(told.contains(&format!("s3://lake/{key}")), "{told}");
        let rows = query(&table, &["id"], None).await.unwrap().len();
        assert!(rows < 10_000, "{rows}");
    }
}

#[tokio::test]
async fn a_web_server_serves_single_files() {
    let scratch = Scratch::new();
    scratch.write("private/t.csv", "id,t\n1,x\n");
    let server = WebServer::start(scratch.folder.path()).unwrap();
    let open = async |path: &str, format: FileFormat, fields: &[(&str, &str)]| {
        let credential = credential(fields);
        let fields = (!fields.is_empty()).then_some(("web", &credential));
        let location = server.url(path);
        let server = FileServer {
            place: FilePlace::Http { location },
            format,
        };
        let files = Files::new(SourceSettings::default(), Environment::default());
        let base = scratch.folder.path();
        let wanted = Wanted::all("t");
        files
            .open(&server, base, Fields::new(fields), &wanted)
            .await
    };
    scratch.write("t.parquet", grouped());
    let table = open("t.parquet", PARQUET, &[]).await.unwrap().table;
    let filter = col("id").lt(lit(10_i64));
    assert_eq!(
        query(&table, &["id"], Some(filter)).await.unwrap().len(),
        10
    );
    scratch.write("t.parquet", bytes(&wide(3), WriterProperties::default()));
    assert_eq!(query(&table, &["id"], None).await.unwrap().len(), 3);
    let both = [("user", http::USER), ("password", http::PASSWORD)];
    for (fields, is_let_in) in [
        (&both[..], true),
        (&[("token", http::TOKEN)], true),
        (&[("token", "CANARY")], false),
        (&[], false),
    ] {
        match open("private/t.csv", csv(BadRows::Fail), fields).await {
            Ok(opened) => {
                assert!(is_let_in, "{fields:?}");
                assert_eq!(all(&opened.table).await.unwrap(), ["1|x"]);
            }
            Err(error) => {
                assert!(
                    !is_let_in && !error.to_string().contains("CANARY"),
                    "{error}"
                );
            }
        }
    }
    for path in ["no.parquet", "", "private/", "*.parquet"] {
        open(path, PARQUET, &[]).await.unwrap_err();
    }
}

#[test]
fn inv_15_no_store_prints_its_credentials() {
    let lake = Lake::new();
    let stores = super::super::store::Stores::default();
    let place = super::super::place::Place::new(&lake.place("s3://lake/t"), lake.folder.path());
    let keys = credential(&[("access_key_id", "CANARY"), ("secret_access_key", "CANARY")]);
    let fields = Fields::new(Some(("lake", &keys)));
    let environment = Environment::new([("AWS_SESSION_TOKEN".to_owned(), "CANARY".to_owned())]);
    let settings = SourceSettings::default();
    let store = stores
        .open(&place.unwrap(), &fields, &environment, &settings)
        .unwrap();
    let all = format!("{store:?} {stores:?} {fields:?} {environment:?}");
    assert!(!all.contains("CANARY"), "{all}");
}
