//! Tests of the whole, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests fail like tests do"
)]

mod attacks;
mod cli;
mod client;
mod faults;
mod flight;
mod golden;
mod kit;
mod noninterference;
mod oracle;
mod plans;
mod policy_files;
mod slt;
mod support;
mod tpch;
mod ui;
