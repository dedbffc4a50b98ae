//! What happens when the ledger, a source, a limit or the engine itself gives way: no data without
//! a record, a clear code, one end for each record, and the next query works.

mod database;
mod engine;
mod ledger;
mod left_out;
mod limits;
mod served;
mod several;
mod sources;
mod start;
mod store;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use scrim_ledger::Record;
use scrim_model::Refusal;

use crate::kit::{Local, Scratch, read_ledger};

const COUNT: &str = "SELECT count(*) FROM care.patients";

async fn record(local: &Local, world: &Scratch, sql: &str) -> Record {
    local.ledger.shutdown().await.unwrap();
    let records = read_ledger(&world.path("ledger/ledger.jsonl"));
    let mut of: Vec<_> = records
        .into_iter()
        .filter(|record| record.sql == sql)
        .collect();
    assert_eq!(of.len(), 1, "{of:?}");
    of.remove(0)
}

async fn refused(local: &Local, id: &str, sql: &str) -> Refusal {
    match local.rows(&local.usual(id), sql, None).await {
        Ok((_, batches)) => panic!("{sql}: {batches:?}"),
        Err(refusal) => refusal,
    }
}

/// A table that is read in many steps.
pub(crate) fn with_long_table() -> Scratch {
    let world = Scratch::demo();
    let batches: Vec<RecordBatch> = (0..60)
        .map(|group| {
            let ids = (0..8_192_i64).map(|row| group * 8_192 + row);
            // different for each row, so that the file is large
            let text = ids.clone().map(|id| {
                format!(
                    "{:064x}",
                    (id as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                )
            });
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
                ("text", Arc::new(StringArray::from_iter_values(text))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        })
        .collect();
    world.add_table("long", &batches);
    world
}
