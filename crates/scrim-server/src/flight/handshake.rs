//! Signing in: the four forms of handshake that drivers use.

use std::net::IpAddr;
use std::sync::Arc;

use arrow_flight::HandshakeResponse;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use scrim_identity::{Session, SignedIn};
use scrim_ledger::Event;
use scrim_model::{Code, Refusal, Secret};
use tokio::sync::Semaphore;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};
use zeroize::Zeroizing;

use super::{Flight, session_ended};
use crate::status::to_status;

/// ADBC leaves the padding out, all others put it in.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of an `authorization` header that are looked at.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// Log-ins that may wait for their turn.
const WAITING_MAX: usize = 256;

/// How many passwords are checked at once: each check costs much memory and time, on purpose.
#[derive(Debug)]
pub(crate) struct Logins {
    waiting: Semaphore,
    checking: Arc<Semaphore>,
}

impl Default for Logins {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            waiting: Semaphore::new(WAITING_MAX),
            checking: Arc::new(Semaphore::new(cores.min(4))),
        }
    }
}

/// What a handshake brings.
enum Credentials {
    Basic {
        user: String,
        password: Secret<String>,
    },
    Bearer(String),
}

impl Flight {
    /// Answers a handshake. Nothing is read from the request's stream: some clients close their
    /// side only after the answer.
    pub(crate) async fn sign_in(
        &self,
        metadata: &MetadataMap,
        address: Option<IpAddr>,
    ) -> Result<Response<HandshakeResponse>, Status> {
        let token = match credentials(metadata).map_err(|refusal| to_status(&refusal, None))? {
            Credentials::Bearer(token) => {
                self.verify(&token)
                    .map_err(|refusal| to_status(&refusal, None))?;
                Secret::new(token)
            }
            Credentials::Basic { user, password } => self
                .login(user, password, address)
                .await
                .map_err(|refusal| to_status(&refusal, None))?,
        };
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        let value = bearer
            .parse()
            .map_err(|_| to_status(&Refusal::internal("the token is no header value"), None))?;
        let payload = Bytes::copy_from_slice(token.expose().as_bytes());
        let mut response = Response::new(HandshakeResponse {
            protocol_version: 0,
            payload,
        });
        // JDBC reads the token from the initial headers only.
        response.metadata_mut().insert("authorization", value);
        Ok(response)
    }

    /// The session of a bearer token.
    pub(crate) fn verify(&self, token: &str) -> Result<Session, Refusal> {
        self.authenticator
            .verify(token, self.clock.now())
            .map_err(Into::into)
    }

    async fn login(
        &self,
        user: String,
        password: Secret<String>,
        address: Option<IpAddr>,
    ) -> Result<Secret<String>, Refusal> {
        let busy = || {
            Refusal::new(
                Code::Throttled,
                "too many log-ins at once; try again in a moment",
            )
        };
        let _waiting = self.logins.waiting.try_acquire().map_err(|_| busy())?;
        let place = Arc::clone(&self.logins.checking)
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        let (authenticator, now, name) = (
            Arc::clone(&self.authenticator),
            self.clock.now(),
            user.clone(),
        );
        let checked = tokio::task::spawn_blocking(move || {
            let signed_in = authenticator.login(&user, &password, address, now);
            drop(place);
            signed_in
        });
        let signed_in = checked
            .await
            .map_err(Refusal::internal)?
            .map_err(Refusal::from);
        self.record_login(&name, address, &signed_in).await?;
        Ok(signed_in?.token)
    }

    /// No session without its record.
    async fn record_login(
        &self,
        account: &str,
        address: Option<IpAddr>,
        signed_in: &Result<SignedIn, Refusal>,
    ) -> Result<(), Refusal> {
        let event = match signed_in {
            Ok(SignedIn { session, .. }) => {
                let principal = session.principal.get();
                Event::SignedIn {
                    principal: principal.id.clone(),
                    org: principal.org.clone(),
                    session: session.id,
                    address,
                    expires: session.expires,
                }
            }
            // A storm of throttled attempts must not become a storm of entries.
            Err(refusal) if refusal.code() == Code::Throttled => {
                tracing::warn!(?address, "log-in throttled");
                return Ok(());
            }
            Err(refusal) => Event::SignInRefused {
                account: account.chars().take(128).collect(),
                address,
                code: refusal.code(),
            },
        };
        self.ledger.event(event).await.map_err(Into::into)
    }

