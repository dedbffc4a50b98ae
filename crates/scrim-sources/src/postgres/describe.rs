//! What the catalog says of columns, for a contract that is yet to be written.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use scrim_policy::PostgresServer;
use tokio_postgres::Row;

use super::columns::PgType;
use super::connect::Database;
use super::failure::Failure;
use super::look_up;
use crate::sample::SampledColumn;
use crate::{Credential, SourceError, Sources, Wanted};

const DESCRIBED: &str = "\
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
       (SELECT k.place FROM pg_catalog.pg_index i
        CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(number, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.number = a.attnum)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::text AND c.relname = $2::text AND a.attnum > 0 AND NOT a.attisdropped";

/// A table with all that may be read of it.
pub(crate) struct Described {
    pub(crate) table: Arc<dyn TableProvider>,
    pub(crate) columns: Vec<SampledColumn>,
    /// Where it lies, for its owner.
    pub(crate) shown: String,
    /// About how many rows it has.
    pub(crate) rows: Option<u64>,
}

/// What the catalog says of one column.
struct Said {
    own_type: String,
    required: bool,
    key: Option<u32>,
}

/// Looks a table up, with what the catalog says of its columns.
///
/// # Errors
/// When the database cannot be reached, refuses us, or lacks the table.
pub(crate) async fn describe(
    sources: &Sources,
    at: &PostgresServer,
    credential: Option<&Credential>,
    table: &str,
) -> Result<Described, SourceError> {
    let database = sources.database(at, credential)?;
    let found = look_up(sources, at, credential, &Wanted::all(table)).await?;
    let said = ask(&database, &at.schema, table).await;
    let said = said.map_err(|failure| failure.unreadable(found.shown()))?;
    let columns = found.columns().iter().map(|column| {
        let said = said.get(&column.name);
        let own_type = said.map(|said| said.own_type.clone());
        let (declared, elements, printed) = match &column.pg_type {
            PgType::Printed => (Some("text".to_owned()), None, own_type),
            PgType::Array(item) if **item == PgType::Printed => {
                (own_type.clone(), Some("text".to_owned()), own_type)
            }
            _ => (own_type, None, None),
        };
        SampledColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            declared,
            elements,
            printed,
            required: said.is_some_and(|said| said.required),
            key: said.and_then(|said| said.key),
        }
    });
    Ok(Described {
        columns: columns.collect(),
        shown: found.shown().to_string(),
        rows: found.rows(),
        table: Arc::new(found),
    })
}

async fn ask(
    database: &Database,
    schema: &str,
    table: &str,
) -> Result<BTreeMap<String, Said>, Failure> {
    let lease = database.lease().await?;
    let failed = |error: tokio_postgres::Error| Failure::of(&error, database.settings());
    let rows = lease.client()?.query(DESCRIBED, &[&schema, &table]).await;
    let rows = rows.map_err(failed)?;
    let said: Result<_, _> = rows.iter().map(said).collect();
    let said = said.map_err(failed)?;
    lease.give_back();
    Ok(said)
}

fn said(row: &Row) -> Result<(String, Said), tokio_postgres::Error> {
    let key: Option<i64> = row.try_get(3)?;
    let said = Said {
        own_type: row.try_get(1)?,
        required: row.try_get(2)?,
        key: key.and_then(|place| u32::try_from(place).ok()),
    };
    Ok((row.try_get(0)?, said))
}
