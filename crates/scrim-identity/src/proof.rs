//! The proof that somebody is who they say.

/// A value that was proven: only this crate makes one.
///
/// It is the argument of whatever acts for somebody, so "forgot to check" does not compile.
#[derive(Debug, Clone, PartialEq)]
pub struct Authenticated<T>(T);

impl<T> Authenticated<T> {
    /// Only for callers in this crate that have just checked a secret, and for
    /// [`Accounts::vouch`](crate::Accounts::vouch) and its kin.
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// What was proven.
    pub fn get(&self) -> &T {
        &self.0
    }
}
