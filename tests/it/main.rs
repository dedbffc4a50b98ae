//! Tests of the whole, one binary.

mod cli;
mod client;
mod faults;
mod flight;
mod golden;
mod kit;
mod plans;
mod policy_files;
mod slt;
mod tpch;
mod ui;
