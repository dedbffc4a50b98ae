//! One scan: a transaction, a copy of the rows, and the batches that they become.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use futures::future::join;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use scrim_engine::FaultKind;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::CopyOutStream;

use super::binary::{Broken, Decoder};
use super::columns::{PgColumn, PgType};
use super::connect::{Database, Lease};
use super::failure::Failure;
use super::schema::Table;
use super::sql::Rows;

/// Bytes after which a batch has enough of large rows.
const BATCH_BYTES: usize = 8 << 20;

/// How long the first rows of a batch wait for others.
const FLUSH_AFTER: Duration = Duration::from_millis(20);

/// What is scanned, and how.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) database: Arc<Database>,
    pub(super) table: Arc<Table>,
    /// Where it reads, for the owner.
    pub(super) shown: Arc<str>,
    /// The columns; none when rows are only counted.
    pub(super) columns: Vec<PgColumn>,
    pub(super) schema: SchemaRef,
    /// Conditions as SQL, all of which hold for the rows.
    pub(super) conditions: Vec<String>,
    pub(super) limit: Option<usize>,
    pub(super) batch_rows: usize,
}

/// Batches of rows.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// Where a scan is.
enum Progress {
    Before(Arc<Scan>),
    During(Arc<Scan>, Box<Copy>),
    After,
}

impl Scan {
    /// Its rows. The database is asked for nothing before somebody waits for the first batch.
    pub(super) fn batches(self: &Arc<Self>) -> Batches {
        let scan = Arc::clone(self);
        if self.columns.is_empty() {
            let counted = async move {
                let rows = scan.count().await.map_err(|failure| scan.fault(failure))?;
                Ok::<_, DataFusionError>(stream::iter(scan.without_columns(rows)))
            };
            return Box::pin(stream::once(counted).try_flatten());
        }
        Box::pin(stream::try_unfold(Progress::Before(scan), Progress::step))
    }

    fn fault(&self, failure: Failure) -> DataFusionError {
        failure.fault(&self.shown).into()
    }

    /// How long the server may say nothing. It ends a statement itself before that, if it lives.
    fn patience(&self) -> Duration {
        let settings = self.database.settings();
        settings.statement_timeout + settings.connect_timeout
    }

    fn silent(&self) -> Failure {
        let limit = self.patience();
        Failure::new(
            FaultKind::Unavailable,
            format!("it said nothing for {limit:?}"),
        )
    }

    /// Starts to copy the rows. A connection from the pool may have died unseen; nothing was read
    /// from it, so the scan starts again on a new one, once.
    async fn copy(&self) -> Result<Copy, Failure> {
        let lease = self.database.lease().await?;
        let is_reused = lease.is_reused();
        match self.copy_on(lease).await {
            Err(failure) if failure.broken && is_reused => {
                self.database.forget_idle();
                self.copy_on(self.database.lease().await?).await
            }
            copy => copy,
        }
    }

    async fn copy_on(&self, lease: Lease) -> Result<Copy, Failure> {
        let starting = timeout(self.patience(), self.start(lease));
        starting.await.map_err(|_| self.silent())?
    }

    /// In one transaction: holds the table as it is, checks that it is as it was opened, and copies.
    /// The statements are sent together, so that the check costs no time of its own.
    async fn start(&self, lease: Lease) -> Result<Copy, Failure> {
        let failed = |e: &tokio_postgres::Error| Failure::of(e, self.database.settings());
        let columns: Vec<_> = self.columns.iter().collect();
        let sql = Rows {
            table: &self.table.quoted,
            columns: &columns,
            conditions: &self.conditions,
            limit: self.limit,
        };
        let client = lease.client()?;
        let hold = self.table.hold();
        let copy = sql.copy();
        let (held, statement) = join(client.simple_query(&hold), client.prepare(&copy)).await;
        if !self.table.is_as_opened(&held.map_err(|e| failed(&e))?) {
            let cause = "its columns are others than when it was opened; load the contract anew";
            return Err(Failure::new(FaultKind::Invalid, cause));
        }
        let statement = statement.map_err(|e| failed(&e))?;
        let rows = client.copy_out(&statement).await.map_err(|e| failed(&e))?;
        let decoder = if columns.is_empty() {
            let count = count_column();
            let field = Field::new(&count.name, count.data_type.clone(), true);
            Decoder::new(&[&count], Arc::new(Schema::new(vec![field])))
        } else {
            Decoder::new(&columns, Arc::clone(&self.schema))
        };
        Ok(Copy {
            rows: Box::pin(rows),
            decoder: decoder.map_err(unreadable)?,
            lease,
        })
    }

