//! The standard health service of gRPC: whether the server serves, whether all sources are there, and
//! whether the policies in force are those of the folder.
//!
//! It is asked without credentials and tells nothing else.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as Service, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// The name under which the state of the sources is asked; the server as a whole has no name.
const SOURCES: &str = "scrim.sources";
/// The name under which it is asked whether what the folder of policies says is in force.
const POLICIES: &str = "scrim.policies";
/// Bytes of a request: it holds a name.
const REQUEST_BYTES_MAX: usize = 1024;

/// What the health service says.
#[derive(Debug, Clone)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// A server that serves, with which all is well, and the service that says so.
    pub(crate) async fn new() -> (Self, HealthServer<impl Service>) {
        let (reporter, service) = health_reporter();
        let health = Self(reporter);
        health.tell(true, true).await;
        (health, service.max_decoding_message_size(REQUEST_BYTES_MAX))
    }

    /// Says whether all sources are there, and whether the policies of the folder are in force.
    pub(crate) async fn tell(&self, sources: bool, policies: bool) {
        for (name, good) in [(SOURCES, sources), (POLICIES, policies)] {
            let status = if good {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            self.0.set_service_status(name, status).await;
        }
    }

    /// Says nothing any more: those who watch are let go, for a server waits for them when it stops.
    pub(crate) async fn end(&mut self) {
        self.0.clear_service_status("").await;
        for name in [SOURCES, POLICIES] {
            self.0.clear_service_status(name).await;
        }
    }
}
