//! One result on its way out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::Stream;
use futures::stream::BoxStream;
use scrim_engine::Results;
use scrim_model::{Code, QueryId, Refusal};
use tokio::time::Sleep;
use tonic::Status;

use super::Message;
use super::cast::to_wire;
use super::coalesce::Coalescer;
use super::encode::{BatchEncoder, schema_message};
use crate::status::to_status;

/// How long collected rows wait for more before they leave.
const LINGER: Duration = Duration::from_millis(20);

/// The future that ends a stream before its source does: a deadline, the session's end, the
/// server's.
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
            Code::SessionEnded | Code::Revoked => results.revoke(refusal.message()),
            code => results.fail(code),
        }
    }
}

/// A result as messages: pulled by the connection, never pushed, so a slow reader holds one
/// batch's messages and no more. Dropping it drops the query.
pub(crate) struct Outgoing {
    source: Option<Source>,
    shape: Shape,
    encoder: BatchEncoder,
    coalescer: Coalescer,
    linger: Option<Pin<Box<Sleep>>>,
    queue: VecDeque<Message>,
    ending: Ending,
    query: Option<QueryId>,
}

impl Outgoing {
    /// Sends a source's batches under a shape; the schema leaves even when no row does.
    pub(crate) fn new(source: Source, shape: Shape, ending: Ending) -> Result<Self, Refusal> {
        Ok(Self {
            query: source.query(),
            source: Some(source),
            encoder: BatchEncoder::new(shape.schema())?,
            queue: VecDeque::from([schema_message(shape.schema())]),
            shape,
            coalescer: Coalescer::default(),
            linger: None,
            ending,
        })
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

    /// Ends with an error trailer, never as if all rows had been sent.
    fn fail(&mut self, refusal: &Refusal) -> Poll<Option<Result<Message, Status>>> {
        if let Some(source) = self.source.take() {
            source.end(refusal);
        }
        self.queue.clear();
        drop(self.coalescer.take());
        Poll::Ready(Some(Err(to_status(refusal, self.query))))
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

impl Stream for Outgoing {
    type Item = Result<Message, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.source.is_some()
                && let Poll::Ready(refusal) = this.ending.as_mut().poll(cx)
            {
                return this.fail(&refusal);
            }
            if let Some(message) = this.queue.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            let Some(source) = this.source.as_mut() else {
                return Poll::Ready(None);
            };
            let step = match source.poll(cx) {
                Poll::Ready(Some(Ok(batch))) => this.accept(batch),
                Poll::Ready(Some(Err(refusal))) => Err(refusal),
                Poll::Ready(None) => {
                    this.source = None;
                    this.flush()
                }
                Poll::Pending if this.lingered(cx) => this.flush(),
                Poll::Pending => return Poll::Pending,
            };
            if let Err(refusal) = step {
                return this.fail(&refusal);
            }
        }
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int32Array};
    use futures::StreamExt;
    use scrim_model::Code;

    use super::*;

    fn batch(rows: i32) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("id", ids)]).unwrap()
    }

    fn never() -> Ending {
        Box::pin(std::future::pending())
    }

    fn outgoing(items: Vec<Result<RecordBatch, Refusal>>, ending: Ending) -> Outgoing {
        let schema = crate::wire::wire_schema(batch(0).schema_ref(), crate::wire::WireTypes::Plain);
        let source = futures::stream::iter(items).boxed();
        Outgoing::new(Source::Batches(source), Shape::Wire(schema), ending).unwrap()
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

    #[tokio::test]
    async fn an_ending_stops_the_stream_with_its_code() {
        let ending = Box::pin(async { Refusal::new(Code::TimeLimit, "the deadline has passed") });
        let items: Vec<_> = outgoing(vec![Ok(batch(1))], ending).collect().await;
        assert_eq!(items.len(), 1);
        assert_eq!(
            items[0].as_ref().unwrap_err().code(),
            tonic::Code::DeadlineExceeded
        );
    }

    #[tokio::test]
    async fn rows_that_wait_leave_without_more_coming() {
        let first = futures::stream::iter([Ok(batch(1)), Ok(batch(2))]);
        let source = first.chain(futures::stream::pending()).boxed();
        let schema = crate::wire::wire_schema(batch(0).schema_ref(), crate::wire::WireTypes::Plain);
        let stream = Outgoing::new(Source::Batches(source), Shape::Wire(schema), never()).unwrap();
        let messages: Vec<_> = stream.take(3).collect().await;
        assert_eq!(messages.len(), 3);
    }
}
