//! What clients carry for us, sealed so that they can neither read nor change it.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use scrim_model::Secret;

use crate::IdentityError;

/// The version of the form, in front of every sealed text.
const VERSION: &str = "s1";
const NONCE_BYTES: usize = 24;
/// Longer texts are refused before anything is decoded.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// Why a sealed text cannot be opened; clients learn no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text was not sealed here for this purpose, or it was changed")]
pub struct SealError;

/// Seals bytes into text with the newest key and opens text that was sealed with any key.
///
/// The text is `s1.<key id>.<base64url>`, without padding, of a random nonce and what
/// XChaCha20-Poly1305 makes of the bytes; version, key id and purpose are authenticated with them,
/// so a session's token is never a ticket.
#[derive(Clone)]
pub struct Sealer {
    /// The newest last.
    keys: Arc<Vec<(String, XChaCha20Poly1305)>>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id).collect();
        write!(f, "Sealer({ids:?})")
    }
}

impl Sealer {
    pub(crate) fn new<'a>(keys: impl Iterator<Item = (&'a str, &'a Secret<[u8; 32]>)>) -> Self {
        let keys =
            keys.map(|(id, key)| (id.to_owned(), XChaCha20Poly1305::new(key.expose().into())));
        Self {
            keys: Arc::new(keys.collect()),
        }
    }

    /// Seals bytes for a purpose.
    pub fn seal(&self, purpose: &str, plaintext: &[u8]) -> Result<String, IdentityError> {
        let (id, cipher) = self.keys.last().ok_or(IdentityError::Seal)?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| IdentityError::Random(error.to_string()))?;
        let aad = associated(id, purpose);
        let payload = Payload {
            msg: plaintext,
            aad: &aad,
        };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| IdentityError::Seal)?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{VERSION}.{id}.{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for the same purpose.
    pub fn open(&self, purpose: &str, text: &str) -> Result<Vec<u8>, SealError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SealError);
        }
        let mut parts = text.splitn(3, '.');
        let (Some(VERSION), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(SealError);
        };
        let (_, cipher) = self
            .keys
            .iter()
            .find(|(known, _)| known == id)
            .ok_or(SealError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealError)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError)?;
        let aad = associated(id, purpose);
        let payload = Payload {
            msg: sealed,
            aad: &aad,
        };
        cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| SealError)
    }
}

/// Version, key id and purpose so that no two triples give the same bytes; ids hold no NUL.
fn associated(id: &str, purpose: &str) -> Vec<u8> {
    [
        VERSION.as_bytes(),
        b"\0",
        id.as_bytes(),
        b"\0",
        purpose.as_bytes(),
    ]
    .concat()
}
