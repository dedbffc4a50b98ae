//! Which expressions PostgreSQL evaluates for us, and as what SQL.

use datafusion::logical_expr::Expr;

use super::columns::PgColumns;

/// A condition as PostgreSQL's SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The condition; it cannot fail on any row.
    pub(crate) sql: String,
    /// Whether it keeps the rows that the expression keeps and no others; if not, it keeps more.
    pub(crate) exact: bool,
}

/// The expression as SQL, if PostgreSQL surely keeps every row that the expression keeps.
pub(crate) fn push(_: &Expr, _: &PgColumns) -> Option<Pushed> {
    None
}
