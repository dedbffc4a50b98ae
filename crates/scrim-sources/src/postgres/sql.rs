//! Names and texts as SQL.

use super::columns::{PgColumn, PgType};

/// A name as it stands in SQL, whatever characters it has.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as it stands in SQL; backslashes mean nothing in it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What is selected for a column: itself, or its text where its own type is not read.
pub(super) fn selected(column: &PgColumn) -> String {
    let name = identifier(&column.name);
    match &column.pg_type {
        PgType::Printed => format!("{name}::pg_catalog.text"),
        PgType::Array(item) if **item == PgType::Printed => format!("{name}::pg_catalog.text[]"),
        _ => name,
    }
}

/// The rows of one scan: a `SELECT` whose rows are copied out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// What they are selected from.
    pub(super) table: &'a str,
    /// The columns; none when rows are only counted.
    pub(super) columns: &'a [PgColumn],
    /// Conditions, all of which must be true.
    pub(super) conditions: &'a [String],
    /// One more, if not all parts of the table are read.
    pub(super) part: Option<&'a str>,
    /// At most so many rows.
    pub(super) limit: Option<usize>,
}

impl Rows<'_> {
    /// The statement that copies them. Rows without columns are counted instead, in one row.
    pub(super) fn copy(&self) -> String {
        let select = self.select();
        if self.columns.is_empty() {
            let counted = format!("SELECT pg_catalog.count(*) FROM ({select}) AS counted");
            return format!("COPY ({counted}) TO STDOUT (FORMAT binary)");
        }
        format!("COPY ({select}) TO STDOUT (FORMAT binary)")
    }

    pub(super) fn select(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(selected).collect();
        let mut select = format!("SELECT {} FROM {}", columns.join(", "), self.table);
        let conditions = self.conditions.iter().map(String::as_str).chain(self.part);
        for (index, condition) in conditions.enumerate() {
            select.push_str(if index == 0 { " WHERE (" } else { " AND (" });
            select.push_str(condition);
            select.push(')');
        }
        if let Some(limit) = self.limit {
            select.push_str(" LIMIT ");
            select.push_str(&limit.to_string());
        }
        select
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;

    use super::*;

    fn column(name: &str, pg_type: PgType) -> PgColumn {
        PgColumn {
            name: name.to_owned(),
            data_type: DataType::Utf8,
            pg_type,
            deterministic: true,
        }
    }

    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        assert_eq!(
            identifier("a\"; DROP TABLE x; --"),
            "\"a\"\"; DROP TABLE x; --\""
        );
        assert_eq!(literal("it's \\ so"), "'it''s \\ so'");
    }

    #[test]
    fn a_scan_is_one_select() {
        let columns = [
            column("A", PgType::Text),
            column("b", PgType::Printed),
            column("c", PgType::Array(Box::new(PgType::Printed))),
        ];
        let rows = Rows {
            table: "\"s\".\"t\"",
            columns: &columns,
            conditions: &["x = 1".to_owned(), "y OR z".to_owned()],
            part: Some("p"),
            limit: Some(7),
        };
        assert_eq!(
            rows.copy(),
            "COPY (SELECT \"A\", \"b\"::pg_catalog.text, \"c\"::pg_catalog.text[] FROM \"s\".\"t\" \
             WHERE (x = 1) AND (y OR z) AND (p) LIMIT 7) TO STDOUT (FORMAT binary)"
        );
        let counted = Rows {
            columns: &[],
            conditions: &[],
            part: None,
            ..rows
        };
        assert_eq!(
            counted.copy(),
            "COPY (SELECT pg_catalog.count(*) FROM (SELECT  FROM \"s\".\"t\" LIMIT 7) AS counted) \
             TO STDOUT (FORMAT binary)"
        );
    }
}
