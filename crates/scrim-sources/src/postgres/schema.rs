//! What a table is, from the catalog: its columns, their types, and whether we may read them.

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use scrim_engine::FaultKind;
use tokio_postgres::Row;

use super::columns::{PgColumn, PgColumns};
use super::connect::{Database, Lease};
use super::failure::Failure;
use super::sql::identifier;
use super::types::{CatalogType, Kind, NotRead, Types};
use crate::Wanted;

/// Tables, partitioned tables, views, materialised views and foreign tables.
const RELATIONS: [i8; 5] = [b'r' as i8, b'p' as i8, b'v' as i8, b'm' as i8, b'f' as i8];

const RELATION: &str = "\
SELECT c.oid, c.relkind,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       CASE c.relkind
           WHEN 'p' THEN (SELECT pg_catalog.sum(greatest(l.reltuples, 0))::float8
                          FROM pg_catalog.pg_partition_tree(c.oid) t
                          JOIN pg_catalog.pg_class l ON l.oid = t.relid WHERE t.isleaf)
           ELSE c.reltuples::float8
       END,
       pg_catalog.current_setting('server_encoding'),
       CASE WHEN c.relkind = 'r' AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
                AND pg_catalog.current_setting('server_version_num')::integer >= 140000
            THEN c.relpages ELSE 0 END,
       EXISTS (WITH RECURSIVE parts (oid) AS (
                   SELECT c.oid
                   UNION
                   SELECT i.inhrelid FROM parts p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid)
               SELECT FROM parts p JOIN pg_catalog.pg_class l ON l.oid = p.oid
               WHERE l.relkind IN ('v', 'f')
                  OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
                             WHERE a.attrelid = l.oid AND a.attgenerated = 'v'))
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::text AND c.relname = $2::text";

const COLUMNS: &str = "\
SELECT a.attname, a.atttypid, a.atttypmod, a.attcollation,
       coalesce(l.collisdeterministic, true),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

/// The types of the columns and all that these are made of.
const TYPES: &str = "\
WITH RECURSIVE used (oid) AS (
    SELECT atttypid FROM pg_catalog.pg_attribute
    WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
    UNION
    SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
    FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid
    WHERE t.typtype = 'd' OR t.typelem <> 0
)
SELECT t.oid, t.typname, t.typtype, n.nspname = 'pg_catalog', t.typbasetype, t.typtypmod,
       CASE WHEN t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc
            THEN t.typelem ELSE 0::pg_catalog.oid END
FROM used u
JOIN pg_catalog.pg_type t ON t.oid = u.oid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace";

/// What columns are made of now.
const MADE_OF: &str = "\
SELECT attname, atttypid, atttypmod, attcollation FROM pg_catalog.pg_attribute
WHERE attrelid = $1::text::pg_catalog.regclass AND attname = ANY ($2::text[])
    AND attnum > 0 AND NOT attisdropped";

/// A table as it was when it was opened.
#[derive(Debug)]
pub(super) struct Table {
    /// Its schema and name, quoted.
    pub(super) quoted: String,
    /// What its rows are selected from.
    pub(super) from: String,
    /// The wanted columns that it has.
    pub(super) columns: PgColumns,
    /// Columns that nobody wanted.
    pub(super) extra: Vec<String>,
    /// About how many rows it has.
    pub(super) rows: Option<u64>,
    /// About how many pages it has, if its rows can be read by their place in them.
    pub(super) pages: u64,
    /// What its columns were made of, which is what says how their bytes are read and compared.
    made_of: BTreeMap<String, MadeOf>,
}

/// The type of a column, its modifier and its collation, by their numbers in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MadeOf {
    type_id: u32,
    modifier: i32,
    collation: u32,
}

struct Relation {
    id: u32,
    /// Whether its values are computed or fetched when it is read: by a view, or from elsewhere.
    is_computed: bool,
    rows: Option<u64>,
    pages: u64,
}

struct CatalogColumn {
    name: String,
    made_of: MadeOf,
    deterministic: bool,
    may_read: bool,
}

struct Catalog<'a> {
    client: &'a Client,
    database: &'a Database,
}

