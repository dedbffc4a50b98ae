//! A sample's columns as a contract lists them.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use scrim_sources::{Sample, SampledColumn};

use super::identify::{Finding, identify};
use super::types;

/// A column, or a field or element inside one.
#[derive(Debug)]
pub(super) struct Column {
    /// The name under which clients see it.
    pub(super) name: String,
    /// The source's own name, where that is another.
    pub(super) physical_name: Option<String>,
    pub(super) logical: Option<&'static str>,
    pub(super) physical: String,
    /// The source's own type, where it is read as text for want of another.
    pub(super) printed: Option<String>,
    pub(super) required: bool,
    pub(super) key: Option<u32>,
    /// What it is likely to hold by itself.
    pub(super) finding: Option<Finding>,
    /// The mask for that, as a contract writes it.
    pub(super) mask: Option<&'static str>,
    pub(super) fields: Vec<Column>,
    pub(super) item: Option<Box<Column>>,
}

impl Column {
    /// What is inside it.
    pub(super) fn inner(&self) -> impl Iterator<Item = &Self> {
        self.fields.iter().chain(self.item.as_deref())
    }

    /// Whether it, or anything inside it, tells who somebody is.
    pub(super) fn is_direct(&self) -> bool {
        let own = self
            .finding
            .as_ref()
            .is_some_and(|finding| finding.kind.is_direct());
        own || self.inner().any(Self::is_direct)
    }

    /// Whether anything was found in it.
    pub(super) fn is_found(&self) -> bool {
        self.finding.is_some() || self.inner().any(Self::is_found)
    }

    /// How sensitive it is with all that is inside.
    pub(super) fn classification(&self) -> Option<&'static str> {
        let own = self
            .finding
            .as_ref()
            .map(|finding| finding.kind.classification());
        let inner = self.inner().filter_map(Self::classification);
        let all: Vec<_> = own.into_iter().chain(inner).collect();
        let restricted = all.iter().find(|word| **word == "restricted");
        restricted.or(all.first()).copied()
    }
}

/// The columns of a sample.
///
/// # Errors
/// When batches do not fit together, which a source's do.
pub(super) fn columns(sample: &Sample) -> Result<Vec<Column>, ArrowError> {
    let mut taken = BTreeSet::new();
    let mut columns = Vec::with_capacity(sample.columns.len());
    let all = sample.columns.iter().enumerate();
    // A contract has no way to name a column without a name, which so stays hidden.
    for (index, sampled) in all.filter(|(_, sampled)| !sampled.name.is_empty()) {
        let values = values(sample, index, &sampled.data_type)?;
        let name = free_name(plain_name(&sampled.name), &mut taken);
        let mut column = column(&sampled.name, &sampled.data_type, &values);
        column.physical_name = (name != sampled.name).then(|| sampled.name.clone());
        column.name = name;
        declare(&mut column, sampled);
        columns.push(column);
    }
    Ok(columns)
}

fn declare(column: &mut Column, sampled: &SampledColumn) {
    column.required = sampled.required;
    column.key = sampled.key;
    if let Some(declared) = &sampled.declared {
        column.physical.clone_from(declared);
    }
    if let (Some(item), Some(elements)) = (&mut column.item, &sampled.elements) {
        item.physical.clone_from(elements);
    }
    column.printed.clone_from(&sampled.printed);
}

fn values(sample: &Sample, index: usize, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<&dyn Array> = sample
        .batches
        .iter()
        .filter_map(|batch| batch.columns().get(index).map(AsRef::as_ref))
        .collect();
    if parts.is_empty() {
        return Ok(new_empty_array(data_type));
    }
    concat(&parts)
}

fn column(name: &str, data_type: &DataType, values: &ArrayRef) -> Column {
    let (logical, physical) = types::in_words(data_type);
    let finding = identify(name, data_type, values);
    let mask = finding
        .as_ref()
        .and_then(|finding| finding.kind.mask(data_type));
    let mut column = Column {
        name: name.to_owned(),
        physical_name: None,
        logical,
        physical,
        printed: None,
        required: false,
        key: None,
        finding,
        mask,
        fields: Vec::new(),
        item: None,
    };
    match data_type {
        DataType::Struct(fields) => {
            let inner = values.as_struct_opt();
            let parts = inner.map(StructArray::columns).unwrap_or_default();
            let fields = fields.iter().zip(parts);
            column.fields = fields
                .map(|(f, values)| self::column(f.name(), f.data_type(), values))
                .collect();
        }
        DataType::List(element) => {
            column.item = values
                .as_list_opt::<i32>()
                .map(|list| item(name, element, list.values()));
        }
        DataType::LargeList(element) => {
            column.item = values
                .as_list_opt::<i64>()
                .map(|list| item(name, element, list.values()));
        }
        _ => {}
    }
    column
}

/// The elements of a list are what the list is named after.
fn item(name: &str, element: &FieldRef, values: &ArrayRef) -> Box<Column> {
    Box::new(column(name, element.data_type(), values))
}

/// A name that SQL takes without quotes.
pub(super) fn plain_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut before = ' ';
    for c in name.chars() {
        // `patientId` and `PatientID`, but not every letter of `ID`
        if c.is_uppercase() && before.is_lowercase() {
            plain.push('_');
        }
        if c.is_ascii_alphanumeric() {
            plain.push(c.to_ascii_lowercase());
        } else if !plain.ends_with('_') {
            plain.push('_');
        }
        before = c;
    }
    let plain = if is_plain(name) {
        name
    } else {
        plain.trim_matches('_')
    };
    match plain.chars().next() {
        None => "column".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{plain}"),
        Some(_) => plain.to_owned(),
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The name, or the first like it that no other column has.
fn free_name(name: String, taken: &mut BTreeSet<String>) -> String {
    if taken.insert(name.clone()) {
        return name;
    }
    let mut others = (2_usize..).map(|n| format!("{name}_{n}"));
    let free = others.find(|other| !taken.contains(other)).unwrap_or(name);
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes() {
        for (name, plain) in [
            ("visit_id", "visit_id"),
            ("_x", "_x"),
            ("PatientID", "patient_id"),
            ("patientId", "patient_id"),
            ("First Name", "first_name"),
            ("a--b", "a_b"),
            ("2nd", "_2nd"),
            ("é", "column"),
            ("", "column"),
            ("Straße 1", "stra_e_1"),
        ] {
            assert_eq!(plain_name(name), plain, "{name}");
            assert!(is_plain(&plain_name(name)), "{name}");
        }
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let mut taken = BTreeSet::new();
        let names = ["a", "a_2", "a", "a"].map(|name| free_name(name.to_owned(), &mut taken));
        assert_eq!(names, ["a", "a_2", "a_3", "a_4"]);
    }
}
