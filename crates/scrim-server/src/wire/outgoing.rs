//! One result on its way out.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::Stream;
use futures::stream::BoxStream;
use scrim_engine::Results;
use scrim_model::{Code, QueryId, Refusal};
use tokio::task::AbortHandle;
use tokio::time::Sleep;
use tonic::Status;

use super::Message;
use super::cast::to_wire;
use super::coalesce::Coalescer;
use super::encode::{BatchEncoder, Compression, schema_message};
use super::valve::Valve;
use crate::status::to_status;

/// How long collected rows wait for more before they leave.
const LINGER: Duration = Duration::from_millis(20);

/// The future that ends a stream before its source does: a deadline, the server's end.
pub(crate) type Ending = Pin<Box<dyn Future<Output = Refusal> + Send>>;

/// Under which schema batches leave.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Batches are cast to this schema.
    Wire(SchemaRef),
    /// Batches have this schema already; it is the protocol's own.
    Exact(SchemaRef),
}

impl Shape {
    fn schema(&self) -> &SchemaRef {
        match self {
            Self::Wire(schema) | Self::Exact(schema) => schema,
        }
    }
}

/// Where batches come from.
pub(crate) enum Source {
    /// A query; its record in the ledger learns how it ended.
    Query(Box<Results>),
    /// Batches that are there already, about what the caller may see.
    Batches(BoxStream<'static, Result<RecordBatch, Refusal>>),
}

impl Source {
    fn query(&self) -> Option<QueryId> {
        match self {
            Self::Query(results) => Some(results.query()),
            Self::Batches(_) => None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, Refusal>>> {
        match self {
            Self::Query(results) => Pin::new(results.as_mut()).poll_next(cx),
            Self::Batches(batches) => batches.as_mut().poll_next(cx),
        }
    }

    /// Ends a query that could go on, with its reason in the ledger.
    fn end(self, refusal: &Refusal) {
        let Self::Query(mut results) = self else {
            return;
        };
        match refusal.code() {
            Code::Revoked => results.revoke(refusal.detail().unwrap_or(refusal.message())),
            code => results.fail(code),
        }
    }
}

/// What a stream runs under.
pub(crate) struct Terms {
    /// Where others can shut it.
    pub(crate) valve: Arc<Valve>,
    /// What ends it from outside.
    pub(crate) ending: Ending,
    /// How long its reader may leave it alone.
    pub(crate) idle: Duration,
    /// Given back when the stream is dropped.
    pub(crate) place: Box<dyn Send>,
    /// How its batches are compressed.
    pub(crate) compression: Option<Compression>,
}

/// From a source to messages, with all that is held in between: one batch's messages, and small
/// batches that wait for more.
pub(crate) struct Pipeline {
    source: Option<Source>,
    shape: Shape,
    encoder: BatchEncoder,
    coalescer: Coalescer,
    linger: Option<Pin<Box<Sleep>>>,
    queue: VecDeque<Message>,
}

impl Pipeline {
    fn new(
        source: Source,
        shape: Shape,
        compression: Option<Compression>,
    ) -> Result<Self, Refusal> {
        let run = source.query().map(|query| query.to_string());
        let schema = schema_message(shape.schema()).with_app_metadata(run.unwrap_or_default());
        Ok(Self {
            source: Some(source),
            encoder: BatchEncoder::new(shape.schema(), compression)?,
            queue: VecDeque::from([schema]),
            shape,
            coalescer: Coalescer::default(),
            linger: None,
        })
    }

    /// Ends the source, with its reason in the ledger, and lets go of everything.
    pub(crate) fn end(mut self, refusal: &Refusal) {
        self.end_source(refusal);
    }

    fn end_source(&mut self, refusal: &Refusal) {
        if let Some(source) = self.source.take() {
            source.end(refusal);
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Refusal>>> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            let Some(source) = self.source.as_mut() else {
                return Poll::Ready(None);
            };
            let step = match source.poll(cx) {
                Poll::Ready(Some(Ok(batch))) => self.accept(batch),
                Poll::Ready(Some(Err(refusal))) => Err(refusal),
                Poll::Ready(None) => {
                    self.source = None;
                    self.flush()
                }
                Poll::Pending if self.lingered(cx) => self.flush(),
                Poll::Pending => return Poll::Pending,
            };
            if let Err(refusal) = step {
                // Ends with an error trailer, never as if all rows had been sent.
                self.end_source(&refusal);
                return Poll::Ready(Some(Err(refusal)));
            }
        }
    }

    fn accept(&mut self, batch: RecordBatch) -> Result<(), Refusal> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = match &self.shape {
            Shape::Wire(schema) => to_wire(batch, schema)?,
            Shape::Exact(_) => batch,
        };
        let ready = self.coalescer.push(batch).map_err(Refusal::internal)?;
        for batch in ready.into_iter().flatten() {
            self.encoder.encode(&batch, &mut self.queue)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        self.linger = None;
        match self.coalescer.take().map_err(Refusal::internal)? {
            Some(batch) => self.encoder.encode(&batch, &mut self.queue),
            None => Ok(()),
        }
    }

    /// Whether collected rows have waited long enough for more.
    fn lingered(&mut self, cx: &mut Context<'_>) -> bool {
        if self.coalescer.is_empty() {
            return false;
        }
        let linger = self
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        linger.as_mut().poll(cx).is_ready()
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

/// A result as messages: pulled by the connection, never pushed, so a slow reader holds one
/// batch's messages and no more. Dropping it drops the query.
pub(crate) struct Outgoing {
    valve: Arc<Valve>,
    own: Waker,
    query: Option<QueryId>,
    /// Watches for what ends the stream: it has to end even while the connection does not ask.
    watch: AbortHandle,
    _place: Box<dyn Send>,
}

impl Outgoing {
    /// Sends a source's batches under a shape; the schema leaves even when no row does.
    ///
    /// # Errors
    /// When the stream was shut before it began, or the shape cannot be sent.
    pub(crate) fn new(source: Source, shape: Shape, terms: Terms) -> Result<Self, Refusal> {
        let query = source.query();
        let Terms {
            valve,
            ending,
            idle,
            place,
            compression,
        } = terms;
        valve.open(Pipeline::new(source, shape, compression)?)?;
        let watched = Arc::clone(&valve);
        let watch = tokio::spawn(async move {
            let refusal = tokio::select! {
                biased;
                refusal = ending => refusal,
                refusal = watched.idle(idle) => refusal,
            };
            watched.shut(&refusal);
        });
        Ok(Self {
            own: Arc::clone(&valve).into(),
            valve,
            query,
            watch: watch.abort_handle(),
            _place: place,
        })
    }
}

impl Stream for Outgoing {
    type Item = Result<Message, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.valve.poll(cx.waker(), &self.own);
        next.map(|next| next.map(|item| item.map_err(|e| to_status(&e, self.query))))
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.watch.abort();
        // Here, and not when the last hold on the valve is gone: the place is given back next.
        self.valve.abandon();
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use datafusion::arrow::array::{ArrayRef, Int32Array};
    use futures::StreamExt;
    use scrim_model::Code;
    use tokio::sync::oneshot;

    use super::*;

    fn batch(rows: i32) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("id", ids)]).unwrap()
    }

    fn never() -> Ending {
        Box::pin(std::future::pending())
    }

    const IDLE: Duration = Duration::from_millis(40);

    fn terms(ending: Ending) -> Terms {
        Terms {
            valve: Arc::default(),
            ending,
            idle: Duration::from_mins(5),
            place: Box::new(()),
            compression: None,
        }
    }

    fn over(source: BoxStream<'static, Result<RecordBatch, Refusal>>, terms: Terms) -> Outgoing {
        let schema = crate::wire::wire_schema(batch(0).schema_ref(), crate::wire::WireTypes::Plain);
        Outgoing::new(Source::Batches(source), Shape::Wire(schema), terms).unwrap()
    }

    fn outgoing(items: Vec<Result<RecordBatch, Refusal>>, ending: Ending) -> Outgoing {
        over(futures::stream::iter(items).boxed(), terms(ending))
    }

    #[tokio::test]
    async fn an_empty_result_still_sends_its_schema() {
        let messages: Vec<_> = outgoing(vec![Ok(batch(0))], never()).collect().await;
        assert_eq!(messages.len(), 1);
        assert!(messages[0].is_ok());
    }

    #[tokio::test]
    async fn an_error_is_a_trailer_and_the_last_item() {
        let refusal = Refusal::new(Code::DivideByZero, "division by zero");
        let items: Vec<_> = outgoing(vec![Ok(batch(1)), Err(refusal), Ok(batch(1))], never())
            .collect()
            .await;
        let codes: Vec<_> = items
            .iter()
            .map(|item| item.as_ref().err().map(Status::code))
            .collect();
        assert_eq!(codes, [None, None, Some(tonic::Code::InvalidArgument)]);
    }

    fn code(item: &Result<Message, Status>) -> Option<tonic::Code> {
        item.as_ref().err().map(Status::code)
    }

    #[tokio::test]
    async fn an_ending_stops_the_stream_with_its_code() {
        let ending = Box::pin(async {
            tokio::time::sleep(LINGER).await;
            Refusal::new(Code::TimeLimit, "the deadline has passed")
        });
        let endless = futures::stream::iter([Ok(batch(1))]).chain(futures::stream::pending());
        let items: Vec<_> = over(endless.boxed(), terms(ending)).collect().await;
        let codes: Vec<_> = items.iter().map(code).collect();
        assert_eq!(codes, [None, None, Some(tonic::Code::DeadlineExceeded)]);
    }

    #[tokio::test]
    async fn rows_that_wait_leave_without_more_coming() {
        let first = futures::stream::iter([Ok(batch(1)), Ok(batch(2))]);
        let stream = over(
            first.chain(futures::stream::pending()).boxed(),
            terms(never()),
        );
        let messages: Vec<_> = stream.take(3).collect().await;
        assert_eq!(messages.len(), 3);
    }

    type Batches = BoxStream<'static, Result<RecordBatch, Refusal>>;

    /// An endless source of large batches, how many it gave, and what tells when it is dropped.
    fn counted() -> (Batches, Arc<AtomicUsize>, oneshot::Receiver<()>) {
        let given = Arc::new(AtomicUsize::new(0));
        let (alive, dropped) = oneshot::channel();
        let (count, alive) = (Arc::clone(&given), Arc::new(alive));
        let source = futures::stream::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            assert!(!alive.is_closed());
            Ok(batch(150_000))
        });
        (source.boxed(), given, dropped)
    }

