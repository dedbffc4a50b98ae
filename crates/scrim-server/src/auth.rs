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
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::flight::{Caller, Flight, bearer};
use crate::status::to_status;
use crate::wire::{DoGetCodec, Message, Outgoing};

const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";
const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// Bytes of a request's message.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The Flight service behind its door. All methods but the handshake, unknown ones included, first
/// need a session; handlers find it as [`Caller`] in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    flight: Arc<Flight>,
    service: FlightServiceServer<Flight>,
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl Door {
    /// Puts the door in front of a service.
    pub(crate) fn new(flight: Arc<Flight>) -> Self {
        let service = FlightServiceServer::from_arc(Arc::clone(&flight))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        Self { flight, service }
    }

    fn caller(&self, request: &http::Request<Body>) -> Result<Caller, Refusal> {
        let mut values = request.headers().get_all("authorization").iter();
        let token = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(bearer),
            (None, _) | (Some(_), Some(_)) => None,
        };
        let token = token.ok_or_else(|| {
            Refusal::new(
                Code::Unauthenticated,
                "expected one header `authorization: Bearer` with the token of a handshake; sign in \
                 with account and password first",
            )
        })?;
        Caller::new(self.flight.verify(token)?, request)
    }
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

    fn call(&mut self, mut request: http::Request<Body>) -> Answer {
        if request.uri().path() != HANDSHAKE {
            match self.caller(&request) {
                Ok(caller) => drop(request.extensions_mut().insert(caller)),
                Err(refusal) => {
                    let response = to_status(&refusal, None).into_http();
                    return Box::pin(std::future::ready(Ok(response)));
                }
            }
        }
        let answer = if request.uri().path() == DO_GET {
            do_get(Arc::clone(&self.flight), request)
        } else {
            self.service.call(request)
        };
        Box::pin(contained(answer))
    }
}

/// A panic in a handler is an error of its request and of nothing else.
async fn contained(answer: Answer) -> Result<http::Response<Body>, Infallible> {
    AssertUnwindSafe(answer)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Ok(to_status(&Refusal::internal("a handler panicked"), None).into_http())
        })
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
