//! Whether a change can be seen in the result of a query.

use scrim_ledger::TableUse;
use scrim_policy::compare::{Change, Width};

/// Not when only columns differ that the query does not use and that its statement cannot mean.
pub(super) fn affects(change: &Change, used: &TableUse, sql: &str) -> bool {
    let Some(used) = &used.used else { return true };
    let is_used = |path: &String| used.iter().any(|column| is_inside(path, column));
    change.verdict.is_some()
        || change.rows != Width::Equal
        || change.lost.iter().any(is_used)
        || change.replaced.iter().any(is_used)
        || change.treatments.iter().any(|one| is_used(&one.column))
        || may_mean(sql, &change.gained)
        || change
            .limits
            .iter()
            .any(|limit| limit.width() != Width::Wider)
}

/// Whether a path is a column or leads into it.
fn is_inside(path: &str, column: &str) -> bool {
    path.strip_prefix(column)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether a statement can mean columns that its tables did not have: it has a `*` that stands for
/// columns, joins by all names that two tables share, tells of columns, or holds the name of one,
/// which may be that of something else so far. In doubt it can.
fn may_mean(sql: &str, gained: &[String]) -> bool {
    if gained.is_empty() {
        return false;
    }
    let sql = sql.to_lowercase();
    let words: String = sql.split_whitespace().collect();
    let asks = ["select", "with", "(", "values"];
    !asks.iter().any(|word| words.starts_with(word))
        || words.replace("count(*)", "").contains('*')
        || words.contains("natural")
        || gained.iter().any(|name| sql.contains(&name.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{is_inside, may_mean};

    #[test]
    fn a_field_is_inside_its_column_and_no_other() {
        for (path, column, inside) in [
            ("contact", "contact", true),
            ("contact.email", "contact", true),
            ("tags[]", "tags", true),
            ("contacts", "contact", false),
            ("contact", "contact.email", false),
            ("a.b.c", "a.b", true),
        ] {
            assert_eq!(is_inside(path, column), inside, "{path} {column}");
        }
    }

    #[test]
    fn a_new_column_is_seen_by_a_star_or_by_its_name() {
        for (sql, seen) in [
            ("SELECT ward FROM patients", false),
            ("SELECT count(*), COUNT( * ) FROM patients", false),
            ("SELECT * FROM patients", true),
            ("SELECT p.* FROM patients p", true),
            ("SELECT ward FROM (SELECT * FROM patients) p", true),
            ("SELECT ward FROM patients NATURAL JOIN visits", true),
            ("SELECT ward AS Zip FROM patients GROUP BY Zip", true),
            (
                "WITH p AS (SELECT ward FROM patients) SELECT 1 FROM p",
                false,
            ),
            ("SHOW COLUMNS FROM patients", true),
            ("EXPLAIN ACCESS SELECT ward FROM patients", true),
        ] {
            assert_eq!(may_mean(sql, &["zip".to_owned()]), seen, "{sql}");
            assert!(!may_mean(sql, &[]), "{sql}");
        }
    }
}
