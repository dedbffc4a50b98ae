//! A copy that runs, and the batches that its rows become.

use std::pin::{Pin, pin};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;
use scrim_engine::FaultKind;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::CopyOutStream;

use super::binary::{Broken, Decoder};
use super::connect::Lease;
use super::failure::Failure;
use super::scan::Scan;

/// Bytes after which a batch has enough of large rows.
const BATCH_BYTES: usize = 8 << 20;

/// How long the first rows of a batch wait for others.
const FLUSH_AFTER: Duration = Duration::from_millis(50);

/// A copy on a connection of its own. When it is dropped before its end, it is cancelled.
pub(super) struct Copy {
    rows: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
    lease: Lease,
}

impl Copy {
    /// The copy whose rows these are.
    pub(super) fn new(rows: CopyOutStream, decoder: Decoder, lease: Lease) -> Self {
        Self {
            rows: Box::pin(rows),
            decoder,
            lease,
        }
    }

    /// Whether the last row was read.
    pub(super) fn is_complete(&self) -> bool {
        self.decoder.is_complete()
    }

    /// The connection, for what comes next.
    pub(super) fn into_lease(self) -> Lease {
        self.lease
    }

    /// The next batch; none after the last row.
    ///
    /// Rows that are there are handed on soon, since a scan whose conditions let few rows pass could
    /// otherwise hold back the first of them for minutes.
    pub(super) async fn fill(&mut self, scan: &Scan) -> Result<Option<RecordBatch>, Failure> {
        let mut quiet = pin!(sleep_until(Instant::now() + scan.patience()));
        while self.decoder.rows() < scan.batch_rows && self.decoder.bytes() < BATCH_BYTES {
            let message = tokio::select! {
                biased;
                message = self.rows.next() => message,
                () = &mut quiet => {
                    if self.decoder.rows() == 0 {
                        return Err(scan.silent());
                    }
                    break;
                }
            };
            let Some(message) = message else {
                if self.decoder.is_complete() {
                    break;
                }
                return Err(Broken("it ended before its last row").into());
            };
            let message = message.map_err(|e| scan.failed(&e))?;
            let is_first = self.decoder.rows() == 0;
            self.decoder.decode(&message)?;
            if is_first && self.decoder.rows() > 0 {
                quiet.as_mut().reset(Instant::now() + FLUSH_AFTER);
            }
        }
        if self.decoder.rows() == 0 {
            return Ok(None);
        }
        let batch = self.decoder.batch();
        batch.map(Some).map_err(|error| {
            Failure::new(
                FaultKind::Invalid,
                format!("its rows fit no batch: {error}"),
            )
        })
    }
}
