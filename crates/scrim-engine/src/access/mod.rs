//! The statements by which a principal asks what it may see: `SHOW ACCESS`, `SHOW ACCESS ON <table>`
//! and `EXPLAIN ACCESS <query>`.
//!
//! They are bound like the query that they are about, so whatever that refuses they refuse in the
//! same words, and a name that is hidden reads like one that was never there. What they answer is
//! made of the decisions that show something; reasons why something is not shown are in none of it.

mod answers;
mod reads;
mod tokens;

pub(crate) use answers::{columns, query, tables};
pub(crate) use tokens::asked;
