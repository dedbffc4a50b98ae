//! Tables as adapters yield them, before any policy.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;

/// A provider whose source can change while it is open.
#[async_trait]
pub trait Versioned: TableProvider {
    /// A text that differs when the source has changed; it tells of the source, so it never leaves
    /// unsealed.
    async fn version(&self, session: &dyn Session) -> Result<String>;
}

/// A table as its source has it. It is not a `TableProvider`, so it cannot be registered anywhere
/// and SQL cannot name it; only a guard can open it.
#[derive(Clone)]
pub struct RawTable {
    provider: Arc<dyn TableProvider>,
    versions: Option<Arc<dyn Versioned>>,
    can_be_cut: bool,
    location: Arc<str>,
}

impl RawTable {
    /// Seals a provider whose source never changes; `location` is what the owner's log says about where it lies.
    pub fn new(provider: Arc<dyn TableProvider>, location: impl Into<Arc<str>>) -> Self {
        Self {
            provider,
            versions: None,
            can_be_cut: true,
            location: location.into(),
        }
    }

    /// Seals a provider whose source can change at any time without a sign of it. A result over it
    /// is never fetched in parts: each part would be of another state of the source.
    pub fn unversioned(provider: Arc<dyn TableProvider>, location: impl Into<Arc<str>>) -> Self {
        Self {
            can_be_cut: false,
            ..Self::new(provider, location)
        }
    }

    /// Seals a provider whose source can change.
    pub fn versioned(provider: Arc<dyn Versioned>, location: impl Into<Arc<str>>) -> Self {
        Self {
            versions: Some(Arc::clone(&provider)),
            ..Self::new(provider, location)
        }
    }

    /// A text that differs when the source has changed.
    pub(crate) async fn version(&self, session: &dyn Session) -> Result<String> {
        match &self.versions {
            Some(versions) => versions.version(session).await,
            None => Ok(String::new()),
        }
    }

    /// Whether the source can tell that it has changed.
    pub(crate) fn is_versioned(&self) -> bool {
        self.versions.is_some()
    }

    /// Whether parts of the table that are read one after the other are parts of one state of it.
    pub(crate) fn can_be_cut(&self) -> bool {
        self.can_be_cut
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
