//! The standard health service of gRPC: whether the server serves, and whether all sources are there.
//!
//! It is asked without credentials and tells nothing else.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as Service, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// The name under which the state of the sources is asked; the server as a whole has no name.
const SOURCES: &str = "scrim.sources";
/// Bytes of a request: it holds a name.
const REQUEST_BYTES_MAX: usize = 1024;

/// What the health service says.
#[derive(Debug, Clone)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// A server that serves, all of whose sources are there, and the service that says so.
    pub(crate) async fn new() -> (Self, HealthServer<impl Service>) {
        let (reporter, service) = health_reporter();
        let health = Self(reporter);
        health.tell(true).await;
        (health, service.max_decoding_message_size(REQUEST_BYTES_MAX))
    }

    /// Says whether all sources are there.
    pub(crate) async fn tell(&self, all: bool) {
        let status = if all {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.0.set_service_status(SOURCES, status).await;
    }

    /// Says nothing any more: those who watch are let go, for a server waits for them when it stops.
    pub(crate) async fn end(&mut self) {
        self.0.clear_service_status("").await;
        self.0.clear_service_status(SOURCES).await;
    }
}
