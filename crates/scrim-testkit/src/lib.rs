//! Worlds, personas and helpers for the tests and benches.
//!
//! [`TestWorld`] is the demo world in a folder of its own, asked in this process or over Flight SQL;
//! [`tpch`] writes TPC-H's tables.

pub mod tpch;
mod world;

pub use world::{Served, TestWorld, Trouble};
