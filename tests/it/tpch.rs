//! All 22 queries of TPC-H, as the analyst over Flight SQL, against the same queries in plain
//! DataFusion over tables that are filtered and masked by hand.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use scrim_identity::{KeyFile, hash_password, write_new_key_file};
use scrim_model::{Clock, Secret};
use scrim_testkit::tpch;

use crate::cli::scrim;
use crate::client::Client;
use crate::kit::{Hosted, Scratch, TestClock, copy};

const SCALE: f64 = 0.01;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tpch")
}

/// `examples/tpch` in a folder of its own, with rows, keys and passwords.
fn world() -> Scratch {
    let world = Scratch::empty();
    copy(
        &example(),
        world.root(),
        &["data", "queries", "ledger", "keys.json"],
    );
    let hash = hash_password(&Secret::new("tpch".to_owned())).unwrap();
    world.edit("accounts.yaml", "HASH", &hash);
    world.edit("scrim.yaml", "127.0.0.1:50061", "127.0.0.1:0");
    world.edit(
        "scrim.yaml",
        "environment: sf1 ",
        &format!("environment: {} ", tpch::environment(SCALE)),
    );
    tpch::write(&world.path("data").join(tpch::environment(SCALE)), SCALE).unwrap();
    let keys = KeyFile::generate(TestClock::noon().now()).unwrap();
    write_new_key_file(&world.path("keys.json"), &keys).unwrap();
    world
}

/// What the contracts say about the analyst, written down by hand. No query uses `o_clerk`.
const AUTHORISED: &[(&str, &str)] = &[
    ("region", "SELECT * FROM raw_region"),
    ("nation", "SELECT * FROM raw_nation"),
    ("part", "SELECT * FROM raw_part"),
    ("partsupp", "SELECT * FROM raw_partsupp"),
    ("lineitem", "SELECT * FROM raw_lineitem"),
    ("orders", "SELECT * EXCEPT (o_clerk) FROM raw_orders"),
    (
        "supplier",
        "SELECT s_suppkey, s_name, MASKED(s_address) AS s_address, s_nationkey, left(s_phone, 2) AS s_phone,
           s_acctbal, s_comment
         FROM raw_supplier WHERE s_nationkey IN (2, 3, 6, 7, 8, 9, 12, 18, 20, 21, 23, 24)",
    ),
    (
        "customer",
        "SELECT c_custkey, c_name, MASKED(c_address) AS c_address, c_nationkey, left(c_phone, 2) AS c_phone,
           CAST(10 * CASE WHEN rest > 500 OR (rest = 500 AND tens % 2 <> 0) THEN tens + 1 ELSE tens END
             AS DECIMAL(15, 2)) AS c_acctbal,
           c_mktsegment, c_comment
         FROM (SELECT *, cents - tens * 1000 AS rest
           FROM (SELECT *, CAST(floor(cents / 1000.0) AS BIGINT) AS tens
             FROM (SELECT *, CAST(c_acctbal * 100 AS BIGINT) AS cents FROM raw_customer)))
         WHERE c_nationkey IN (2, 3, 6, 7, 8, 9, 12, 18, 20, 21, 23, 24)",
    ),
];

#[expect(
    clippy::disallowed_methods,
    reason = "the engine is compared with a plain one"
)]
async fn plain(world: &Scratch) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    let plain = SessionContext::new_with_config(config);
    for table in tpch::TABLES {
        let file = world
            .path("data")
            .join(tpch::environment(SCALE))
            .join(format!("{table}.parquet"));
        let path = file.to_str().unwrap();
        plain
            .register_parquet(format!("raw_{table}"), path, ParquetReadOptions::default())
            .await
            .unwrap();
    }
    for (name, sql) in AUTHORISED {
        // two characters and four stars; four stars alone when shorter than both together
        let mut sql = (*sql).to_owned();
        for column in ["s_address", "c_address"] {
            let masked = format!(
                "CASE WHEN char_length({column}) < 6 THEN '****' ELSE left({column}, 2) || '****' END"
            );
            sql = sql.replace(&format!("MASKED({column})"), &masked);
        }
        let frame = plain
            .sql(&sql)
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let table = frame.cache().await.unwrap();
        plain.register_table(*name, table.into_view()).unwrap();
    }
    plain
}

/// A value, for comparing: numbers that come from sums differ in their last digits.
#[derive(Debug, Clone)]
enum Value {
    Number(f64),
    Text(String),
}

