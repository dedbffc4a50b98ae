//! Flight SQL end to end: a real server on a free port, real gRPC, and what every driver needs.

mod about;
mod certificates;
mod columns;
mod garbage;
mod keys;
mod life;
pub(crate) mod metadata;
mod native;
mod options;
mod parts;
mod prepared;
mod queries;
mod renewal;
mod revocation;
mod sign_in;
mod streams;
mod tickets;
mod tls;
mod wire;
