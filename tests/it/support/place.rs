//! Where the tables of the test world lie.

use super::tables::Table;

/// Where a table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In Parquet files on this machine.
    Local,
    /// In Parquet files in an object store.
    S3,
    /// In a database.
    Postgres,
}

/// Where each table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    people: Place,
    visits: Place,
    orders: Place,
    vault: Place,
    /// The look-up table of wards; as files it is CSV.
    pub(crate) wards: Place,
}

impl Places {
    pub(crate) const LOCAL: Self = Self::all(Place::Local);
    pub(crate) const S3: Self = Self::all(Place::S3);
    pub(crate) const POSTGRES: Self = Self::all(Place::Postgres);
    /// One in each, so that queries meet several.
    pub(crate) const MIXED: Self = Self {
        people: Place::Postgres,
        visits: Place::S3,
        orders: Place::Local,
        vault: Place::Postgres,
        wards: Place::Postgres,
    };

    const fn all(place: Place) -> Self {
        Self {
            people: place,
            visits: place,
            orders: place,
            vault: place,
            wards: place,
        }
    }

    pub(crate) fn of(self, table: Table) -> Place {
        match table {
            Table::People => self.people,
            Table::Visits => self.visits,
            Table::Orders => self.orders,
            Table::Vault => self.vault,
        }
    }

    pub(crate) fn any(self, place: Place) -> bool {
        self.wards == place || Table::ALL.iter().any(|table| self.of(*table) == place)
    }
}
