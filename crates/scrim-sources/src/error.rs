//! Why a source cannot be opened.

use scrim_engine::SourceFault;

/// Why a source could not be opened; for the owner, never for a partner. No variant holds a value
/// of the data or a secret.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at the path.
    #[error("there is no file at {0}; paths are relative to the folder of scrim.yaml")]
    Missing(String),
    /// No credential has the name.
    #[error(
        "there are no credentials named `{0}`; add them to the secrets file or the environment"
    )]
    Credentials(String),
    /// It is not read by this version.
    #[error("{0} are not read by this version")]
    NotServed(String),
    /// It could not be read or understood.
    #[error("cannot read {at}: {cause}")]
    Unreadable {
        /// What was read.
        at: String,
        /// Why it failed.
        cause: String,
    },
}

impl SourceError {
    /// The error of a source that failed while it was opened.
    pub(crate) fn fault(at: &str, fault: &SourceFault) -> Self {
        let text = fault.to_string();
        let cause = text.strip_prefix(&format!("{at}: ")).unwrap_or(&text);
        Self::Unreadable {
            at: at.to_owned(),
            cause: cause.to_owned(),
        }
    }
}