impl<'a> Catalog<'a> {
    fn new(lease: &'a Lease, database: &'a Database) -> Result<Self, Failure> {
        Ok(Self {
            client: lease.client()?,
            database,
        })
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Failure {
        Failure::of(error, self.database.settings())
    }

    async fn table(&self, schema: &str, wanted: &Wanted) -> Result<Table, Failure> {
        let Relation {
            id,
            is_computed,
            rows,
            pages,
        } = self.relation(schema, &wanted.table).await?;
        let columns = self.columns(id).await?;
        let types = self.types(id).await?;
        let quoted = format!("{}.{}", identifier(schema), identifier(&wanted.table));
        let mut table = Table {
            from: quoted.clone(),
            quoted,
            columns: PgColumns::default(),
            extra: Vec::new(),
            rows,
            pages,
            made_of: BTreeMap::new(),
        };
        table.choose(&columns, &types, wanted)?;
        if is_computed {
            table.fence();
        }
        Ok(table)
    }

    async fn relation(&self, schema: &str, name: &str) -> Result<Relation, Failure> {
        let missing = || {
            refused(format!(
                "there is no table `{name}` in the schema `{schema}`"
            ))
        };
        // Names without this byte are all that PostgreSQL can be asked for.
        if [schema, name].iter().any(|name| name.contains('\0')) {
            return Err(missing());
        }
        let found = self.client.query_opt(RELATION, &[&schema, &name]).await;
        let row = found.map_err(|e| self.failed(&e))?.ok_or_else(missing)?;
        let kind: i8 = self.get(&row, 1)?;
        if !RELATIONS.contains(&kind) {
            return Err(refused(format!("`{name}` is neither a table nor a view")));
        }
        if !self.get::<bool>(&row, 2)? {
            return Err(refused(format!(
                "the user of the credentials may not use the schema `{schema}`; grant USAGE on it"
            )));
        }
        // Text of other encodings can hold what has no place in UTF-8, and would fail a scan.
        let encoding: String = self.get(&row, 4)?;
        if encoding != "UTF8" {
            return Err(refused(format!(
                "the database's encoding is {encoding}; only UTF8 is read"
            )));
        }
        let rows: Option<f64> = self.get(&row, 3)?;
        let pages: i32 = self.get(&row, 5)?;
        Ok(Relation {
            id: self.get(&row, 0)?,
            is_computed: self.get(&row, 6)?,
            rows: rows.and_then(estimate),
            pages: u64::try_from(pages).unwrap_or(0),
        })
    }

    async fn columns(&self, id: u32) -> Result<Vec<CatalogColumn>, Failure> {
        let rows = self.client.query(COLUMNS, &[&id]).await;
        let rows = rows.map_err(|e| self.failed(&e))?;
        let column = |row: &Row| {
            Ok(CatalogColumn {
                name: self.get(row, 0)?,
                made_of: MadeOf {
                    type_id: self.get(row, 1)?,
                    modifier: self.get(row, 2)?,
                    collation: self.get(row, 3)?,
                },
                deterministic: self.get(row, 4)?,
                may_read: self.get(row, 5)?,
            })
        };
        rows.iter().map(column).collect()
    }

    async fn types(&self, id: u32) -> Result<Types, Failure> {
        let rows = self.client.query(TYPES, &[&id]).await;
        let rows = rows.map_err(|e| self.failed(&e))?;
        let known = |row: &Row| {
            let base = self.get(row, 4)?;
            let modifier = self.get(row, 5)?;
            let item: u32 = self.get(row, 6)?;
            let is_own: bool = self.get(row, 3)?;
            let letter: i8 = self.get(row, 2)?;
            let kind = match letter.to_be_bytes() {
                [b'd'] => Kind::Domain { base, modifier },
                [b'e'] => Kind::Enum,
                _ if item != 0 => Kind::Array { item },
                [b'b'] if is_own => Kind::Own,
                _ => Kind::Other,
            };
            let name = self.get(row, 1)?;
            Ok((self.get(row, 0)?, CatalogType { name, kind }))
        };
        Ok(Types(
            rows.iter().map(known).collect::<Result<_, Failure>>()?,
        ))
    }

    fn get<'r, T: tokio_postgres::types::FromSql<'r>>(
        &self,
        row: &'r Row,
        index: usize,
    ) -> Result<T, Failure> {
        row.try_get(index).map_err(|e| self.failed(&e))
    }
}

fn refused(cause: String) -> Failure {
    Failure::new(FaultKind::Invalid, cause)
}

/// The catalog's estimate; it is negative when nobody has counted yet.
fn estimate(rows: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative, and an estimate may saturate"
    )]
    (rows >= 0.0).then_some(rows as u64)
}

