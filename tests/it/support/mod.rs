//! Seeded worlds, generated SQL, an independent reading of the policies, and comparison.

pub(crate) mod answer;
pub(crate) mod authorised;
pub(crate) mod cell;
pub(crate) mod data;
pub(crate) mod expr;
pub(crate) mod files;
pub(crate) mod masks;
pub(crate) mod observe;
pub(crate) mod personas;
pub(crate) mod place;
pub(crate) mod plain;
pub(crate) mod policy;
pub(crate) mod recording;
pub(crate) mod scene;
pub(crate) mod servers;
pub(crate) mod sql;
pub(crate) mod tables;