    fn impatient() -> Terms {
        Terms {
            idle: IDLE,
            ..terms(never())
        }
    }

    #[tokio::test]
    async fn inv_14_no_more_is_produced_than_is_read() {
        let (source, given, _dropped) = counted();
        let mut stream = over(source, terms(never()));
        for read in 0..50 {
            assert!(stream.next().await.unwrap().is_ok());
            tokio::task::yield_now().await;
            // the first message is the schema
            assert!(
                given.load(Ordering::Relaxed) <= read,
                "after {read} messages"
            );
        }
    }

    #[tokio::test]
    async fn inv_14_a_reader_that_stands_still_holds_nothing_for_long() {
        let (source, _given, dropped) = counted();
        let mut stream = over(source, impatient());
        for _ in 0..3 {
            stream.next().await.unwrap().unwrap();
        }
        // Nothing polls the stream, and yet all that it holds goes.
        dropped.await.unwrap_err();
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::Cancelled);
        assert!(status.message().starts_with("reader-idle: "), "{status:?}");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_slow_source_is_not_a_slow_reader_until_it_has_something() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let source = futures::stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        let mut stream = over(source.boxed(), impatient());
        stream.next().await.unwrap().unwrap();
        assert!(futures::poll!(stream.next()).is_pending());
        // For as long as it takes others to be ended, twice.
        for _ in 0..2 {
            let (source, _given, dropped) = counted();
            let idle = over(source, impatient());
            dropped.await.unwrap_err();
            drop(idle);
        }
        assert!(
            !sender.is_closed(),
            "the reader waits; nothing is its fault"
        );
        // Now there is something to read, and the reader, who is told, does not come.
        sender.send(Ok(batch(1))).await.unwrap();
        sender.closed().await;
        let status = stream.next().await.unwrap().unwrap_err();
        assert!(status.message().starts_with("reader-idle: "), "{status:?}");
    }

    #[tokio::test]
    async fn what_was_shut_before_it_began_never_begins() {
        let terms = terms(never());
        terms
            .valve
            .shut(&Refusal::new(Code::Cancelled, "the query was cancelled"));
        let (source, given, dropped) = counted();
        let schema = crate::wire::wire_schema(batch(0).schema_ref(), crate::wire::WireTypes::Plain);
        let refusal = Outgoing::new(Source::Batches(source), Shape::Wire(schema), terms);
        assert_eq!(refusal.unwrap_err().code(), Code::Cancelled);
        dropped.await.unwrap_err();
        assert_eq!(given.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken_when_the_stream_is_shut() {
        let terms = terms(never());
        let valve = Arc::clone(&terms.valve);
        let mut stream = over(futures::stream::pending().boxed(), terms);
        stream.next().await.unwrap().unwrap();
        let reading = tokio::spawn(async move { stream.next().await });
        tokio::task::yield_now().await;
        valve.shut(&Refusal::new(Code::Cancelled, "the query was cancelled"));
        let status = reading.await.unwrap().unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::Cancelled);
    }
}
