//! No text and no name gets out of its quotes.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::col;
use scrim_testkit::postgres::Postgres;

use super::super::super::columns::{PgColumn, PgColumns, PgType};
use super::super::{Pushed, push};
use super::both::Both;

/// Texts that would end a literal, a name, an element or a comment if they could.
const HOSTILE: &[&str] = &[
    "'; DROP TABLE public.hostile; --",
    "\\'; DROP TABLE public.hostile; --",
    "' OR true --",
    "'' OR '' = '",
    "\" = \"id\" OR true --",
    "\"\"",
    "\\\"",
    "\\",
    "\\\\",
    "a\",\"b",
    "{\"a\",\"b\"}",
    "},{",
    "a,b",
    "NULL",
    "null",
    "",
    " a ",
    "$$",
    "$1",
    "E'\\''",
    "U&'\\0027'",
    "\\x27",
    "/* */ ' /*",
    "\r\n'",
    "\u{2019}\u{2bc}\u{ff07}'",
    "\u{202e}'\u{feff}",
    "%'",
    "_'",
];

/// A table with a column named by each hostile text, and a row for each in which all columns have it.
fn hostile() -> (String, PgColumns, RecordBatch) {
    let quoted = |text: &str, quote: char| {
        let text = text.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{text}{quote}")
    };
    let names: Vec<String> = HOSTILE.iter().map(|text| format!("{text}.")).collect();
    let declared = names
        .iter()
        .map(|name| format!("{} text", quoted(name, '"')));
    let declared = declared.collect::<Vec<_>>().join(", ");
    let lines = HOSTILE.iter().enumerate().map(|(row, text)| {
        let value = quoted(text, '\'');
        format!("({row}, {})", vec![value; HOSTILE.len()].join(", "))
    });
    let sql = format!(
        "CREATE TABLE hostile (id int, {declared}); INSERT INTO hostile VALUES {}",
        lines.collect::<Vec<_>>().join(", ")
    );
    let array: ArrayRef = Arc::new(StringArray::from(HOSTILE.to_vec()));
    let rows = names.iter().map(|name| (name, Arc::clone(&array)));
    let rows = RecordBatch::try_from_iter(rows).unwrap();
    let columns = names.iter().map(|name| PgColumn {
        name: name.clone(),
        data_type: DataType::Utf8,
        pg_type: PgType::Text,
        deterministic: true,
    });
    (sql, PgColumns::new(columns.collect()), rows)
}

#[tokio::test]
async fn inv_06_no_text_and_no_name_ends_its_quotes() {
    let (sql, columns, rows) = hostile();
    let database = Postgres::shared().database();
    database.execute(&sql);
    let both = Both::new(&database, "hostile", rows).await;
    let mut pushed = 0;
    for (index, text) in HOSTILE.iter().enumerate() {
        let column = || Expr::Column(Column::from_name(format!("{text}.")));
        let other = lit(HOSTILE[(index + 7) % HOSTILE.len()]);
        let conditions = [
            column().eq(lit(*text)),
            column().not_eq(lit(*text)),
            column().gt_eq(lit(*text)),
            column().in_list(vec![lit(*text), other.clone()], false),
            column().in_list(vec![lit(*text), other], true),
            column().like(lit(*text)),
            column().like(lit(format!("%{text}"))),
        ];
        for expr in conditions {
            let Some(Pushed { sql, exact }) = push(&expr, &columns) else {
                assert!(
                    text.contains('\\') && matches!(expr, Expr::Like(_)),
                    "{expr}"
                );
                continue;
            };
            assert!(exact, "{sql}");
            pushed += 1;
            assert_eq!(both.postgres(&sql).await, both.datafusion(&expr), "{sql}");
        }
    }
    assert!(pushed > HOSTILE.len() * 5);
    // PostgreSQL has no text with NUL in it.
    let column = || col(Column::from_name(format!("{}.", HOSTILE[0])));
    let nul = || lit("a\0'");
    assert_eq!(push(&column().eq(nul()), &columns).unwrap().sql, "false");
    assert_eq!(push(&column().gt(nul()), &columns), None);
    assert_eq!(push(&column().like(nul()), &columns), None);
}
