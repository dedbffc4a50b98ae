//! What documents may say, for editors and for people: written from the very descriptions that the
//! documents are read by.

mod json;
mod reference;

use scrim_document::Shape;

use crate::cli::Document;
use crate::policy_test;

pub use json::json_schema;
pub use reference::{parts, reference};

impl Document {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Contract,
        Self::Policy,
        Self::Agreement,
        Self::Test,
        Self::Config,
    ];

    /// Its name on the command line, in file names and in the reference.
    pub fn name(self) -> &'static str {
        self.shape().name
    }

    /// All that it may say.
    pub fn shape(self) -> &'static Shape {
        match self {
            Self::Contract => &scrim_policy::CONTRACT,
            Self::Policy => &scrim_policy::POLICY,
            Self::Agreement => &scrim_policy::AGREEMENT,
            Self::Test => &policy_test::TEST,
            Self::Config => &scrim_server::config::CONFIG,
        }
    }
}

#[cfg(test)]
mod tests;
