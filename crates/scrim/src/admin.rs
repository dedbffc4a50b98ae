//! Asking a running server as its operator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use futures::TryStreamExt as _;
use scrim_identity::{read_key_file, server_name};
use scrim_model::{Clock as _, Secret, SystemClock};
use scrim_server::Config;
use scrim_server::admin::{
    ACTION, AccessReply, AdminRequest, DocumentsReply, LoadReply, Status, decode, operator_token,
};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use url::Url;

use crate::client::{ClientError, TlsArgs, connect, handshake, pem};
use crate::commands::read_password;
use crate::outcome::Failure;

/// Which server, and as whom. On its own machine the configuration says it all: whoever can read the
/// key file that it names is an operator. From elsewhere an account that `administrators` names signs
/// in.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The configuration of the server, on its own machine
    #[arg(long, value_name = "FILE", default_value = "scrim.yaml")]
    pub config: PathBuf,
    /// The server, as grpc://HOST:PORT or grpc+tls://HOST:PORT [default: the configuration's address]
    #[arg(long)]
    pub url: Option<String>,
    /// The account to sign in with, instead of the key file
    #[arg(long, requires_all = ["url", "password_file"])]
    pub user: Option<String>,
    /// A file whose first line is the password; `-` reads it from standard input
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// The certificates of the connection. Without one to trust it is the configuration's.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// A connection to a server whose operator we are.
#[derive(Debug)]
pub struct Admin {
    flight: FlightServiceClient<Channel>,
    right: Right,
}

/// What shows that we are an operator.
#[derive(Debug)]
enum Right {
    Session(String),
    Keys(scrim_identity::KeyFile),
}

impl Admin {
    /// Connects, and signs in if it is by an account.
    pub async fn connect(arguments: &ServerArgs) -> Result<Self, Failure> {
        if let (Some(url), Some(user), Some(file)) =
            (&arguments.url, &arguments.user, &arguments.password_file)
        {
            let password = read_password(file)?;
            let channel = connect(url, &arguments.tls, None).await?;
            let mut flight = FlightServiceClient::new(channel);
            let token = handshake(&mut flight, user, &password).await?;
            let right = Right::Session(token);
            return Ok(Self { flight, right });
        }
        let config = Config::load(&arguments.config)?;
        let keys = read_key_file(&config.keys).map_err(|error| Failure::usage(&error))?;
        let url = match &arguments.url {
            Some(url) => url.clone(),
            None => own_url(&config)?,
        };
        let mut tls = arguments.tls.clone();
        let mut name = None;
        if let Some(own) = &config.tls {
            let required = own.clients.as_ref().is_some_and(|clients| clients.required);
            if required && tls.cert.is_none() {
                let message = "the server lets nobody connect without a client certificate \
                               (`client_auth: required`): add --cert and --key with one that its \
                               `client_ca` issued, whether or not it stands for an account";
                return Err(Failure::Usage(message.to_owned()));
            }
            name = own_certificate_name(&url, &own.cert)?;
            tls.ca.get_or_insert_with(|| own.cert.clone());
        }
        let channel = connect(&url, &tls, name).await?;
        Ok(Self {
            flight: FlightServiceClient::new(channel),
            right: Right::Keys(keys),
        })
    }

    /// How the server is.
    pub async fn status(&mut self) -> Result<Status, Failure> {
        read(&self.ask(&AdminRequest::Status).await?)
    }

    /// Puts in force what the folder of policies says now.
    pub async fn reload(&mut self) -> Result<LoadReply, Failure> {
        read(&self.ask(&AdminRequest::Reload).await?)
    }

    /// Puts the version in force that begins so.
    pub async fn roll_back(&mut self, version: &str) -> Result<LoadReply, Failure> {
        let version = version.to_owned();
        read(&self.ask(&AdminRequest::Rollback { version }).await?)
    }

    /// The policies in force.
    pub async fn documents(&mut self) -> Result<DocumentsReply, Failure> {
        read(&self.ask(&AdminRequest::Documents).await?)
    }

    /// Changes somebody's access: a request of that kind.
    pub async fn change_access(&mut self, change: &AdminRequest) -> Result<AccessReply, Failure> {
        read(&self.ask(change).await?)
    }

    /// Asks, and gives the reply as it came.
    pub async fn ask(&mut self, request: &AdminRequest) -> Result<Vec<u8>, Failure> {
        let body = request.encode().map_err(|e| Failure::failed(&e))?;
        let token = match &self.right {
            Right::Session(token) => Secret::new(token.clone()),
            Right::Keys(keys) => {
                let token = operator_token(&keys.sealer(), &own_name(), &body, SystemClock.now());
                token.map_err(|error| Failure::failed(&error))?
            }
        };
        let mut request = Request::new(Action {
            r#type: ACTION.to_owned(),
            body: body.into(),
        });
        let mut value = format!("Bearer {}", token.expose())
            .parse::<AsciiMetadataValue>()
            .map_err(|_| ClientError::Header("the token"))?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
        let answer = self.flight.do_action(request).await;
        let mut parts = answer.map_err(ClientError::from)?.into_inner();
        let mut reply = Vec::new();
        while let Some(part) = parts.try_next().await.map_err(ClientError::from)? {
            reply.extend_from_slice(&part.body);
        }
        Ok(reply)
    }
}

fn read<R: scrim_server::admin::Reply>(reply: &[u8]) -> Result<R, Failure> {
    decode(reply).map_err(|error| {
        Failure::Failed(format!(
            "the server's answer cannot be understood, it may be of another version: {error}"
        ))
    })
}

/// Where a server listens that runs under this configuration on this machine.
fn own_url(config: &Config) -> Result<String, Failure> {
    let at = config.listen.flight;
    if at.port() == 0 {
        let message = "the configuration lets the system choose the port: add --url with the address \
                       that the server printed";
        return Err(Failure::Usage(message.to_owned()));
    }
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if config.tls.is_some() {
        "grpc+tls"
    } else {
        "grpc"
    };
    Ok(format!("{scheme}://{}", SocketAddr::new(ip, at.port())))
}

/// The name that a server at an address must show: that in the configuration's certificate. A
/// certificate seldom bears an address.
fn own_certificate_name(url: &str, cert: &Path) -> Result<Option<String>, Failure> {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<IpAddr>().is_err() {
        return Ok(None);
    }
    Ok(first_certificate(&pem(cert)?).and_then(|der| server_name(&der)))
}

/// The first certificate of a PEM file, which is the server's own.
fn first_certificate(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, from) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = from.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}

/// What we call ourselves in the ledger: the name of whoever runs this.
pub(crate) fn own_name() -> String {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(std::env::var_os);
    let name = named.map(|name| name.to_string_lossy().into_owned()).next();
    name.unwrap_or_default()
}
