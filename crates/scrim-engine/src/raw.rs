//! Tables as adapters yield them, before any policy.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;

/// A table as its source has it. It is not a `TableProvider`, so it cannot be registered anywhere
/// and SQL cannot name it; only a guard can open it.
#[derive(Clone)]
pub struct RawTable {
    provider: Arc<dyn TableProvider>,
    location: Arc<str>,
}

impl RawTable {
    /// Seals a provider; `location` is what the owner's log says about where it lies.
    pub fn new(provider: Arc<dyn TableProvider>, location: impl Into<Arc<str>>) -> Self {
        Self {
            provider,
            location: location.into(),
        }
    }

    /// The source's real schema.
    pub fn schema(&self) -> SchemaRef {
        self.provider.schema()
    }

    /// Where the table lies, for the owner only.
    pub fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn unseal(&self) -> Arc<dyn TableProvider> {
        Arc::clone(&self.provider)
    }
}

impl fmt::Debug for RawTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTable")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
