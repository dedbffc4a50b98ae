//! Signing in: the four forms of handshake that drivers use.

use arrow_flight::HandshakeResponse;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use scrim_model::{Code, Refusal, Secret};
use tonic::codegen::http::HeaderValue;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};
use zeroize::Zeroizing;

use super::Flight;
use super::peer::{Peer, Standing};
use crate::status::to_status;

/// ADBC leaves the padding out, all others put it in.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of an `authorization` header that are looked at.
const HEADER_BYTES_MAX: usize = 8 * 1024;

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
        peer: &Peer,
    ) -> Result<Response<HandshakeResponse>, Status> {
        let failed = |refusal: Refusal| to_status(&refusal, None);
        let token = self.token_for(metadata, peer).await.map_err(failed)?;
        let value = bearer_header(&token)
            .ok_or_else(|| failed(Refusal::internal("the token is no header value")))?;
        let payload = Bytes::copy_from_slice(token.expose().as_bytes());
        let mut response = Response::new(HandshakeResponse {
            protocol_version: 0,
            payload,
        });
        // JDBC reads the token from the initial headers only.
        response
            .metadata_mut()
            .as_mut()
            .insert("authorization", value);
        Ok(response)
    }

    async fn token_for(
        &self,
        metadata: &MetadataMap,
        peer: &Peer,
    ) -> Result<Secret<String>, Refusal> {
        let standing = self.standing(peer)?;
        match credentials(metadata)? {
            Some(Credentials::Bearer(token)) => {
                let session = self.verify(&token)?;
                standing.agrees_with(&session.principal.get().id)?;
                let renewal = self.renew(&session).await;
                Ok(renewal.map_or_else(|| Secret::new(token), |renewal| renewal.token))
            }
            Some(Credentials::Basic { user, password }) => {
                standing.agrees_with(&user)?;
                self.login(user, password, peer.ip()).await
            }
            None => match &standing {
                Standing::Account(certified) => {
                    Ok(self.open_certified(certified, peer).await?.token)
                }
                Standing::Stranger(_) | Standing::Unknown => Err(standing.no_credentials()),
            },
        }
    }
}

/// The header that carries a token.
pub(crate) fn bearer_header(token: &Secret<String>) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unauthenticated(message: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, message)
}

fn credentials(metadata: &MetadataMap) -> Result<Option<Credentials>, Refusal> {
    let mut values = metadata.get_all("authorization").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok()
        .filter(|text| text.len() <= HEADER_BYTES_MAX && values.next().is_none())
        .ok_or_else(|| unauthenticated("the `authorization` header is not understood"))?;
    match scheme(text) {
        Some(("basic", encoded)) => basic(encoded).map(Some),
        Some(("bearer", token)) => Ok(Some(Credentials::Bearer(token.to_owned()))),
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
        credentials(&metadata).map(Option::unwrap)
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
        assert!(credentials(&MetadataMap::new()).unwrap().is_none());
        let mut twice = MetadataMap::new();
        twice.append("authorization", "Bearer a".parse().unwrap());
        twice.append("authorization", "Bearer b".parse().unwrap());
        assert!(credentials(&twice).is_err());
    }
}
