//! What the web servers of this crate share: a thread that serves one handler over HTTP, a log of
//! the requests, and troubles that strike some of them.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::background::Background;

/// An error of a body.
pub(crate) type Broken = Box<dyn std::error::Error + Send + Sync>;
/// What a handler answers.
pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, Broken>>;
/// Answers one request.
pub(crate) type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A web server in a thread of its own.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) traffic: Arc<Traffic>,
    background: Background,
}

impl Web {
    pub(crate) fn start(handler: Handler) -> io::Result<Self> {
        let traffic = Arc::new(Traffic::default());
        let log = Arc::clone(&traffic);
        let background = Background::start((Ipv4Addr::LOCALHOST, 0).into(), |listener| {
            serve(listener, handler, log)
        })?;
        Ok(Self {
            traffic,
            background,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.background.address()
    }
}

async fn serve(listener: TcpListener, handler: Handler, traffic: Arc<Traffic>) {
    // Dropped with this future, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(
            stream,
            Arc::clone(&handler),
            Arc::clone(&traffic),
        ));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, handler: Handler, traffic: Arc<Traffic>) {
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| answer(request, &handler, &traffic));
    // A client that goes away is no matter of ours.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn answer(
    request: Request<Incoming>,
    handler: &Handler,
    traffic: &Traffic,
) -> Result<Reply, Broken> {
    let seen = Seen::of(&request);
    let trouble = traffic.strikes(&seen);
    let mut bend = Bend::None;
    match trouble {
        None => {}
        Some(Trouble::Status(status)) => {
            let reply = status_only(StatusCode::from_u16(status)?);
            return Ok(traffic.note(seen, reply, Bend::None));
        }
        Some(Trouble::HangUp) => return Err("the connection is cut".into()),
        Some(Trouble::Hold(gate)) => gate.pass().await,
        Some(Trouble::Cut(after)) => bend = Bend::Cut(after),
        Some(Trouble::Stall(after)) => bend = Bend::Stall(after),
        Some(Trouble::Corrupt(at)) => bend = Bend::Corrupt(at),
    }
    let reply = handler(request).await;
    Ok(traffic.note(seen, reply, bend))
}

