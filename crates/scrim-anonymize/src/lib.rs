//! Vectorised masks and compaction: Arrow arrays in, Arrow arrays out.
//!
//! A [`Mask`] is what a policy names; bound to a column's type and the keys of a contract it is a
//! [`BoundMask`], and together with the treatments of nested fields a [`BoundTreatment`].
//! [`compact_batch`] is the barrier that every batch passes before it leaves: afterwards no byte
//! of a hidden value is reachable from it.
//!
//! This crate must never know who asks, what a policy document looks like, or DataFusion. It must
//! never offer a mask as a function that a query could call: with it, anyone could look up the
//! token of a name.

mod bind;
mod compact;
mod date;
mod error;
mod exact;
mod keys;
mod mask;
mod network;
mod number;
mod order;
mod params;
mod path;
mod pseudonym;
mod shapes;
mod text;
mod treatment;
mod weak;

pub use bind::BoundMask;
pub use compact::{compact, compact_batch};
pub use error::MaskError;
pub use keys::{MaskKeys, blinded};
pub use mask::Mask;
pub use params::ParamValue;
pub use path::{PathStep, format_path, parse_path, parse_steps, type_at};
pub use shapes::{MASKS, MaskKind, MaskShape, Parameter, ParameterKind, Unsaid};
pub use treatment::{BoundTreatment, Show};
pub use weak::Weakness;

#[cfg(test)]
mod laws;
