//! Plans as principals see them: every leaf is a guard or holds no data, and no plan says what lies
//! inside a guard.

use arrow::array::AsArray;

use crate::kit::Local;

/// Shapes of plans: joins of every kind, subqueries, set operations, recursion, windows, literals.
const SHAPES: &[&str] = &[
    "SELECT * FROM care.patients",
    "SELECT count(*), min(birth_date) FROM care.patients",
    "SELECT count(*) FROM care.patients WHERE ward = 'Sunroom' AND zip LIKE '0%'",
    "SELECT ward FROM care.patients WHERE patient_id IN (SELECT patient_id FROM care.visits)",
    "SELECT ward FROM care.patients p WHERE NOT EXISTS (SELECT 1 FROM care.visits v WHERE v.patient_id = p.patient_id)",
    "SELECT (SELECT max(admitted_at) FROM care.visits), (SELECT count(*) FROM insurance.claims)",
    "SELECT * FROM care.patients a JOIN care.patients b USING (patient_id) ORDER BY a.ward LIMIT 3",
    "SELECT * FROM care.patients a LEFT JOIN care.visits b ON a.patient_id = b.patient_id AND b.length_of_stay > 3",
    "SELECT * FROM care.patients a, care.visits b WHERE a.region < b.region LIMIT 1",
    "SELECT ward FROM care.patients UNION SELECT ward FROM care.visits",
    "SELECT ward FROM care.patients INTERSECT SELECT ward FROM care.visits",
    "SELECT ward FROM care.patients EXCEPT SELECT ward FROM care.visits",
    "SELECT ward, rank() OVER (PARTITION BY region ORDER BY birth_date) FROM care.patients",
    "SELECT unnest(tags) FROM care.patients",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n, care.patients",
    "SELECT region, count(DISTINCT ward) FROM care.patients GROUP BY GROUPING SETS ((region), ())",
    "SELECT * FROM (VALUES (1), (2)) t(i)",
    "SELECT 1",
    "SELECT table_name FROM information_schema.tables",
    "SELECT * FROM care.patients WHERE false",
    "SELECT DISTINCT ON (region) region, ward FROM care.patients ORDER BY region, ward",
    "SELECT region, percentile_cont(0.5) WITHIN GROUP (ORDER BY household_income) FROM care.patients GROUP BY region",
];

/// Leaves that hold no data of a source.
const FREE_OF_DATA: [&str; 4] = [
    "PlaceholderRowExec",
    "EmptyExec",
    "WorkTableExec",
    "DataSourceExec: partitions=1, partition_sizes=",
];

async fn plan(local: &Local, id: &str, sql: &str) -> (String, String) {
    let rows = local
        .rows(&local.usual(id), &format!("EXPLAIN {sql}"), None)
        .await;
    let (_, batches) = rows.unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
    let texts = batches[0].column(1).as_string::<i32>().clone();
    (texts.value(0).to_owned(), texts.value(1).to_owned())
}

/// The lines under which nothing is indented deeper.
fn leaves(plan: &str) -> Vec<&str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = plan.lines().collect();
    let below = |i: usize| {
        lines
            .get(i + 1)
            .is_some_and(|next| indent(next) > indent(lines[i]))
    };
    (0..lines.len())
        .filter(|i| !below(*i))
        .map(|i| lines[i].trim_start())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_01_every_leaf_is_a_guard_or_free_of_data() {
    let local = Local::demo().await;
    let mut guards = 0;
    for id in ["nora", "rhea"] {
        for sql in SHAPES {
            let (_, physical) = plan(&local, id, sql).await;
            for leaf in leaves(&physical) {
                let guard = leaf.starts_with("GuardExec: table=scrim.");
                guards += usize::from(guard);
                let free = FREE_OF_DATA.iter().any(|kind| leaf.starts_with(kind));
                assert!(guard || free, "{sql}\n{leaf}\n{physical}");
            }
        }
    }
    assert!(guards > 40, "{guards}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_no_plan_tells_what_lies_inside_a_guard() {
    let local = Local::demo().await;
    let folder = local.config.base_dir.display().to_string();
    let mut plans = 0;
    for id in ["ivan", "rhea", "rolf"] {
        for sql in SHAPES {
            let ask = local.usual(id);
            let Ok((_, batches)) = local.rows(&ask, &format!("EXPLAIN {sql}"), None).await else {
                continue;
            };
            plans += 1;
            let texts = batches[0].column(1).as_string::<i32>();
            let text = texts.iter().flatten().collect::<Vec<_>>().join("\n");
            for inside in [
                ".parquet",
                "ParquetSource",
                "entitlements",
                "lookup",
                "legal_hold",
                "consent_research",
                "full_name",
                "national_id",
                "iban",
                "mask",
                "pseudonym",
                "harbor",
                "meridian",
                "study-7",
                "payer =",
                "file_groups",
                "predicate=",
                "statistics",
                "metrics",
                &folder,
            ] {
                // a column of one's own may be named
                let own = matches!((id, inside), ("ivan", "full_name" | "iban" | "legal_hold"));
                assert!(
                    own || !text.contains(inside),
                    "{id}: {sql}: {inside}\n{text}"
                );
            }
        }
    }
    assert!(plans > 60, "{plans}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_07_two_who_see_the_same_columns_get_the_same_plan() {
    let local = Local::demo().await;
    let sql =
        "SELECT zip, count(*) FROM care.patients WHERE region = 'NORTH' AND zip > '0' GROUP BY zip";
    // rhea sees other rows than rolf, by two agreements instead of one
    assert_eq!(
        plan(&local, "rhea", sql).await.0,
        plan(&local, "rolf", sql).await.0
    );
    assert_eq!(
        plan(&local, "rhea", sql).await.1,
        plan(&local, "rolf", sql).await.1
    );
}
