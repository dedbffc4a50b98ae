//! The shell: Flight SQL, configuration, clock and wiring.
//!
//! A request passes the door, which demands a session for everything but the handshake,
//! reaches the Flight service, which parses it and asks the engine, and leaves through the
//! wire, which gives every result types and messages that all drivers read. Nothing here
//! decides anything: what a principal may see is policy's word, enforced by the engine.
//!
//! This crate must never know how a clause is evaluated or a mask computed.

pub mod admin;
mod auth;
mod clock;
pub mod config;
mod flight;
mod health;
mod in_force;
pub mod load;
mod opa;
pub mod revoke;
mod shadow;
mod start;
mod status;
pub mod store;
pub mod wire;

pub use config::Config;
pub use in_force::{Policies, Refused};
pub use opa::external_decisions;
pub use start::{Counts, Running, Server, StartError};
