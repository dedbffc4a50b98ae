//! Documents in which every value stands beside what is shown of it, for tests of masks.

use crate::access::NamedTreatment;
use crate::odcs::Property;
use crate::{Documents, Showing};

/// What the unmasked twin of a column is called.
pub fn raw_name(column: &str) -> String {
    format!("__raw_{column}")
}

/// The same documents, but that every profile also shows each column as the source has it, as
/// [`raw_name`]. Rows, guards, and how the columns themselves are shown stay as they are.
///
/// A test of a mask compares both sides. Nothing that serves partners may load such documents.
#[must_use]
pub fn beside_raw(documents: &Documents) -> Documents {
    let mut documents = documents.clone();
    documents.version.push_str("+raw");
    for contract in &mut documents.contracts {
        let twins: Vec<Property> = contract.properties.iter().map(twin).collect();
        for profile in contract.access.iter_mut().flat_map(|a| &mut a.profiles) {
            profile.columns.extend(twins.iter().map(clear));
        }
        contract.properties.extend(twins);
    }
    documents
}

fn twin(property: &Property) -> Property {
    Property {
        name: raw_name(&property.name),
        primary_key: false,
        primary_key_position: None,
        id: None,
        ..untagged(property)
    }
}

/// Tags would close what is inside the twin.
fn untagged(property: &Property) -> Property {
    let mut property = property.clone();
    property.tags = Vec::new();
    property.relationships = Vec::new();
    property.properties = property.properties.iter().map(untagged).collect();
    property.items = property.items.map(|item| Box::new(untagged(&item)));
    property
}

fn clear(twin: &Property) -> NamedTreatment {
    NamedTreatment {
        name: twin.name.clone(),
        key: twin.node.clone(),
        showing: Showing::Clear,
        node: twin.node.clone(),
    }
}
