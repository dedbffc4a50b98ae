//! What can go wrong, and what of it the client is told.

use std::{io, path::PathBuf};

use scrim_model::{Code, Refusal};

use crate::password::PASSWORD_BYTES_MAX;

/// Why keys or passwords could not be made, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    /// The password is empty.
    #[error("the password is empty: choose a longer one")]
    PasswordEmpty,
    /// The password is too long.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes: choose a shorter one")]
    PasswordTooLong,
    /// The password could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    /// Something could not be sealed.
    #[error("sealing failed")]
    Seal,
    /// A key file could not be read or written.
    #[error("cannot {action} the key file {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A key file that is to be made exists.
    #[error("the key file {} exists already: choose another name, or rotate its keys", path.display())]
    KeyFileExists {
        /// The file.
        path: PathBuf,
    },
    /// A key file that others can read.
    #[error("the key file {} can be read by others (mode {mode:04o}): run `chmod 600 {}`, and rotate its keys if somebody may have read them", path.display(), path.display())]
    KeyFileExposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A key file that is not one; the message never holds a part of it.
    #[error("the key file is not usable: {0}")]
    KeyFileMalformed(String),
    /// A problem with one file, named.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<IdentityError>,
    },
}

/// Why somebody was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum LoginRefusal {
    /// The account or the password is wrong; which one is nobody's business.
    #[error("the account or the password is wrong")]
    Wrong,
    /// Too many attempts failed for this account or from this address.
    #[error("too many failed sign-ins: try again in {retry_after_s} s")]
    Throttled {
        /// How long to wait, in seconds.
        retry_after_s: u64,
    },
    /// Too many are signing in at once.
    #[error("too many sign-ins at once: try again in a moment")]
    Busy,
    /// It is proven who asks, and their access is revoked.
    #[error("the access of this account was taken back: ask the data owner")]
    Revoked,
    /// The account that a certificate stands for is gone.
    #[error("the client certificate stands for an account that is not there any more")]
    NoAccount,
    /// The server could not check the password, or not make a session.
    #[error("signing in failed inside the server")]
    Internal(#[source] IdentityError),
}

impl From<LoginRefusal> for Refusal {
    fn from(refusal: LoginRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            LoginRefusal::Wrong | LoginRefusal::NoAccount => {
                Self::new(Code::Unauthenticated, message)
            }
            LoginRefusal::Revoked => Self::new(Code::Revoked, message),
            LoginRefusal::Throttled { .. } | LoginRefusal::Busy => {
                Self::new(Code::Throttled, message)
            }
            LoginRefusal::Internal(cause) => Self::new(Code::Internal, message).with_detail(cause),
        }
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// It is not one of ours, or it was changed, or its account is gone or has a new password.
    #[error("the token is not valid: sign in again")]
    Invalid,
    /// Its session ended by itself.
    #[error("the session has expired: sign in again")]
    Expired,
    /// Its session was closed.
    #[error("the session was closed: sign in again")]
    Closed,
    /// The access of its account is revoked.
    #[error("the access of this account was taken back: ask the data owner")]
    Revoked,
    /// The data owner revoked its session.
    #[error("the data owner ended this session: sign in again")]
    SessionRevoked,
}

impl From<TokenRefusal> for Refusal {
    fn from(refusal: TokenRefusal) -> Self {
        let code = match refusal {
            TokenRefusal::Invalid => Code::Unauthenticated,
            TokenRefusal::Expired | TokenRefusal::Closed => Code::SessionEnded,
            TokenRefusal::Revoked | TokenRefusal::SessionRevoked => Code::Revoked,
        };
        Self::new(code, refusal.to_string())
    }
}
