//! A Postgres server and an S3 server that hold TPC-H's rows, for `benches/flight` to read from and
//! to compare with.
//!
//! It tells on its first line where they are, and then answers commands, one a line, with JSON:
//! `copy TABLE` reads a table as binary COPY and decodes it in a plain loop; `get KEY BYTES` fetches
//! that much of an object, and `counts` tells what the S3 server has sent.
#![expect(clippy::print_stdout, reason = "answers on its standard output")]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::RecordBatch;
use bytes::{Buf, BytesMut};
use futures::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::{GetOptions, GetRange, ObjectStore};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use scrim_testkit::postgres::{Database, Postgres};
use scrim_testkit::s3::{ACCESS_KEY, S3Server, SECRET_KEY};
use serde_json::{Value, json};
use tokio_postgres::types::Type;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BUCKET: &str = "tpch";

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).ok_or("usage: sources ROWS")?;
    let rows = PathBuf::from(rows).canonicalize()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let server = Postgres::start();
    let database = server.database();
    fill(&database, &rows)?;
    let objects = tempfile::tempdir()?;
    std::os::unix::fs::symlink(&rows, objects.path().join(BUCKET))?;
    let s3 = S3Server::start(objects.path())?;
    say(&json!({
        "postgres": {"host": "127.0.0.1", "port": server.port(), "database": database.name()},
        "s3": {
            "endpoint": s3.endpoint(), "bucket": BUCKET,
            "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY,
        },
    }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["copy", table] => runtime.block_on(copy(&database, table))?,
            ["get", key, bytes] => runtime.block_on(get(&s3, key, bytes.parse()?))?,
            ["counts"] => json!({
                "bytes": s3.traffic().bytes(), "requests": s3.traffic().seen().len(),
            }),
            _ => json!({"error": "no such command"}),
        };
        say(&answer)?;
    }
    Ok(())
}

fn say(answer: &Value) -> Result<()> {
    println!("{answer}");
    Ok(std::io::stdout().flush()?)
}

/// The tables, their keys, and roles under row-level security that says what the contracts say.
fn fill(database: &Database, rows: &Path) -> Result<()> {
    for table in ["orders", "lineitem"] {
        let file = File::open(rows.join(table).with_extension("parquet"))?;
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        let batches: Vec<RecordBatch> = batches.collect::<std::result::Result<_, _>>()?;
        database.load(table, &batches);
    }
    database.execute(
        "ALTER TABLE orders ADD PRIMARY KEY (o_orderkey);
         ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber);
         CREATE ROLE scrim LOGIN BYPASSRLS PASSWORD 'scrim';
         CREATE ROLE \"full\" LOGIN PASSWORD 'full';
         CREATE ROLE tenth LOGIN PASSWORD 'tenth';
         CREATE ROLE point LOGIN PASSWORD 'point';
         GRANT SELECT ON orders, lineitem TO scrim, \"full\", tenth, point;
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
         ALTER TABLE lineitem ENABLE ROW LEVEL SECURITY;
         CREATE POLICY whole ON lineitem FOR SELECT TO \"full\" USING (true);
         CREATE POLICY tenth ON lineitem FOR SELECT TO tenth USING (l_quantity <= 5);
         CREATE POLICY point ON orders FOR SELECT TO point USING (o_orderdate >= DATE '1993-01-01');",
    );
    database.execute("VACUUM (ANALYZE)");
    Ok(())
}

/// Reads a table as binary COPY and looks at every value.
async fn copy(database: &Database, table: &str) -> Result<Value> {
    let client = database.client().await;
    let columns = client.prepare(&format!("SELECT * FROM {table}")).await?;
    let types: Vec<_> = columns
        .columns()
        .iter()
        .map(|c| c.type_().clone())
        .collect();
    let start = Instant::now();
    let sql = format!("COPY (SELECT * FROM {table}) TO STDOUT (FORMAT binary)");
    let stream = client.copy_out(sql.as_str()).await?;
    let mut stream = std::pin::pin!(stream);
    let mut pending = BytesMut::new();
    let (mut rows, mut sum, mut header) = (0_u64, 0_i64, true);
    while let Some(chunk) = stream.next().await {
        pending.extend_from_slice(&chunk?);
        if header {
            // Signature, flags, and the length of an extension that nobody uses.
            pending.advance(19);
            header = false;
        }
        while let Some(seen) = tuple(&mut pending, &types) {
            rows += 1;
            sum = sum.wrapping_add(seen);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"rows": rows, "seconds": seconds, "sum": sum}))
}

/// Decodes one row, if it is there as a whole; what stands for its values is added up.
fn tuple(pending: &mut BytesMut, types: &[Type]) -> Option<i64> {
    let mut row: &[u8] = pending;
    if row.try_get_i16().ok()? < 0 {
        return None;
    }
    let mut sum = 0_i64;
    for data_type in types {
        let Ok(length) = usize::try_from(row.try_get_i32().ok()?) else {
            continue;
        };
        let (mut value, rest) = row.split_at_checked(length)?;
        row = rest;
        let seen = match *data_type {
            Type::INT8 => value.try_get_i64().ok()?,
            Type::INT4 | Type::DATE => value.try_get_i32().ok()?.into(),
            Type::NUMERIC => numeric(value)?,
            _ => i64::try_from(std::str::from_utf8(value).ok()?.len()).ok()?,
        };
        sum = sum.wrapping_add(seen);
    }
    let used = pending.len() - row.len();
    pending.advance(used);
    Some(sum)
}

/// The digits of a number, four at a time.
fn numeric(mut value: &[u8]) -> Option<i64> {
    let digits = value.try_get_i16().ok()?;
    let (_weight, _sign) = (value.try_get_i16().ok()?, value.try_get_u16().ok()?);
    let _scale = value.try_get_i16().ok()?;
    let mut whole = 0_i64;
    for _ in 0..digits {
        whole = whole * 10_000 + i64::from(value.try_get_i16().ok()?);
    }
    Some(whole)
}

async fn get(server: &S3Server, key: &str, bytes: u64) -> Result<Value> {
    let store = AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(BUCKET)
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .build()?;
    let options = GetOptions {
        range: Some(GetRange::Bounded(0..bytes)),
        ..GetOptions::default()
    };
    let start = Instant::now();
    let mut body = store.get_opts(&key.into(), options).await?.into_stream();
    let mut read = 0;
    while let Some(chunk) = body.next().await {
        read += chunk?.len();
    }
    Ok(json!({"seconds": start.elapsed().as_secs_f64(), "bytes": read}))
}
