//! Proves who is asking, given keys and a time.
//!
//! Accounts come from a file that the owner keeps ([`Accounts`]); a password is checked against an
//! Argon2id hash ([`Authenticator::login`]), and one that was right a few minutes ago is not
//! computed again; what the client gets is a sealed token that names a session
//! ([`Authenticator::verify`]) and is renewed while it is used ([`Authenticator::renewal`]). Whether a
//! session that was verified still stands is asked again while its results run
//! ([`Authenticator::current`]): accounts change, and access is revoked. A client
//! certificate that the transport has checked can stand for an account
//! ([`Authenticator::certified`]). Keys come from a file that only its owner can read
//! ([`KeyFile`]), and the same keys seal everything else that clients carry back to us
//! ([`Sealer`]).
//!
//! Only this crate makes an [`Authenticated`] value, so a function that takes one cannot be called
//! for somebody who was not proven to be who they say.
//!
//! This crate must never know what anybody may see, never reads the clock, and never starts a
//! task: [`Authenticator::login`] blocks for as long as an Argon2id run takes, so an async caller
//! gives it a thread for blocking work.

mod accounts;
mod append;
mod authenticator;
mod certificates;
mod closed;
mod error;
mod gate;
mod key_file;
mod keys;
mod open;
mod password;
mod proof;
mod recent;
mod redact;
mod renew;
mod seal;
mod standing;
#[cfg(test)]
mod tests;
mod throttle;

pub use accounts::Accounts;
pub use append::{AppendError, NewAccount, append_account};
pub use authenticator::{Authenticator, Session, SignedIn};
pub use certificates::{CertificateName, CertificateRefusal, Certificates, Certified, server_name};
pub use error::{IdentityError, LoginRefusal, TokenRefusal};
pub use key_file::{read_key_file, rotate_key_file, write_new_key_file};
pub use keys::{KeyFile, KeyInfo, KeyUse};
pub use open::SessionRules;
pub use password::{PASSWORD_BYTES_MAX, hash_password};
pub use proof::Authenticated;
pub use renew::Renewal;
pub use seal::{SealError, Sealer};
pub use standing::Ended;
