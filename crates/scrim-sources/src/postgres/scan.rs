//! One scan: a transaction in which the table stays as it was opened, and a copy of the rows.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use futures::future::join3;
use futures::{Stream, TryStreamExt, stream};
use scrim_engine::FaultKind;
use tokio::time::timeout;
use tokio_postgres::{SimpleQueryMessage, Statement};

use super::binary::{Broken, Decoder};
use super::columns::{PgColumn, PgType};
use super::connect::{Database, Lease};
use super::copy::Copy;
use super::failure::Failure;
use super::parts;
use super::schema::Table;
use super::sql::Rows;

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
    /// Connections that may read at once.
    pub(super) readers: usize,
    /// Pages of the table that a reader takes at once.
    pub(super) part_pages: u64,
}

/// Batches of rows.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// A connection in a transaction that holds the table.
pub(super) struct Held {
    pub(super) lease: Lease,
    /// What the statements that began it answered.
    pub(super) answer: Vec<SimpleQueryMessage>,
    /// The statement that is to run in it.
    copy: Statement,
}

/// Where a scan of one copy is.
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
        if parts::may_pay(self) {
            return Box::pin(stream::once(parts::read(scan)).try_flatten());
        }
        Box::pin(stream::try_unfold(Progress::Before(scan), Progress::step))
    }

    /// The rows of the copy of a transaction that has begun.
    pub(super) async fn batches_of(self: Arc<Self>, held: Held) -> Result<Batches, Failure> {
        let copy = self.run(held.lease, &held.copy, self.decoder()?).await?;
        let progress = Progress::During(self, Box::new(copy));
        Ok(Box::pin(stream::try_unfold(progress, Progress::step)))
    }

    pub(super) fn fault(&self, failure: Failure) -> DataFusionError {
        failure.fault(&self.shown).into()
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> Failure {
        Failure::of(error, self.database.settings())
    }

    /// How long the server may say nothing. It ends a statement itself before that, if it lives.
    pub(super) fn patience(&self) -> Duration {
        let settings = self.database.settings();
        settings.statement_timeout + settings.connect_timeout
    }

    pub(super) fn silent(&self) -> Failure {
        let cause = format!("it said nothing for {:?}", self.patience());
        Failure::new(FaultKind::Unavailable, cause)
    }

    /// The rows that meet one more condition, or all.
    pub(super) fn rows<'a>(&'a self, part: Option<&'a str>) -> Rows<'a> {
        Rows {
            table: &self.table.from,
            columns: &self.columns,
            conditions: &self.conditions,
            part,
            limit: self.limit,
        }
    }

    pub(super) fn decoder(&self) -> Result<Decoder, Broken> {
        Decoder::new(&self.columns, Arc::clone(&self.schema))
    }

    /// Begins a transaction that holds the table as it was opened, and prepares the copy.
    ///
    /// A connection from the pool may have died unseen. Nothing was read from it, so this is done
    /// again on a new one, once.
    pub(super) async fn hold(&self, begin: &str) -> Result<Held, Failure> {
        let lease = self.database.lease().await?;
        let is_reused = lease.is_reused();
        match self.hold_on(lease, begin).await {
            Err(failure) if failure.broken && is_reused => {
                self.database.forget_idle();
                self.hold_on(self.database.lease().await?, begin).await
            }
            held => held,
        }
    }

    /// All is sent together and in this order, so that the check costs no time of its own.
    async fn hold_on(&self, lease: Lease, begin: &str) -> Result<Held, Failure> {
        let client = lease.client()?;
        let sql = self.rows(None).copy();
        let all = join3(
            client.simple_query(begin),
            self.table.is_as_opened(client),
            client.prepare(&sql),
        );
        let (answer, is_as_opened, copy) = self.in_time(all).await?;
        let answer = answer.map_err(|e| self.failed(&e))?;
        if !is_as_opened.map_err(|e| self.failed(&e))? {
            let cause = "its columns are others than when it was opened; load the contract anew";
            return Err(Failure::new(FaultKind::Invalid, cause));
        }
        let copy = copy.map_err(|e| self.failed(&e))?;
        Ok(Held {
            lease,
            answer,
            copy,
        })
    }

    /// Waits no longer than the server may say nothing.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        timeout(self.patience(), work)
            .await
            .map_err(|_| self.silent())
    }

    /// Runs a statement that copies rows.
    pub(super) async fn run(
        &self,
        lease: Lease,
        copy: &Statement,
        decoder: Decoder,
    ) -> Result<Copy, Failure> {
        let rows = self.in_time(lease.client()?.copy_out(copy)).await?;
        let rows = rows.map_err(|e| self.failed(&e))?;
        Ok(Copy::new(rows, decoder, lease))
    }

    async fn copy(&self, decoder: Decoder) -> Result<Copy, Failure> {
        let held = self.hold(&self.table.hold()).await?;
        self.run(held.lease, &held.copy, decoder).await
    }

    async fn start(&self) -> Result<Copy, Failure> {
        self.copy(self.decoder()?).await
    }

    /// How many rows there are, counted by the server: rows without columns say nothing else.
    async fn count(&self) -> Result<usize, Failure> {
        let column = PgColumn {
            name: "count".to_owned(),
            data_type: DataType::Int64,
            pg_type: PgType::Int8,
            deterministic: true,
        };
        let schema = Schema::new(vec![Field::new("count", DataType::Int64, true)]);
        let mut copy = self
            .copy(Decoder::new(&[column], Arc::new(schema))?)
            .await?;
        let counted = copy.fill(self).await?;
        let counted = counted.filter(|batch| batch.num_rows() == 1);
        let rows = counted.and_then(|batch| {
            let rows = batch.column(0).as_primitive_opt::<Int64Type>()?.value(0);
            usize::try_from(rows).ok()
        });
        let rows = rows.ok_or(Broken("a count is not one number"))?;
        copy.into_lease().settle();
        Ok(rows)
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

impl Progress {
    async fn step(self) -> Result<Option<(RecordBatch, Self)>> {
        let (scan, mut copy) = match self {
            Self::Before(scan) => {
                let copy = scan.start().await.map_err(|failure| scan.fault(failure))?;
                (scan, Box::new(copy))
            }
            Self::During(scan, copy) => (scan, copy),
            Self::After => return Ok(None),
        };
        let batch = copy
            .fill(&scan)
            .await
            .map_err(|failure| scan.fault(failure))?;
        let after = if copy.is_complete() {
            copy.into_lease().settle();
            Self::After
        } else {
            Self::During(scan, copy)
        };
        Ok(batch.map(|batch| (batch, after)))
    }
}
