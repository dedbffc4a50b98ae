//! Flight SQL end to end: a real server on a free port, real gRPC, and what every driver needs.

mod columns;
mod keys;
mod life;
mod metadata;
mod native;
mod options;
mod prepared;
mod queries;
mod sign_in;
mod tickets;
mod tls;
mod wire;
