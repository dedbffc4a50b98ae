//! Who asks and in what circumstances, as the transport knows it.

use std::net::IpAddr;

use scrim_engine::Ask;
use scrim_identity::Session;
use scrim_model::{Context, Refusal};
use tokio::time::Instant;
use tonic::codegen::http;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use super::Flight;
use super::settings::Settings;
use crate::clock;

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
}

impl Caller {
    /// Reads a request's head.
    pub(crate) fn new<B>(session: Session, request: &http::Request<B>) -> Result<Self, Refusal> {
        let headers = request.headers();
        let client = headers
            .get("user-agent")
            .and_then(|value| value.to_str().ok());
        Ok(Self {
            session,
            address: peer(request),
            client: client.map(|text| text.chars().take(CLIENT_CHARS_MAX).collect()),
            stated: Settings::of_headers(headers)?,
            deadline: clock::deadline(headers)
                .and_then(|timeout| Instant::now().checked_add(timeout)),
        })
    }

    /// The principal's id.
    pub(crate) fn principal(&self) -> &str {
        &self.session.principal.get().id
    }
}

/// The address at the other end of the socket.
pub(crate) fn peer<B>(request: &http::Request<B>) -> Option<IpAddr> {
    let extensions = request.extensions();
    let tls = extensions
        .get::<TlsConnectInfo<TcpConnectInfo>>()
        .map(TlsConnectInfo::get_ref);
    let info = tls.or_else(|| extensions.get::<TcpConnectInfo>())?;
    Some(info.remote_addr()?.ip().to_canonical())
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
