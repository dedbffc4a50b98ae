//! Tables of PostgreSQL.

use scrim_policy::PostgresServer;

use crate::found::Found;
use crate::{Credential, SourceError, Sources, Wanted};

/// Opens a table of a database.
///
/// # Errors
/// When the database cannot be reached, refuses us, or lacks the table.
pub(crate) async fn open(
    sources: &Sources,
    _: &PostgresServer,
    _: Option<&Credential>,
    _: &Wanted,
) -> Result<Found, SourceError> {
    let _timeout = sources.settings().connect_timeout;
    Err(SourceError::NotServed("postgres".to_owned()))
}