    /// How many rows there are, counted by the server: rows without columns say nothing else.
    async fn count(&self) -> Result<usize, Failure> {
        let mut copy = self.copy().await?;
        let counted = copy.fill(self).await?;
        let Some(batch) = counted.filter(|batch| batch.num_rows() == 1) else {
            return Err(unreadable(Broken("a count is not one row")));
        };
        let rows = batch
            .column(0)
            .as_primitive_opt::<Int64Type>()
            .map(|rows| rows.value(0));
        let rows = rows.and_then(|rows| usize::try_from(rows).ok());
        copy.lease.settle();
        rows.ok_or_else(|| unreadable(Broken("a count is no number")))
    }

    /// So many rows without columns, in batches.
    fn without_columns(&self, rows: usize) -> impl Iterator<Item = Result<RecordBatch>> + use<> {
        let (schema, most) = (Arc::clone(&self.schema), self.batch_rows.max(1));
        (0..rows).step_by(most).map(move |start| {
            let options = RecordBatchOptions::new().with_row_count(Some(most.min(rows - start)));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options)?;
            Ok(batch)
        })
    }
}

/// What rows that are only counted come as.
fn count_column() -> PgColumn {
    PgColumn {
        name: "count".to_owned(),
        data_type: DataType::Int64,
        pg_type: PgType::Int8,
        deterministic: true,
    }
}

fn unreadable(Broken(rule): Broken) -> Failure {
    Failure::new(
        FaultKind::Invalid,
        format!("it sent what cannot be read: {rule}"),
    )
}

impl Progress {
    async fn step(self) -> Result<Option<(RecordBatch, Self)>> {
        let (scan, mut copy) = match self {
            Self::Before(scan) => {
                let copy = scan.copy().await.map_err(|failure| scan.fault(failure))?;
                (scan, Box::new(copy))
            }
            Self::During(scan, copy) => (scan, copy),
            Self::After => return Ok(None),
        };
        let batch = copy
            .fill(&scan)
            .await
            .map_err(|failure| scan.fault(failure))?;
        let after = if copy.decoder.is_complete() {
            copy.lease.settle();
            Self::After
        } else {
            Self::During(scan, copy)
        };
        Ok(batch.map(|batch| (batch, after)))
    }
}

/// A copy that runs. When it is dropped before its end, it is cancelled.
struct Copy {
    rows: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
    lease: Lease,
}

impl Copy {
    /// The next batch; none after the last row.
    ///
    /// Rows that are there are handed on soon, since a scan whose conditions let few rows pass could
    /// otherwise hold back the first of them for minutes.
    async fn fill(&mut self, scan: &Scan) -> Result<Option<RecordBatch>, Failure> {
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
                return Err(unreadable(Broken("it ended before its last row")));
            };
            let message = message.map_err(|e| Failure::of(&e, scan.database.settings()))?;
            let is_first = self.decoder.rows() == 0;
            self.decoder.decode(&message).map_err(unreadable)?;
            if is_first && self.decoder.rows() > 0 {
                quiet.as_mut().reset(Instant::now() + FLUSH_AFTER);
            }
        }
        if self.decoder.rows() == 0 {
            return Ok(None);
        }
        let batch = self.decoder.batch();
        batch.map(Some).map_err(|error: ArrowError| {
            Failure::new(
                FaultKind::Invalid,
                format!("its rows fit no batch: {error}"),
            )
        })
    }
}
