//! Where a stream can be shut from both ends: by the connection, which reads it, and by whoever may
//! end it. Shutting frees all that the stream holds at once, even if the connection never asks
//! again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::task::AtomicWaker;
use scrim_model::{Code, Refusal};
use tokio::time::Instant;

use super::Message;
use super::outgoing::Pipeline;

/// The one hold on a stream's source and on all that lies between it and the connection.
#[derive(Debug, Default)]
pub(crate) struct Valve {
    state: Mutex<State>,
    reader: AtomicWaker,
    /// Since when it has been the reader's turn; never held together with anything else.
    turn: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
enum State {
    /// The source is still being made.
    #[default]
    Starting,
    Flowing(Box<Pipeline>),
    /// Shut; the reader is to be told.
    Shut(Refusal),
    /// Nothing more comes.
    Over,
}

impl Valve {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_turn(&self, turn: Option<Instant>) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    /// Lets a stream flow.
    ///
    /// # Errors
    /// Why it was shut before it began; the source knows by then.
    pub(crate) fn open(&self, pipeline: Pipeline) -> Result<(), Refusal> {
        let mut state = self.state();
        let refusal = match &*state {
            State::Starting => {
                *state = State::Flowing(Box::new(pipeline));
                drop(state);
                self.set_turn(Some(Instant::now()));
                return Ok(());
            }
            State::Shut(refusal) => refusal.clone(),
            State::Flowing(_) | State::Over => Refusal::internal("a stream was opened twice"),
        };
        *state = State::Over;
        drop(state);
        pipeline.end(&refusal);
        Err(refusal)
    }

    /// Ends the stream for a reason, which its reader is told if it ever asks; does nothing to a
    /// stream that has ended.
    pub(crate) fn shut(&self, refusal: &Refusal) {
        let mut state = self.state();
        if matches!(&*state, State::Shut(_) | State::Over) {
            return;
        }
        let before = std::mem::replace(&mut *state, State::Shut(refusal.clone()));
        drop(state);
        if let State::Flowing(pipeline) = before {
            pipeline.end(refusal);
        }
        self.reader.wake();
    }

    /// Whether it is shut already, or over.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(&*self.state(), State::Shut(_) | State::Over)
    }

    /// Ends the stream since nobody reads it any more.
    pub(crate) fn abandon(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Over);
        // Not under the lock: the query's end may take a moment.
        drop(before);
    }

    /// The next message. `own` is this valve's waker.
    pub(crate) fn poll(
        &self,
        reader: &Waker,
        own: &Waker,
    ) -> Poll<Option<Result<Message, Refusal>>> {
        self.reader.register(reader);
        self.set_turn(None);
        let mut state = self.state();
        let next = match &mut *state {
            State::Flowing(pipeline) => pipeline.poll(&mut Context::from_waker(own)),
            State::Shut(refusal) => Poll::Ready(Some(Err(refusal.clone()))),
            State::Starting | State::Over => Poll::Ready(None),
        };
        match &next {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => self.set_turn(Some(Instant::now())),
            Poll::Ready(Some(Err(_)) | None) => *state = State::Over,
        }
        next
    }

    /// Returns once the reader has left the stream alone for that long.
    pub(crate) async fn idle(&self, limit: Duration) -> Refusal {
        loop {
            let turn = *self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = turn.map_or(Duration::ZERO, |since| since.elapsed());
            if waited >= limit {
                let text = "the result was not read for too long; run the query again and read it \
                            without long pauses";
                return Refusal::new(Code::ReaderIdle, text);
            }
            tokio::time::sleep(limit.saturating_sub(waited)).await;
        }
    }
}

/// What the source wakes: from then on it is the reader's turn.
impl Wake for Valve {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set_turn(Some(Instant::now()));
        self.reader.wake();
    }
}
