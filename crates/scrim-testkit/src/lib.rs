//! What tests, measurements and examples share: [`tpch`] writes TPC-H's tables.

pub mod tpch;
