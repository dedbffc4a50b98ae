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
mod tests {
    use clap::ValueEnum as _;

    use super::{Document, json_schema, parts, reference};

    #[test]
    fn every_kind_of_document_goes_by_one_name() {
        assert_eq!(Document::ALL, *Document::value_variants());
        for document in Document::ALL {
            let value = document.to_possible_value().unwrap();
            assert_eq!(value.get_name(), document.name());
        }
    }

    #[test]
    fn no_two_parts_of_a_document_share_a_name() {
        for document in Document::ALL {
            let mut names: Vec<_> = parts(document.shape()).iter().map(|s| s.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", document.name());
        }
    }

    #[test]
    fn a_schema_describes_keys_with_what_they_mean() {
        let schema = json_schema(Document::Agreement);
        let end = &schema["properties"]["end"];
        assert_eq!(end["type"], "string");
        assert_eq!(
            end["description"],
            "the last day, in UTC (a day, like 2026-12-31)"
        );
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["consumer"]["$ref"], "#/$defs/consumer");
        assert_eq!(schema["$defs"]["consumer"]["required"][1], "who");
    }

    #[test]
    fn the_reference_has_a_row_for_each_key() {
        let limits = reference(Document::Contract, "limits").unwrap();
        let rows = "\
| key | holds | when unsaid | says |
| --- | --- | --- | --- |
| `max_rows` | a whole number from 1 | | rows of one result |
";
        assert!(limits.starts_with(rows), "{limits}");
        assert!(reference(Document::Contract, "nothing").is_none());
    }
}
