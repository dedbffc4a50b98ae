//! What tests, measurements and examples share.
//!
//! - [`postgres`], [`s3`], [`http`] and [`decisions`] are real servers on free ports of this machine,
//!   which end with the value that stands for them;
//! - [`web::Traffic`] tells what the last three were asked, and spoils some answers;
//! - [`proxy`] stands before any server and spoils what it sends;
//! - [`load`] turns Arrow batches into tables and files, and [`tpch`] writes TPC-H's tables.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests do"
)]

mod background;
pub mod decisions;
pub mod http;
pub mod load;
pub mod postgres;
pub mod proxy;
pub mod s3;
pub mod tpch;
pub mod web;
