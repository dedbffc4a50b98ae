//! Conditions are compared as texts, and as what they select from the same rows.

mod both;
mod conditions;
mod decoded;
mod hostile;
mod printing;
mod random;
mod rows;
mod same_rows;
