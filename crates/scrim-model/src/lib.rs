//! The words that every crate shares: who asks, in what circumstances, for which table, within
//! which limits, and how a refusal is told.
//!
//! This crate must never know a serialisation format, an async runtime, or DataFusion.

mod code;
mod context;
mod limits;
mod names;
mod principal;
mod refusal;
mod revocation;
mod secret;
mod time;

pub use code::Code;
pub use context::{Context, Release, SessionSettings};
pub use limits::Limits;
pub use names::{CATALOG, QueryId, SessionId, TableName};
pub use principal::{Principal, PrincipalKind, Value, ValueType};
pub use refusal::Refusal;
pub use revocation::{Revocation, RevocationScope, Revocations, SESSION_MAX};
pub use secret::Secret;
pub use time::{Clock, SystemClock};
