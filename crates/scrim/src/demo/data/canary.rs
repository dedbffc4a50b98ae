//! Strings planted where they must not be seen, so that one search over what left tells the truth.
//!
//! Every canary begins with [`PREFIX`]. Those that begin with [`HELD`] stand in rows that a guard
//! withholds: nobody may ever see one. All others stand in values that only the owner's own
//! agreement shows (`owner` in `care.*` for Northgate, `owner` in `insurance.claims` for Harbor):
//! partners get those columns masked or not at all.

/// How every canary begins.
pub const PREFIX: &str = "canary-";
/// How a canary in a row that a guard withholds begins.
pub const HELD: &str = "canary-held-";
/// In `care.patients.full_name`.
pub const NAME: &str = "canary-name-";
/// In `care.patients.national_id`.
pub const NATIONAL_ID: &str = "canary-id-";
/// In `care.patients.contact.phone`.
pub const PHONE: &str = "canary-phone-";
/// In `care.patients.contact.email`, `care.visits.physician_email`, `insurance.claims.holder_email`.
pub const EMAIL: &str = "canary-mail-";
/// In `care.visits.notes`.
pub const NOTE: &str = "canary-note-";
/// In `insurance.claims.iban`.
pub const IBAN: &str = "canary-iban-";
