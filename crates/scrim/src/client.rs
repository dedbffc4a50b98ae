//! A Flight SQL client: signs in, states its purpose, asks, and streams the answer.

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightInfo, HandshakeRequest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use futures::TryStreamExt;
use scrim_model::Secret;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::render::text::printable;

/// Messages of other servers than ours may be larger than gRPC's usual 4 MiB.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The certificates of a connection.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// A certificate (PEM) to trust, for grpc+tls [default: the configuration's, with its key file]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The certificate (PEM) to show to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The private key (PEM) of the certificate to show
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The address is not one.
    #[error(
        "`{0}` is no address of a server: write it like grpc://127.0.0.1:50051 or grpc+tls://data.example.org:50051"
    )]
    Url(String),
    /// The certificate to trust is needed and was not given.
    #[error("a grpc+tls:// address needs the certificate to trust: add --ca FILE")]
    NoCertificate,
    /// A certificate or its key cannot be read.
    #[error("cannot read {}", .0.display())]
    Certificate(PathBuf, #[source] std::io::Error),
    /// Nobody answers.
    #[error("cannot reach {url}")]
    Connect {
        /// The address.
        url: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The server said no; its message begins with a stable code.
    #[error("{}", said(.0))]
    Refused(Box<Status>),
    /// The answer cannot be understood.
    #[error("the server's answer cannot be understood")]
    Protocol(#[source] FlightError),
    /// The answer lacks something.
    #[error("the server's answer lacks {0}")]
    Lacks(&'static str),
    /// A header that cannot be sent.
    #[error("{0} cannot be sent: take its line breaks and control characters out")]
    Header(&'static str),
}

impl ClientError {
    /// Whether the mistake is in what was asked for, rather than in the answer.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Url(_) | Self::NoCertificate | Self::Certificate(..) | Self::Header(_) => true,
            Self::Connect { .. } | Self::Refused(_) | Self::Protocol(_) | Self::Lacks(_) => false,
        }
    }
}

fn said(status: &Status) -> String {
    if status.message().is_empty() {
        return format!("the server said {}", status.code());
    }
    printable(status.message())
}

impl From<FlightError> for ClientError {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => Self::Refused(status),
            other => Self::Protocol(other),
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// A connection to a server, signed in.
#[derive(Debug)]
pub(crate) struct Client {
    flight: FlightSqlServiceClient<Channel>,
}

/// What the session states about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements {
    /// The purpose for which it asks.
    pub(crate) purpose: Option<String>,
    /// The one agreement under which it wants to act.
    pub(crate) agreement: Option<String>,
}

impl Statements {
    /// Headers carry no control characters.
    fn check(&self) -> Result<(), ClientError> {
        for (name, value) in [
            ("the purpose", &self.purpose),
            ("the agreement", &self.agreement),
        ] {
            if let Some(value) = value {
                value
                    .parse::<AsciiMetadataValue>()
                    .map_err(|_| ClientError::Header(name))?;
            }
        }
        Ok(())
    }
}

/// The answer to one statement.
pub(crate) struct Answer {
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Its batches, endpoint after endpoint.
    streams: Vec<FlightRecordBatchStream>,
}

impl Client {
    /// Connects and signs in.
    pub(crate) async fn sign_in(
        url: &str,
        tls: &TlsArgs,
        user: &str,
        password: &Secret<String>,
        statements: &Statements,
    ) -> Result<Self, ClientError> {
        statements.check()?;
        let channel = connect(url, tls, None).await?;
        let mut inner =
            FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let token = handshake(&mut inner, user, password).await?;
        let mut flight = FlightSqlServiceClient::new_from_inner(inner);
        flight.set_token(token);
        if let Some(purpose) = &statements.purpose {
            flight.set_header("x-scrim-purpose", purpose);
        }
        if let Some(agreement) = &statements.agreement {
            flight.set_header("x-scrim-agreement", agreement);
        }
        Ok(Self { flight })
    }

    /// Asks one statement.
    pub(crate) async fn ask(&mut self, sql: &str) -> Result<Answer, ClientError> {
        let info: FlightInfo = self.flight.execute(sql.to_owned(), None).await?;
        let mut streams = Vec::with_capacity(info.endpoint.len());
        for endpoint in &info.endpoint {
            let ticket = endpoint
                .ticket
                .clone()
                .ok_or(ClientError::Lacks("a ticket"))?;
            streams.push(self.flight.do_get(ticket).await?);
        }
        let schema = info
            .try_decode_schema()
            .map_err(|e| ClientError::Protocol(e.into()))?;
        Ok(Answer {
            schema: std::sync::Arc::new(schema),
            streams,
        })
    }
}

impl Answer {
    /// The next batch.
    pub(crate) async fn next(&mut self) -> Result<Option<arrow::array::RecordBatch>, ClientError> {
        while let Some(stream) = self.streams.first_mut() {
            if let Some(batch) = stream.try_next().await? {
                return Ok(Some(batch));
            }
            drop(self.streams.remove(0));
        }
        Ok(None)
    }
}

/// Connects. `name` is the one that the server's certificate must bear, when it is not the host's.
pub(crate) async fn connect(
    url: &str,
    tls: &TlsArgs,
    name: Option<String>,
) -> Result<Channel, ClientError> {
    let wrong = || ClientError::Url(url.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let failed = |source| ClientError::Connect {
        url: url.to_owned(),
        source,
    };
    let endpoint = match scheme {
        "grpc" | "grpc+tcp" | "http" => {
            Endpoint::from_shared(format!("http://{rest}")).map_err(|_| wrong())?
        }
        "grpc+tls" | "https" => {
            let ca = tls.ca.as_ref().ok_or(ClientError::NoCertificate)?;
            let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(ca)?));
            if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
                config = config.identity(Identity::from_pem(pem(cert)?, pem(key)?));
            }
            if let Some(name) = name {
                config = config.domain_name(name);
            }
            Endpoint::from_shared(format!("https://{rest}"))
                .map_err(|_| wrong())?
                .tls_config(config)
                .map_err(failed)?
        }
        _ => return Err(wrong()),
    };
    endpoint.tcp_nodelay(true).connect().await.map_err(failed)
}