    /// Closes a caller's session: its token is refused from now on.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Refusal> {
        self.authenticator.close(session.id, self.clock.now());
        self.sessions.close(session.id);
        self.bindings.close_session(session.id);
        self.streams.end_session(session.id, &session_ended());
        let event = Event::SessionClosed {
            principal: session.principal.get().id.clone(),
            session: session.id,
            expires: session.expires,
        };
        self.ledger.event(event).await.map_err(Into::into)
    }
}

fn unauthenticated(message: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, message)
}

fn credentials(metadata: &MetadataMap) -> Result<Credentials, Refusal> {
    let mut values = metadata.get_all("authorization").iter();
    let value = values.next().ok_or_else(|| {
        unauthenticated(
            "no credentials; send the header `authorization: Basic` with account and password, \
             or `authorization: Bearer` with a token",
        )
    })?;
    let text = value
        .to_str()
        .ok()
        .filter(|text| text.len() <= HEADER_BYTES_MAX && values.next().is_none())
        .ok_or_else(|| unauthenticated("the `authorization` header is not understood"))?;
    match scheme(text) {
        Some(("basic", encoded)) => basic(encoded),
        Some(("bearer", token)) => Ok(Credentials::Bearer(token.to_owned())),
        _ => Err(unauthenticated(
            "expected `authorization: Basic` or `authorization: Bearer`",
        )),
    }
}

/// Scheme in lower case, and what follows it.
fn scheme(text: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = text.trim().split_once(' ')?;
    ["basic", "bearer"]
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known))
        .map(|known| (known, rest.trim()))
}

/// The token of an `authorization: Bearer` header.
pub(crate) fn bearer(text: &str) -> Option<&str> {
    match scheme(text) {
        Some(("bearer", token)) if text.len() <= HEADER_BYTES_MAX => Some(token),
        _ => None,
    }
}

fn basic(encoded: &str) -> Result<Credentials, Refusal> {
    let malformed = || unauthenticated("the Basic credentials are not base64 of account:password");
    let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| malformed())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    // Only the first colon parts: passwords may hold more.
    let (user, password) = text.split_once(':').ok_or_else(malformed)?;
    Ok(Credentials::Basic {
        user: user.to_owned(),
        password: Secret::new(password.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<Credentials, Refusal> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", header.parse().unwrap());
        credentials(&metadata)
    }

    fn check_basic(header: &str, user: &str, password: &str) {
        match read(header) {
            Ok(Credentials::Basic {
                user: u,
                password: p,
            }) => {
                assert_eq!(
                    (u.as_str(), p.expose().as_str()),
                    (user, password),
                    "{header}"
                );
            }
            _ => panic!("{header}"),
        }
    }

    #[test]
    fn padded_and_unpadded_basic_with_colons_in_the_password() {
        check_basic("Basic YWxpY2U6cw==", "alice", "s");
        check_basic("Basic YWxpY2U6cw", "alice", "s");
        check_basic("basic YWxpY2U6YTpiOmM=", "alice", "a:b:c");
        check_basic("BASIC  YWxpY2U6YTpiOmM ", "alice", "a:b:c");
        check_basic("Basic YWxpY2U6", "alice", "");
    }

    #[test]
    fn bearer_in_any_case() {
        for header in ["Bearer t.o-k_en", "bearer t.o-k_en", "BEARER t.o-k_en"] {
            assert!(matches!(read(header), Ok(Credentials::Bearer(token)) if token == "t.o-k_en"));
            assert_eq!(bearer(header), Some("t.o-k_en"));
        }
        assert_eq!(bearer("Basic YWxpY2U6cw=="), None);
    }

    #[test]
    fn malformed_credentials_are_unauthenticated_never_internal() {
        for header in [
            "",
            "Basic",
            "Basic !!!",
            "Basic YWxpY2U=",
            "Digest x",
            "YWxpY2U6cw==",
        ] {
            let refusal = read(header).err().unwrap();
            assert_eq!(refusal.code(), Code::Unauthenticated, "{header}");
        }
        assert!(credentials(&MetadataMap::new()).is_err());
        let mut twice = MetadataMap::new();
        twice.append("authorization", "Bearer a".parse().unwrap());
        twice.append("authorization", "Bearer b".parse().unwrap());
        assert!(credentials(&twice).is_err());
    }
}