/// A reply without a body.
pub(crate) fn status_only(status: StatusCode) -> Reply {
    let mut reply = Response::new(whole(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// A body that is there at once.
pub(crate) fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, Broken> {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// What a server was asked, and what is to go wrong.
#[derive(Debug, Default)]
pub struct Traffic {
    seen: Mutex<Vec<Seen>>,
    plans: Mutex<Vec<Plan>>,
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The path as it was asked for, with its slash; an S3 server's begins with the bucket.
    pub path: String,
    /// What followed the question mark.
    pub query: String,
    /// First and last byte that were asked for, if a range was: `bytes=0-9` is `(0, 9)`. A range of
    /// the last bytes is `(u64::MAX, length)`.
    pub range: Option<(u64, u64)>,
    /// The status of the answer.
    pub status: u16,
    sent: Arc<AtomicU64>,
}

impl Seen {
    /// Bytes of the body that were sent so far.
    pub fn bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    fn of(request: &Request<Incoming>) -> Self {
        let range = request.headers().get(header::RANGE);
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            range: range.and_then(|range| parse_range(range.to_str().ok()?)),
            status: 0,
            sent: Arc::default(),
        }
    }

    fn line(&self) -> String {
        format!("{} {}?{}", self.method, self.path, self.query)
    }
}

fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        last.parse().ok()?
    };
    let first = if first.is_empty() {
        u64::MAX
    } else {
        first.parse().ok()?
    };
    Some((first, last))
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// It is answered with this status and nothing else.
    Status(u16),
    /// The connection is closed without an answer.
    HangUp,
    /// The connection is closed after so many bytes of the body.
    Cut(u64),
    /// After so many bytes of the body nothing more is sent, until the client gives up.
    Stall(u64),
    /// The byte of the body at this place is another one.
    Corrupt(u64),
    /// It is answered as it should be, but only when the gate is opened.
    Hold(Gate),
}

/// Which requests have a trouble.
#[derive(Debug)]
struct Plan {
    on: String,
    skip: usize,
    times: usize,
    trouble: Trouble,
}

impl Traffic {
    /// All requests that were answered, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The requests for a path that holds `part`.
    pub fn of(&self, part: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|seen| seen.path.contains(part));
        seen
    }

    /// Bytes of all bodies that were sent.
    pub fn bytes(&self) -> u64 {
        self.seen().iter().map(Seen::bytes).sum()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// From now on requests whose line (`GET /bucket/key?query`) holds `on` are in trouble: the
    /// first `skip` of them are not, the next `times` are, and those after them are not.
    pub fn trouble(&self, on: &str, skip: usize, times: usize, trouble: Trouble) {
        let plan = Plan {
            on: on.to_owned(),
            skip,
            times,
            trouble,
        };
        self.plans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(plan);
    }

    /// Ends all troubles.
    pub fn heal(&self) {
        self.plans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn strikes(&self, seen: &Seen) -> Option<Trouble> {
        let line = seen.line();
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for plan in plans.iter_mut().filter(|plan| line.contains(&plan.on)) {
            if plan.skip > 0 {
                plan.skip -= 1;
            } else if plan.times > 0 && struck.is_none() {
                plan.times -= 1;
                struck = Some(plan.trouble.clone());
            }
        }
        struck
    }

    fn note(&self, mut seen: Seen, reply: Reply, bend: Bend) -> Reply {
        seen.status = reply.status().as_u16();
        let sent = Arc::clone(&seen.sent);
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
        reply.map(|body| Bent { body, sent, bend }.boxed_unsync())
    }
}

/// A door that a test opens: whoever comes to it before waits.
#[derive(Clone)]
pub struct Gate {
    reached: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            reached: watch::Sender::new(0),
            open: watch::Sender::new(false),
        }
    }
}

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self::default()
    }

    /// Waits until somebody waits at the gate, or has passed it.
    pub async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        drop(reached.wait_for(|count| *count > 0).await);
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn pass(&self) {
        self.reached.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        drop(open.wait_for(|open| *open).await);
    }
}

/// What happens to a body on its way.
#[derive(Debug, Clone, Copy)]
enum Bend {
    None,
    Cut(u64),
    Stall(u64),
    Corrupt(u64),
}

/// A body that is counted, and bent.
struct Bent {
    body: UnsyncBoxBody<Bytes, Broken>,
    sent: Arc<AtomicU64>,
    bend: Bend,
}

impl Bent {
    /// The part of the next bytes that may pass.
    fn allowed(&self, mut data: Bytes) -> Bytes {
        let before = self.sent.load(Ordering::SeqCst);
        match self.bend {
            Bend::None => data,
            Bend::Cut(after) | Bend::Stall(after) => {
                let room = usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
                data.truncate(room);
                data
            }
            Bend::Corrupt(at) => {
                let mut bytes = Vec::from(data);
                let place = at
                    .checked_sub(before)
                    .and_then(|at| usize::try_from(at).ok());
                if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
                    *byte = !*byte;
                }
                bytes.into()
            }
        }
    }

    fn is_over(&self) -> bool {
        let sent = self.sent.load(Ordering::SeqCst);
        matches!(self.bend, Bend::Cut(after) | Bend::Stall(after) if sent >= after)
    }
}

impl Body for Bent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_over() {
            return match self.bend {
                // Nobody will wake this: the client has to give up.
                Bend::Stall(_) => Poll::Pending,
                Bend::None | Bend::Cut(_) | Bend::Corrupt(_) => {
                    Poll::Ready(Some(Err("the body is cut".into())))
                }
            };
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let frame = frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|data| {
                    let data = self.allowed(data);
                    self.sent.fetch_add(data.len() as u64, Ordering::SeqCst);
                    data
                })
            })
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !matches!(self.bend, Bend::Cut(_) | Bend::Stall(_))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
