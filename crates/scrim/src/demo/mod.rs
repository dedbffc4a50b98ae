//! The demo world: its rows, its policies, its people, and what is shown of it.

pub mod data;
pub mod files;
pub(crate) mod scenes;
pub(crate) mod show;
pub(crate) mod why;
pub mod world;
