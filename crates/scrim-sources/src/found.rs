//! A table that an adapter found, before it is sealed.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use scrim_engine::{RawTable, Versioned};

use crate::Opened;

/// A table that an adapter found. It never leaves this crate: it is sealed for the engine, or
/// sampled for its owner.
#[derive(Debug)]
pub(crate) struct Found {
    /// The table, open to whoever holds it.
    pub(crate) provider: Provider,
    /// What the owner's log says about where it lies.
    pub(crate) location: String,
    /// Columns of the source that nobody wanted.
    pub(crate) extra: Vec<String>,
    /// About how many rows it has.
    pub(crate) rows: Option<u64>,
}

/// A table, by whether its source can change while it is open.
#[derive(Debug)]
pub(crate) enum Provider {
    /// It never changes.
    Fixed(Arc<dyn TableProvider>),
    /// It can change.
    Versioned(Arc<dyn Versioned>),
}

impl Found {
    /// The one place where tables are sealed.
    pub(crate) fn seal(self) -> Opened {
        let table = match self.provider {
            Provider::Fixed(provider) => RawTable::new(provider, self.location),
            Provider::Versioned(provider) => RawTable::versioned(provider, self.location),
        };
        Opened {
            table,
            extra: self.extra,
            rows: self.rows,
        }
    }
}

impl Provider {
    /// The table, whether its source can change or not.
    pub(crate) fn into_table(self) -> Arc<dyn TableProvider> {
        match self {
            Self::Fixed(table) => table,
            Self::Versioned(table) => table,
        }
    }
}
