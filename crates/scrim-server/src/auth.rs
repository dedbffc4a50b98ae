//! The layer around the service: no call gets in without a session, whatever it asks for.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::Ticket;
use arrow_flight::flight_service_server::FlightServiceServer;
use futures::FutureExt;
use scrim_model::{Code, Refusal};
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::request::Parts;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::admin::{Shown as OperatorShown, open_token};
use crate::flight::{Caller, Flight, Peer, Standing, bearer, bearer_header};
use crate::status::to_status;
use crate::wire::{DoGetCodec, Message, Outgoing};

const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";
const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";
const DO_ACTION: &str = "/arrow.flight.protocol.FlightService/DoAction";

/// Bytes of a request's message.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The Flight service behind its door. All methods but the handshake, unknown ones included, first
/// need a session; handlers find it as [`Caller`] in the request's extensions. An action may show an
/// operator's token instead.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    flight: Arc<Flight>,
    service: FlightServiceServer<Flight>,
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// How a caller shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// By a token, which is followed by a fresh one in time.
    Token,
    /// By the certificate of its connection alone.
    Certificate,
}

impl Door {
    /// Puts the door in front of a service.
    pub(crate) fn new(flight: Arc<Flight>) -> Self {
        let service = FlightServiceServer::from_arc(Arc::clone(&flight))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        Self { flight, service }
    }

    /// Who calls, and how they show it. A token is enough, beside a certificate of the same account
    /// or none; so is a certificate that stands for an account.
    async fn caller(&self, head: &Parts) -> Result<(Caller, Shown), Refusal> {
        let peer = Peer::of(&head.extensions);
        let standing = self.flight.standing(&peer)?;
        let (session, shown) = match (token(&head.headers)?, &standing) {
            (Some(token), _) => {
                let session = self.flight.verify(token)?;
                standing.agrees_with(&session.principal.get().id)?;
                (session, Shown::Token)
            }
            (None, Standing::Account(certified)) => {
                let session = self.flight.session_of(certified, &peer).await?;
                (session, Shown::Certificate)
            }
            (None, Standing::Stranger(_) | Standing::Unknown) => {
                return Err(standing.no_credentials());
            }
        };
        Ok((Caller::new(session, &peer, &head.headers)?, shown))
    }

    /// Whoever shows, for an action, that they hold the server's key file; to everything else such a
    /// token is none.
    fn operator(&self, head: &Parts) -> Option<OperatorShown> {
        if head.uri.path() != DO_ACTION {
            return None;
        }
        let token = token(&head.headers).ok()??;
        open_token(&self.flight.sealer, token, self.flight.clock.now())
    }

    async fn answer(mut self, request: http::Request<Body>) -> http::Response<Body> {
        if request.uri().path() == HANDSHAKE {
            return self.pass(request).await;
        }
        let (mut head, body) = request.into_parts();
        if let Some(shown) = self.operator(&head) {
            head.extensions.insert(shown);
            return self.pass(http::Request::from_parts(head, body)).await;
        }
        let (caller, shown) = match self.caller(&head).await {
            Ok(caller) => caller,
            Err(refusal) => return to_status(&refusal, None).into_http(),
        };
        let session = caller.session.clone();
        head.extensions.insert(caller);
        let request = http::Request::from_parts(head, body);
        let mut response = self.pass(request).await;
        // An answer that begins with a status is a refusal.
        if !response.headers().contains_key(Status::GRPC_STATUS)
            && let Some(renewal) = self.flight.renew(&session).await
            && shown == Shown::Token
            && let Some(value) = bearer_header(&renewal.token)
        {
            response.headers_mut().insert("authorization", value);
        }
        response
    }

    async fn pass(&mut self, request: http::Request<Body>) -> http::Response<Body> {
        let answered = if request.uri().path() == DO_GET {
            do_get(Arc::clone(&self.flight), request).await
        } else {
            self.service.call(request).await
        };
        let Ok(response) = answered;
        response
    }
}

/// The bearer token of a request; nothing when it brings no credentials at all.
fn token(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all("authorization").iter();
    let token = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(bearer),
        (Some(_), Some(_)) => None,
    };
    token.map(Some).ok_or_else(|| {
        Refusal::new(
            Code::Unauthenticated,
            "expected one header `authorization: Bearer` with the token of a handshake; sign in with \
             account and password first",
        )
    })
}

impl NamedService for Door {
    const NAME: &'static str = "arrow.flight.protocol.FlightService";
}

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Box::pin(contained(self.clone().answer(request)))
    }
}

/// A panic in a handler is an error of its request and of nothing else.
async fn contained(
    answer: impl Future<Output = http::Response<Body>>,
) -> Result<http::Response<Body>, Infallible> {
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    let panicked = |_| to_status(&Refusal::internal("a handler panicked"), None).into_http();
    Ok(answered.unwrap_or_else(panicked))
}

/// The generated service would copy every batch once more than ours does.
fn do_get(flight: Arc<Flight>, request: http::Request<Body>) -> Answer {
    Box::pin(async move {
        let mut grpc = Grpc::new(DoGetCodec).max_decoding_message_size(REQUEST_BYTES_MAX);
        Ok(grpc.server_streaming(DoGet(flight), request).await)
    })
}

struct DoGet(Arc<Flight>);

impl ServerStreamingService<Ticket> for DoGet {
    type Response = Message;
    type ResponseStream = Outgoing;
    type Future = BoxFuture<Response<Outgoing>, Status>;

    fn call(&mut self, request: Request<Ticket>) -> Self::Future {
        let flight = Arc::clone(&self.0);
        Box::pin(async move { flight.stream(request).await.map(Response::new) })
    }
}
