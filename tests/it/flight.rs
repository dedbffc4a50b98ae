//! Flight SQL end to end: a real server on a free port, real gRPC, and what every driver needs.

mod certificates;
mod life;
mod metadata;
mod prepared;
mod queries;
mod renewal;
mod sign_in;
mod tickets;
mod tls;
mod wire;