pub(crate) fn pem(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|error| ClientError::Certificate(path.to_owned(), error))
}

/// Trades the password for a token. It is done by hand because the ready-made handshake turns the
/// server's answer into one text.
pub(crate) async fn handshake(
    client: &mut FlightServiceClient<Channel>,
    user: &str,
    password: &Secret<String>,
) -> Result<String, ClientError> {
    let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
    let mut request = Request::new(futures::stream::iter([HandshakeRequest::default()]));
    let mut value = format!("Basic {credentials}")
        .parse::<AsciiMetadataValue>()
        .map_err(|_| ClientError::Header("the password"))?;
    value.set_sensitive(true);
    request.metadata_mut().insert("authorization", value);
    let response = client.handshake(request).await?;
    response
        .metadata()
        .get("authorization")
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.strip_prefix("Bearer "))
        .map(str::to_owned)
        .ok_or(ClientError::Lacks("a token"))
}

#[cfg(test)]
mod tests {
    use scrim_model::Secret;

    use super::{Client, ClientError, Statements, TlsArgs};

    #[tokio::test]
    async fn a_purpose_that_no_header_can_carry_is_the_askers_mistake() {
        let statements = Statements {
            purpose: Some("fraud\nanalytics".to_owned()),
            agreement: None,
        };
        let password = Secret::new("demo".to_owned());
        let (url, tls) = ("grpc://127.0.0.1:1", TlsArgs::default());
        let signed_in = Client::sign_in(url, &tls, "nora", &password, &statements).await;
        let error = signed_in.unwrap_err();
        assert!(
            error.is_usage() && matches!(error, ClientError::Header(_)),
            "{error}"
        );
        assert!(error.to_string().starts_with("the purpose"), "{error}");
    }
}
