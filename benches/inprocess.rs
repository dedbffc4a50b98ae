//! Plain DataFusion over the TPC-H files, for `benches/flight` to compare with.
//!
//! It runs the statements that it reads on its standard input, one a line, and answers each with
//! its number of rows: no server, no policy, the engine's own defaults.
#![expect(clippy::print_stdout, reason = "answers on its standard output")]

use std::io::{BufRead, Write};
use std::path::Path;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions};
use futures::StreamExt;

const TABLES: [&str; 8] = [
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(rows), Some(lookups)) = (arguments.next(), arguments.next()) else {
        return Err(DataFusionError::Configuration(
            "usage: inprocess ROWS LOOKUPS".to_owned(),
        ));
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let session = runtime.block_on(open(Path::new(&rows), Path::new(&lookups)))?;
    say("ready")?;
    for sql in std::io::stdin().lock().lines() {
        match runtime.block_on(count(&session, &sql?)) {
            Ok(rows) => say(&rows.to_string())?,
            Err(problem) => say(&problem.to_string().replace('\n', " "))?,
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the plain engine is what we compare with"
)]
async fn open(rows: &Path, lookups: &Path) -> Result<SessionContext> {
    let session = SessionContext::new();
    for table in TABLES {
        let file = rows.join(table).with_extension("parquet");
        session
            .register_parquet(table, file.to_string_lossy(), ParquetReadOptions::default())
            .await?;
    }
    let file = lookups.join("entitlements.csv");
    session
        .register_csv(
            "entitlements",
            file.to_string_lossy(),
            CsvReadOptions::new(),
        )
        .await?;
    Ok(session)
}

async fn count(session: &SessionContext, sql: &str) -> Result<usize> {
    let mut batches = session.sql(sql).await?.execute_stream().await?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

fn say(line: &str) -> Result<()> {
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}
