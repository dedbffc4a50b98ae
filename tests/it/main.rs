//! Tests of the whole, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::struct_excessive_bools,
    clippy::from_iter_instead_of_collect,
    clippy::match_same_arms,
    clippy::format_collect,
    clippy::let_underscore_must_use,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests do, and tests are tables: long, alike, told as they go"
)]

mod attacks;
mod cli;
mod client;
mod comparing;
mod delta;
mod drivers;
mod elsewhere;
mod faults;
mod federation;
mod flight;
mod golden;
mod kit;
mod learned;
mod living;
mod lookups;
mod noninterference;
mod oracle;
mod outside;
mod plans;
mod policy_files;
mod recording;
mod shadow;
mod slt;
mod support;
mod tpch;
mod ui;
