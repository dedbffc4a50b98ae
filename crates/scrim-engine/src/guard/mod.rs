//! The guard: a governed table as an opaque leaf with its own plan inside.

mod exec;
mod kept;
mod leakproof;
mod learned;
mod lookups;
mod lower;
mod mask;
mod prunable;
mod table;
mod tally;
mod unpruned;

pub(crate) use exec::GuardExec;
pub(crate) use kept::KeptGuards;
pub(crate) use learned::hand_down;
pub(crate) use lower::{Lowered, lower};
pub(crate) use table::GuardTable;
pub use tally::Tally;
pub(crate) use tally::tally;
