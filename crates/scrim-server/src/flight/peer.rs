//! Who is at the other end of a connection, as far as the transport knows.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use scrim_identity::{CertificateRefusal, Certified};
use scrim_model::{Code, Refusal};
use tonic::Extensions;
use tonic::transport::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use super::Flight;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its end of the socket. Forwarded addresses are anybody's claim and are not read.
    pub(crate) address: Option<SocketAddr>,
    /// The certificates that it showed in the TLS handshake, its own first; their issuer is one
    /// that the configuration trusts.
    chain: Option<Arc<Vec<CertificateDer<'static>>>>,
}

impl Peer {
    /// The other end of a request's connection.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
        let tcp = tls
            .map(TlsConnectInfo::get_ref)
            .or_else(|| extensions.get::<TcpConnectInfo>());
        Self {
            address: tcp.and_then(TcpConnectInfo::remote_addr),
            chain: tls.and_then(TlsConnectInfo::peer_certs),
        }
    }

    /// Its address alone.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip().to_canonical())
    }
}

/// What the certificate of a connection says about who calls.
#[derive(Debug)]
pub(crate) enum Standing {
    /// There is none.
    Unknown,
    /// There is one that stands for no account: it takes credentials beside it.
    Stranger(CertificateRefusal),
    /// It stands for an account.
    Account(Certified),
}

impl Standing {
    /// Refuses credentials of another account than the certificate's: one of them is in the wrong
    /// hands.
    pub(crate) fn agrees_with(&self, account: &str) -> Result<(), Refusal> {
        match self {
            Self::Account(certified) if certified.account() != account => {
                tracing::warn!(
                    certificate = certified.account(),
                    account,
                    "credentials of another account than the client certificate's"
                );
                Err(Refusal::new(
                    Code::Unauthenticated,
                    "the credentials are those of another account than the client certificate's; \
                     sign in as the certificate's account, or connect without it",
                ))
            }
            Self::Account(_) | Self::Stranger(_) | Self::Unknown => Ok(()),
        }
    }

    /// What a caller without credentials is told: how to bring some, in the words of their tool.
    pub(crate) fn no_credentials(&self) -> Refusal {
        let mut message = String::new();
        if let Self::Stranger(refusal) = self {
            message = format!("{refusal}, and there are ");
        }
        message.push_str(
            "no credentials: sign in with account and password (`user` and `password` in JDBC and \
             DBeaver, `username` and `password` in ADBC), or send the header `authorization: \
             Bearer` with a token of this server",
        );
        Refusal::new(Code::Unauthenticated, message)
    }
}

impl Flight {
    /// What a connection's certificate says, now.
    pub(crate) fn standing(&self, peer: &Peer) -> Result<Standing, Refusal> {
        let own = peer.chain.as_ref().and_then(|chain| chain.first());
        let Some(own) = own else {
            return Ok(Standing::Unknown);
        };
        match self.authenticator.certified(own, self.clock.now()) {
            Ok(certified) => Ok(Standing::Account(certified)),
            Err(refusal @ CertificateRefusal::Unmapped(_)) => Ok(Standing::Stranger(refusal)),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
