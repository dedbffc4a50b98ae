//! What may stand in the documents of a policy set. The readers take their keys from here, and so do
//! the JSON Schemas and the reference in `policies/README.md`: to add a key, describe it here.

mod access;
mod agreement;
mod contract;
mod servers;

pub use access::POLICY;
pub(crate) use access::{ACCESS, GUARD, LIMITS, PROFILE};
pub use agreement::AGREEMENT;
pub(crate) use agreement::{CONSUMER, OFFER};
pub use contract::CONTRACT;
pub(crate) use contract::{COLUMN, COLUMN_KEY, CUSTOM, ELEMENT, TABLE, TABLE_KEY};
pub use servers::SOURCE;
pub(crate) use servers::{EXTRAS, SERVER};
