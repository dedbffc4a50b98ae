//! Who asks and in what circumstances, as the transport knows it.

use std::net::IpAddr;

use scrim_engine::Ask;
use scrim_identity::Session;
use scrim_model::{Context, Refusal};
use tokio::time::Instant;
use tonic::codegen::http::HeaderMap;

use super::Flight;
use super::headers;
use super::peer::Peer;
use super::settings::Settings;
use crate::clock;
use crate::wire::Compression;

/// Characters of what a client calls itself that are kept.
const CLIENT_CHARS_MAX: usize = 200;

/// One authenticated request but its command.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Proof of who asks.
    pub(crate) session: Session,
    /// Where from: the socket's peer. Forwarded addresses are anybody's claim and are not read.
    pub(crate) address: Option<IpAddr>,
    /// What the client calls itself.
    pub(crate) client: Option<String>,
    /// Settings stated in this request's headers.
    pub(crate) stated: Settings,
    /// When the client stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// How a result is compressed.
    pub(crate) compression: Option<Compression>,
}

impl Caller {
    /// Reads a request's head.
    pub(crate) fn new(session: Session, peer: &Peer, headers: &HeaderMap) -> Result<Self, Refusal> {
        let client = headers
            .get("user-agent")
            .and_then(|value| value.to_str().ok());
        Ok(Self {
            session,
            address: peer.ip(),
            client: client.map(|text| text.chars().take(CLIENT_CHARS_MAX).collect()),
            stated: Settings::of_headers(headers)?,
            deadline: clock::deadline(headers)
                .and_then(|timeout| Instant::now().checked_add(timeout)),
            compression: headers::compression(headers)?,
        })
    }

    /// The principal's id.
    pub(crate) fn principal(&self) -> &str {
        &self.session.principal.get().id
    }
}

impl Flight {
    /// What holds for a request: what its headers state, else what its session was told.
    pub(crate) fn effective(&self, caller: &Caller) -> Settings {
        let session = self.sessions.get(caller.session.id);
        caller.stated.clone().or(session)
    }

    /// The standing of a caller under these settings, now.
    pub(crate) fn ask(&self, caller: &Caller, settings: &Settings) -> Ask {
        let context = Context {
            ip: caller.address,
            networks: caller
                .address
                .map(|ip| self.networks.containing(ip))
                .unwrap_or_default(),
            client: caller.client.clone(),
            ..Context::at(self.clock.now())
        };
        Ask {
            principal: caller.session.principal.clone(),
            context,
            settings: settings.stated.clone(),
            session: Some(caller.session.id),
            default_schema: settings.schema.clone(),
            time_zone: settings.time_zone.clone(),
        }
    }
}
