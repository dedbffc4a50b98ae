//! What shows that somebody holds the server's key file: a token of a kind of its own, good for a
//! minute, for one request, and once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

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
/// Tokens that are remembered since they were used and could be shown again; beyond them none is
/// taken.
const USED_MAX: usize = 4096;

/// What tells one token from another.
type Nonce = [u8; 16];

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
    nonce: Nonce,
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
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(|e| IdentityError::Random(e.to_string()))?;
    let claims = Claims {
        issued: now,
        nonce,
        name: shown_name(name),
        request: Sha256::digest(request).into(),
    };
    let bytes = serde_json::to_vec(&claims).map_err(|_| IdentityError::Seal)?;
    sealer.seal(PURPOSE, &bytes).map(Secret::new)
}

/// A name as the ledger can hold it.
fn shown_name(name: &str) -> String {
    let name = name.chars().filter(|c| !c.is_control());
    name.take(NAME_CHARS_MAX).collect()
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

/// The tokens that were used: who hears one cannot use it again, nor after a restart.
#[derive(Debug)]
pub(crate) struct Used {
    started: DateTime<Utc>,
    /// When each is good no longer.
    tokens: Mutex<BTreeMap<Nonce, DateTime<Utc>>>,
}

impl Used {
    /// None yet, of a server that started then.
    pub(crate) fn new(started: DateTime<Utc>) -> Self {
        Self {
            started,
            tokens: Mutex::default(),
        }
    }

    /// Whether a token is used for the first time.
    fn first(&self, Claims { issued, nonce, .. }: &Claims, now: DateTime<Utc>) -> bool {
        // What was made before the start may have been used before it.
        if *issued < self.started {
            return false;
        }
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, end| now <= *end);
        if tokens.len() >= USED_MAX || tokens.contains_key(nonce) {
            return false;
        }
        tokens.insert(*nonce, *issued + GOOD_FOR);
        true
    }
}

impl Shown {
    /// Who asks, if the token was made for this request and was not used before.
    pub(crate) fn asks(self, request: &[u8], used: &Used, now: DateTime<Utc>) -> Option<Operator> {
        let Self(claims) = self;
        let hash: [u8; 32] = Sha256::digest(request).into();
        let is_good = hash == claims.request && used.first(&claims, now);
        is_good.then(|| Operator::KeyFile(shown_name(&claims.name)))
    }
}

#[cfg(test)]
mod tests {
    use scrim_identity::KeyFile;

    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-03-02T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_token_is_good_for_a_minute_for_its_request_and_its_keys() {
        let now = noon();
        let keys = KeyFile::generate(now).unwrap();
        let unused = || Used::new(now);
        let token = operator_token(&keys.sealer(), "ro\not", b"reload", now).unwrap();
        let open_at = |seconds| {
            let at = now + TimeDelta::seconds(seconds);
            open_token(&keys.sealer(), token.expose(), at)
        };
        for seconds in [-60, 0, 60] {
            let shown = open_at(seconds);
            let operator = shown.and_then(|shown| shown.asks(b"reload", &unused(), now));
            assert_eq!(operator.unwrap().to_string(), "key file (root)");
        }
        assert!(open_at(61).is_none() && open_at(-61).is_none());
        let other = open_at(0).unwrap().asks(b"rollback", &unused(), now);
        assert!(other.is_none());
        let others = KeyFile::generate(now).unwrap();
        assert!(open_token(&others.sealer(), token.expose(), now).is_none());
        let session = keys.sealer().seal("session", b"{}").unwrap();
        assert!(open_token(&keys.sealer(), &session, now).is_none());
    }

    #[test]
    fn a_token_is_good_once_and_none_is_from_before_the_start() {
        let now = noon();
        let sealer = KeyFile::generate(now).unwrap().sealer();
        let shown = || {
            let token = operator_token(&sealer, "root", b"reload", now).unwrap();
            open_token(&sealer, token.expose(), now).unwrap()
        };
        let used = Used::new(now);
        let one = shown();
        // With another request it is no token, and so not used.
        assert!(one.clone().asks(b"rollback", &used, now).is_none());
        assert!(one.clone().asks(b"reload", &used, now).is_some());
        assert!(one.asks(b"reload", &used, now).is_none());
        assert!(shown().asks(b"reload", &used, now).is_some());
        let later = Used::new(now + TimeDelta::nanoseconds(1));
        assert!(shown().asks(b"reload", &later, now).is_none());
    }

    #[test]
    fn inv_14_used_tokens_are_remembered_for_as_long_as_they_are_good_and_so_many() {
        let now = noon();
        let sealer = KeyFile::generate(now).unwrap().sealer();
        let used = Used::new(now);
        let ask = |at| {
            let token = operator_token(&sealer, "root", b"reload", at).unwrap();
            let shown = open_token(&sealer, token.expose(), at).unwrap();
            shown.asks(b"reload", &used, at)
        };
        for _ in 0..USED_MAX {
            assert!(ask(now).is_some());
        }
        assert!(ask(now + GOOD_FOR).is_none());
        assert!(ask(now + GOOD_FOR + TimeDelta::nanoseconds(1)).is_some());
        assert_eq!(used.tokens.lock().unwrap().len(), 1);
    }
}
