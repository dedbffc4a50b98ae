//! What shows that somebody holds the server's key file: a token of a kind of its own, good for a
//! minute and for one request.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use scrim_identity::{IdentityError, Sealer};
use scrim_model::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What operators' tokens are sealed for: no session's token is one, and none of them is a session's.
const PURPOSE: &str = "operator";
/// How long a token is good for; also how far the clocks of both sides may be apart.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(60);
/// Characters of a name that are kept.
const NAME_CHARS_MAX: usize = 64;
/// Longer texts are not looked at.
const TOKEN_BYTES_MAX: usize = 4096;

/// Who asks, as the ledger names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// An account that may administer the server.
    Account(String),
    /// Somebody who holds the key file, with the name that they give.
    KeyFile(String),
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => f.write_str(id),
            Self::KeyFile(name) if name.is_empty() => f.write_str("key file"),
            Self::KeyFile(name) => write!(f, "key file ({name})"),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    issued: DateTime<Utc>,
    name: String,
    /// The SHA-256 of the request: who hears the token cannot ask for something else with it.
    request: [u8; 32],
}

/// An operator's token, before the request is known that it is good for.
#[derive(Debug, Clone)]
pub(crate) struct Shown(Claims);

/// Makes the token that shows that its maker holds the key file; `name` is what the ledger calls
/// them.
///
/// # Errors
/// Without randomness there is none.
pub fn operator_token(
    sealer: &Sealer,
    name: &str,
    request: &[u8],
    now: DateTime<Utc>,
) -> Result<Secret<String>, IdentityError> {
    let name = name.chars().filter(|c| !c.is_control());
    let claims = Claims {
        issued: now,
        name: name.take(NAME_CHARS_MAX).collect(),
        request: Sha256::digest(request).into(),
    };
    let bytes = serde_json::to_vec(&claims).map_err(|_| IdentityError::Seal)?;
    sealer.seal(PURPOSE, &bytes).map(Secret::new)
}

/// Reads a token, if it is an operator's and is good now.
pub(crate) fn open_token(sealer: &Sealer, token: &str, now: DateTime<Utc>) -> Option<Shown> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let bytes = sealer.open(PURPOSE, token).ok()?;
    let claims: Claims = serde_json::from_slice(&bytes).ok()?;
    let age = now.signed_duration_since(claims.issued).abs();
    (age <= GOOD_FOR).then_some(Shown(claims))
}

impl Shown {
    /// Who asks, if the token was made for this request.
    pub(crate) fn asks(self, request: &[u8]) -> Option<Operator> {
        let hash: [u8; 32] = Sha256::digest(request).into();
        (hash == self.0.request).then_some(Operator::KeyFile(self.0.name))
    }
}

#[cfg(test)]
mod tests {
    use scrim_identity::KeyFile;

    use super::*;

    #[test]
    fn a_token_is_good_for_a_minute_for_its_request_and_its_keys() {
        let now: DateTime<Utc> = "2026-03-02T12:00:00Z".parse().unwrap();
        let keys = KeyFile::generate(now).unwrap();
        let token = operator_token(&keys.sealer(), "ro\not", b"reload", now).unwrap();
        let open_at = |seconds| {
            let at = now + TimeDelta::seconds(seconds);
            open_token(&keys.sealer(), token.expose(), at)
        };
        for seconds in [-60, 0, 60] {
            let operator = open_at(seconds).and_then(|shown| shown.asks(b"reload"));
            assert_eq!(operator.unwrap().to_string(), "key file (root)");
        }
        assert!(open_at(61).is_none() && open_at(-61).is_none());
        assert!(open_at(0).unwrap().asks(b"rollback").is_none());
        let others = KeyFile::generate(now).unwrap();
        assert!(open_token(&others.sealer(), token.expose(), now).is_none());
        let session = keys.sealer().seal("session", b"{}").unwrap();
        assert!(open_token(&keys.sealer(), &session, now).is_none());
    }
}
