//! What a result says about itself, as metadata of its schema: the same at GetFlightInfo and at
//! DoGet, unless the policies changed in between; then each tells what it rests on.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use scrim_engine::About;
use scrim_model::QueryId;

/// A schema that says what its result is, and to which statement it belongs.
pub(crate) fn described(schema: &Schema, statement: QueryId, about: About) -> SchemaRef {
    let entries = [
        ("scrim.query_id", statement.to_string()),
        ("scrim.contracts", about.contracts.join(",")),
        ("scrim.agreements", about.agreements.join(",")),
        ("scrim.decision", about.decision),
        ("scrim.masked_columns", about.masked_columns.join(",")),
        ("scrim.row_filter", about.row_filter.to_string()),
    ];
    let metadata: HashMap<String, String> = entries
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text))
        .collect();
    Arc::new(schema.clone().with_metadata(metadata))
}