impl Table {
    /// Looks a table up.
    pub(super) async fn look_up(
        database: &Database,
        schema: &str,
        wanted: &Wanted,
    ) -> Result<Self, Failure> {
        let lease = database.lease().await?;
        let catalog = Catalog::new(&lease, database)?;
        let table = catalog.table(schema, wanted).await?;
        lease.give_back();
        Ok(table)
    }

    /// Keeps conditions out of what computes the rows. A view could otherwise be asked about rows
    /// that it leaves out, and fail on one of them; another server could find other rows equal.
    fn fence(&mut self) {
        let names: Vec<_> = self.columns.iter().map(|c| identifier(&c.name)).collect();
        let names = names.join(", ");
        self.from = format!("(SELECT {names} FROM {} OFFSET 0) AS fenced", self.quoted);
    }

    /// Takes the wanted columns, and all that may be read when none are named.
    fn choose(
        &mut self,
        found: &[CatalogColumn],
        types: &Types,
        wanted: &Wanted,
    ) -> Result<(), Failure> {
        let mut columns = Vec::new();
        let mut take = |column: &CatalogColumn, as_wanted| -> Result<(), Failure> {
            let of = column.made_of;
            if self.made_of.contains_key(&column.name) {
                return Ok(());
            }
            let read = types.read(of.type_id, of.modifier, as_wanted);
            let (pg_type, data_type) =
                read.map_err(|NotRead(why)| refused(format!("column `{}` {why}", column.name)))?;
            self.made_of.insert(column.name.clone(), of);
            columns.push(PgColumn {
                name: column.name.clone(),
                data_type,
                pg_type,
                deterministic: column.deterministic,
            });
            Ok(())
        };
        let Some(named) = &wanted.columns else {
            for column in found.iter().filter(|column| column.may_read) {
                take(column, None)?;
            }
            self.columns = PgColumns::new(columns);
            return Ok(());
        };
        for name in named {
            let Some(column) = found.iter().find(|column| column.name == name.name) else {
                continue;
            };
            if !column.may_read {
                return Err(refused(format!(
                    "the user of the credentials may not read the column `{}`; grant SELECT on it",
                    column.name
                )));
            }
            take(column, Some(name))?;
        }
        self.extra = found
            .iter()
            .map(|column| &column.name)
            .filter(|name| !named.iter().any(|wanted| wanted.name == **name))
            .cloned()
            .collect();
        self.columns = PgColumns::new(columns);
        Ok(())
    }

    /// Statements that begin a transaction in which the table keeps its columns to the end.
    ///
    /// Copied values come without their types, so a column that changed its type would be read as
    /// something else. Selecting nothing takes the table's lock; what [`Self::is_as_opened`] finds
    /// after it is true until the lock is gone.
    pub(super) fn hold(&self) -> String {
        format!(
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY; \
             SELECT FROM {} WHERE false",
            self.quoted,
        )
    }

    /// The same for a transaction that sees one state of the database to its end. The lock comes
    /// before anything is seen: a state that is older would tell of columns as they were.
    pub(super) fn hold_still(&self) -> String {
        format!(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             LOCK TABLE {} IN ACCESS SHARE MODE",
            self.quoted
        )
    }

    /// Whether the columns are still what was opened, in a transaction that holds the table.
    pub(super) async fn is_as_opened(
        &self,
        client: &Client,
    ) -> Result<bool, tokio_postgres::Error> {
        let names: Vec<&str> = self.made_of.keys().map(String::as_str).collect();
        let statement = client.prepare_cached(MADE_OF).await?;
        let rows = client.query(&statement, &[&self.quoted, &names]).await?;
        let now = rows.iter().map(|row| {
            let made_of = MadeOf {
                type_id: row.try_get(1)?,
                modifier: row.try_get(2)?,
                collation: row.try_get(3)?,
            };
            Ok((row.try_get(0)?, made_of))
        });
        let now: BTreeMap<String, _> = now.collect::<Result<_, tokio_postgres::Error>>()?;
        Ok(now == self.made_of)
    }
}
