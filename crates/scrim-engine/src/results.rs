//! The results of a running query: compacted batches within limits, and the record's one end.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskCx, Poll};
use std::time::Duration;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use futures::{FutureExt, Stream, StreamExt};
use scrim_ledger::Permit;
use scrim_model::{Code, Limits, QueryId, Refusal};
use scrim_policy::Decision;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::activity::Place;
use crate::engine::Working;
use crate::errors::{Stage, refusal};
use crate::query::{Common, explain_schema};

/// Batches that may wait between the engine and the reader.
const WAITING_MAX: usize = 2;

/// The batches of one query, in order; dropping it stops the work and closes the record.
#[derive(Debug)]
pub struct Results {
    schema: SchemaRef,
    common: Common,
    batches: mpsc::Receiver<Result<RecordBatch, Refusal>>,
    work: Option<AbortHandle>,
    permit: Option<Permit>,
    _place: Place,
    limits: Limits,
    rows: u64,
    bytes: u64,
}

impl Results {
    pub(crate) fn run(
        common: Common,
        plan: Arc<dyn ExecutionPlan>,
        permit: Permit,
        place: Place,
    ) -> Self {
        let (sender, batches) = mpsc::channel(WAITING_MAX);
        let time = common.shared.config.limits.time;
        let context = common.shared.sessions.task(&common.session);
        let work = common
            .shared
            .runtime()
            .spawn(produce(
                plan,
                context,
                sender,
                time,
                common.shared.working(),
            ))
            .abort_handle();
        Self::new(common, batches, Some(work), permit, place)
    }

    pub(crate) fn explain(
        common: Common,
        permit: Permit,
        place: Place,
        plans: &[(&str, String)],
    ) -> Result<Self, Refusal> {
        let kinds = StringArray::from_iter_values(plans.iter().map(|(kind, _)| kind));
        let texts = StringArray::from_iter_values(plans.iter().map(|(_, text)| text));
        let batch = RecordBatch::try_new(explain_schema(), vec![Arc::new(kinds), Arc::new(texts)])
            .map_err(Refusal::internal)?;
        let (sender, batches) = mpsc::channel(1);
        sender.try_send(Ok(batch)).map_err(Refusal::internal)?;
        Ok(Self::new(common, batches, None, permit, place))
    }

    fn new(
        common: Common,
        batches: mpsc::Receiver<Result<RecordBatch, Refusal>>,
        work: Option<AbortHandle>,
        permit: Permit,
        place: Place,
    ) -> Self {
        let own = &common.shared.config.limits;
        let server = Limits {
            max_rows: Some(own.rows_max),
            max_bytes: Some(own.bytes_max),
            ..Limits::default()
        };
        Self {
            schema: Arc::clone(&common.schema),
            limits: common.of_share(common.limits().strictest(server)),
            common,
            batches,
            work,
            permit: Some(permit),
            _place: place,
            rows: 0,
            bytes: 0,
        }
    }

    /// The schema of every batch; every field is nullable.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The query's id.
    pub fn query(&self) -> QueryId {
        self.common.id
    }

    /// The decisions that the results rest on.
    pub fn decisions(&self) -> impl Iterator<Item = &Arc<Decision>> {
        self.common.decisions.values()
    }

    /// Ends the query because of something outside it, such as the reader's deadline.
    pub fn fail(&mut self, code: Code) {
        self.stop();
        if let Some(permit) = self.permit.take() {
            permit.failed(code, self.rows, self.bytes);
        }
    }

    /// Ends the query because the right to it ended.
    pub fn revoke(&mut self, reason: &str) {
        self.stop();
        if let Some(permit) = self.permit.take() {
            permit.revoked(reason, self.rows, self.bytes);
        }
    }

    fn stop(&mut self) {
        self.batches.close();
        if let Some(work) = self.work.take() {
            work.abort();
        }
    }

    fn accept(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Refusal> {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size() as u64;
        if let Some(max) = self.limits.max_rows.filter(|max| self.rows > *max) {
            return Err(Refusal::new(
                Code::RowLimit,
                format!("the result has more than {max} rows; narrow the query or add a LIMIT"),
            ));
        }
        if let Some(max) = self.limits.max_bytes.filter(|max| self.bytes > *max) {
            return Err(Refusal::new(
                Code::ByteLimit,
                format!("the result has more than {max} bytes; select fewer columns or rows"),
            ));
        }
        if let Some(permit) = &mut self.permit {
            permit.progress(self.rows, self.bytes);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            batch.columns().to_vec(),
            &options,
        )
        .map_err(Refusal::internal)
    }

    fn complete(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.completed(self.rows, self.bytes);
            let shared = &self.common.shared;
            shared.activity.sent(
                &self.common.ask.principal.get().id,
                self.rows,
                shared.clock.now(),
            );
        }
    }
}

impl Stream for Results {
    type Item = Result<RecordBatch, Refusal>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskCx<'_>) -> Poll<Option<Self::Item>> {
        // A query that has ended stays ended, whatever is still in the channel.
        if self.permit.is_none() {
            return Poll::Ready(None);
        }
        let next = match self.batches.poll_recv(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => {
                self.complete();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(batch)) => batch.and_then(|batch| self.accept(&batch)),
        };
        if let Err(refusal) = &next {
            tracing::warn!(query = %self.common.id, code = %refusal.code(), detail = refusal.detail(), "query failed");
            self.fail(refusal.code());
        }
        Poll::Ready(Some(next))
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        // The permit, dropped with us, closes the record as abandoned.
        self.stop();
    }
}

/// Runs a governed plan and sends its batches on, until it ends, fails, panics, or takes too long.
async fn produce(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<datafusion::execution::TaskContext>,
    sender: mpsc::Sender<Result<RecordBatch, Refusal>>,
    time: Duration,
    _working: Working,
) {
    let work = AssertUnwindSafe(forward(plan, context, &sender)).catch_unwind();
    let end = match tokio::time::timeout(time, work).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(refusal))) => refusal,
        Ok(Err(panic)) => panicked(panic.as_ref()),
        Err(_) => Refusal::new(
            Code::TimeLimit,
            format!(
                "the query took longer than {} seconds; narrow it",
                time.as_secs()
            ),
        ),
    };
    // If the reader is gone there is nobody to tell.
    drop(sender.send(Err(end)).await);
}

async fn forward(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<datafusion::execution::TaskContext>,
    sender: &mpsc::Sender<Result<RecordBatch, Refusal>>,
) -> Result<(), Refusal> {
    let running = |e| refusal(&e, Stage::Running);
    let mut batches = datafusion::physical_plan::execute_stream(plan, context).map_err(running)?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(running)?;
        if batch.num_rows() > 0 && sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A built-in that panics ends its query, not the process; what it says may hold values.
pub(crate) fn panicked(_: &(dyn Any + Send)) -> Refusal {
    Refusal::new(
        Code::ExpressionFailed,
        "an expression of the query failed; check its functions and their arguments",
    )
    .with_detail("a function of the engine panicked")
}
