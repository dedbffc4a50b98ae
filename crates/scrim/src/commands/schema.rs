//! `scrim contract schema`.

use std::fs;
use std::path::Path;

use crate::cli::{ContractSchema, Document};
use crate::out::Out;
use crate::outcome::Failure;
use crate::schema::json_schema;

/// Prints one JSON Schema, or writes one or all into a folder.
pub(crate) fn run(arguments: &ContractSchema, out: &mut Out) -> Result<(), Failure> {
    let documents: Vec<Document> = match arguments.document {
        Some(document) => vec![document],
        None => Document::ALL.to_vec(),
    };
    for document in documents {
        let mut text = serde_json::to_string_pretty(&json_schema(document))
            .map_err(|error| Failure::failed(&error))?;
        text.push('\n');
        match &arguments.out {
            None => out.results().write_all(text.as_bytes())?,
            Some(folder) => save(folder, document, &text, out)?,
        }
    }
    Ok(())
}

fn save(folder: &Path, document: Document, text: &str, out: &mut Out) -> Result<(), Failure> {
    let path = folder.join(format!("{}.schema.json", document.name()));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
    written.map_err(|e| Failure::Failed(format!("cannot write {}: {e}", path.display())))?;
    out.line(format_args!("{}: written", path.display()))?;
    Ok(())
}