fn rows(batches: &[RecordBatch]) -> Vec<Vec<Value>> {
    let options = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| {
                if *column.data_type() == DataType::Float64 && column.is_valid(row) {
                    return Value::Number(column.as_primitive::<Float64Type>().value(row));
                }
                let format = ArrayFormatter::try_new(column, &options).unwrap();
                Value::Text(format.value(row).to_string())
            });
            rows.push(values.collect());
        }
    }
    rows
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        (Value::Text(a), Value::Text(b)) => a == b,
        _ => false,
    }
}

fn equal(a: &[Vec<Value>], b: &[Vec<Value>]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)))
}

/// Rows that the order of the query leaves equal come in any order.
fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    rows.sort_by_cached_key(|row| {
        let texts = row.iter().map(|value| match value {
            Value::Number(number) => format!("{number:.6e}"),
            Value::Text(text) => text.clone(),
        });
        texts.collect::<Vec<_>>()
    });
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_queries_agree_with_hand_filtered_and_hand_masked_tables() {
    let host = Hosted::start(world()).await;
    let plain = plain(&host.world).await;
    let mut client = Client::connect(host.address()).await;
    client.sign_in("analyst", "tpch").await.unwrap();
    client
        .headers
        .push(("x-scrim-purpose", "market-analysis".to_owned()));
    let mut filled = 0;
    for number in 1..=22 {
        let sql = fs::read_to_string(example().join(format!("queries/q{number:02}.sql"))).unwrap();
        let expected = plain.sql(&sql).await.unwrap().collect().await.unwrap();
        let fetched = client
            .query(&sql)
            .await
            .unwrap_or_else(|status| panic!("q{number}: {status:?}"));
        let names = |schema: &arrow::datatypes::Schema| -> Vec<String> {
            schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect()
        };
        if let Some(first) = expected.first() {
            assert_eq!(
                names(&fetched.schema()),
                names(&first.schema()),
                "q{number}"
            );
        }
        let (found, expected) = (rows(&fetched.batches()), rows(&expected));
        filled += usize::from(!expected.is_empty());
        let agree =
            equal(&found, &expected) || equal(&sorted(found.clone()), &sorted(expected.clone()));
        assert!(
            agree,
            "q{number}: {} rows {found:?}\nexpected {} rows {expected:?}",
            found.len(),
            expected.len()
        );
    }
    assert!(filled > 15, "{filled} queries had rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partner_sees_a_tenth_of_the_lines_with_three_masks() {
    let host = Hosted::start(world()).await;
    let plain = plain(&host.world).await;
    let mut client = Client::connect(host.address()).await;
    client.sign_in("partner", "tpch").await.unwrap();
    client
        .headers
        .push(("x-scrim-purpose", "supply".to_owned()));
    let sql = "SELECT l_orderkey, l_linenumber, l_suppkey, l_extendedprice, l_shipdate, l_comment
               FROM lineitem ORDER BY l_orderkey, l_linenumber";
    let by_hand = "SELECT l_orderkey, l_linenumber, l_suppkey,
            CAST(100 * CASE WHEN rest > 5000 OR (rest = 5000 AND hundreds % 2 = 1) THEN hundreds + 1 ELSE hundreds END
              AS DECIMAL(15, 2)) AS l_extendedprice,
            CAST(date_trunc('month', l_shipdate) AS DATE) AS l_shipdate,
            CASE WHEN char_length(l_comment) < 8 THEN '****' ELSE left(l_comment, 4) || '****' END AS l_comment
        FROM (SELECT *, cents / 10000 AS hundreds, cents % 10000 AS rest
          FROM (SELECT *, CAST(l_extendedprice * 100 AS BIGINT) AS cents FROM raw_lineitem))
        WHERE l_suppkey % 10 = 0
        ORDER BY l_orderkey, l_linenumber";
    let expected = rows(&plain.sql(by_hand).await.unwrap().collect().await.unwrap());
    let found = rows(&client.query(sql).await.unwrap().batches());
    assert!(
        found.len() > 4_000 && found.len() < 8_000,
        "{}",
        found.len()
    );
    assert!(equal(&found, &expected));
}

#[test]
fn the_policies_have_no_lints() {
    let said = scrim(world().root(), ["policy", "lint", "--deny", "note"]).good();
    assert!(said.contains("nothing found"), "{said}");
}
