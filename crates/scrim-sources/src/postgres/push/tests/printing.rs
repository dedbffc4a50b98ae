//! What arrives from a planner, and the SQL for it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, not_impl_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionContext, col, lit};

use super::super::super::columns::{PgColumn, PgColumns, PgType};
use super::super::{Pushed, push};

/// A table that takes every condition.
#[derive(Debug)]
struct Taker(SchemaRef);

#[async_trait::async_trait]
impl TableProvider for Taker {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        not_impl_err!("it is only planned")
    }
}

fn columns() -> PgColumns {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let tags = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let columns = [
        ("ward", PgType::Int4, DataType::Int32),
        ("age", PgType::Int2, DataType::Int16),
        ("visit", PgType::Int8, DataType::Int64),
        ("payer", PgType::Text, DataType::Utf8),
        ("region", PgType::Text, DataType::Utf8),
        ("sex", PgType::Bpchar, DataType::Utf8),
        ("status", PgType::Enum, DataType::Utf8),
        ("patient", PgType::Uuid, DataType::Utf8),
        ("sealed", PgType::Bool, DataType::Boolean),
        ("consent", PgType::Bool, DataType::Boolean),
        ("cost", PgType::Numeric, DataType::Decimal128(10, 2)),
        ("weight", PgType::Float8, DataType::Float64),
        ("served", PgType::Date, DataType::Date32),
        ("admitted", PgType::Timestamptz, zoned),
        (
            "noted",
            PgType::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        ("photo", PgType::Bytea, DataType::Binary),
        ("tags", PgType::Array(Box::new(PgType::Text)), tags),
    ];
    let columns = columns.map(|(name, pg_type, data_type)| PgColumn {
        name: name.to_owned(),
        data_type,
        pg_type,
        deterministic: true,
    });
    PgColumns::new(columns.into())
}

/// The conditions that reach the table.
fn arriving(condition: &str, columns: &PgColumns) -> Vec<Expr> {
    let fields = columns
        .iter()
        .map(|column| Field::new(&column.name, column.data_type.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let state = SessionStateBuilder::new().with_default_features().build();
    let context = SessionContext::new_with_state(state);
    let named = DFSchema::try_from_qualified_schema("source", &schema).unwrap();
    let parsed = context.parse_sql_expr(condition, &named).unwrap();
    let source = provider_as_source(Arc::new(Taker(schema)));
    let plan = LogicalPlanBuilder::scan("source", source, None).unwrap();
    let plan = plan.filter(parsed).unwrap().build().unwrap();
    let plan = context.state().optimize(&plan).unwrap();
    let mut found = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.extend(scan.filters.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    found
}

/// What is pushed of a condition, one line for each part of it that arrives by itself.
fn pushed(condition: &str, columns: &PgColumns) -> Vec<String> {
    let arriving = arriving(condition, columns).into_iter();
    let lines = arriving.map(|expr| match push(&expr, columns) {
        Some(Pushed { sql, exact: true }) => sql,
        Some(Pushed { sql, exact: false }) => format!("{sql} and more"),
        None => format!("not {expr}"),
    });
    lines.collect()
}

fn check(cases: &[(&str, &[&str])]) {
    let columns = columns();
    for (condition, expected) in cases {
        assert_eq!(pushed(condition, &columns), *expected, "{condition}");
    }
}

#[test]
fn the_rules_of_contracts_are_pushed() {
    check(&[
        ("payer = 'acme'", &[r#""payer" = 'acme'::text"#]),
        (
            "array_has(make_array('EU', 'UK', 'US', 'FR'), region)",
            &[r#""region" = ANY ('{EU,UK,US,FR}'::text[])"#],
        ),
        (
            "region IN ('EU', 'U''K') AND served >= DATE '2022-01-01'",
            &[
                r#"("region" = 'EU'::text OR "region" = 'U''K'::text)"#,
                r#""served" >= '2022-01-01'::date"#,
            ],
        ),
        (
            "sealed IS NOT TRUE",
            &[r#"("sealed" = 'false'::bool OR "sealed" IS NULL)"#],
        ),
        (
            "consent AND NOT sealed",
            &[r#""consent" = 'true'::bool"#, r#""sealed" = 'false'::bool"#],
        ),
        (
            "(payer = 'a' AND sealed) OR (region = 'b' AND NOT (ward > 5))",
            &[
                r#"(("payer" = 'a'::text AND "sealed" = 'true'::bool) OR ("region" = 'b'::text AND "ward" <= '5'::int4))"#,
            ],
        ),
        ("(ward = 5) IS TRUE", &[r#""ward" = '5'::int4"#]),
        (
            "(NOT (payer = 'a' OR ward IS NULL)) IS NOT FALSE",
            &[r#"(("payer" <> 'a'::text OR "payer" IS NULL) AND "ward" IS NOT NULL)"#],
        ),
        (
            "admitted >= TIMESTAMP '2022-01-01T00:00:00Z'",
            &[r#""admitted" >= '2022-01-01 00:00:00.000000+00'::timestamptz"#],
        ),
        (
            "coalesce(sealed, false) = false",
            &[r#"("sealed" IS NULL OR "sealed" = 'false'::bool)"#],
        ),
        (
            "sealed IS DISTINCT FROM TRUE",
            &[r#"("sealed" <> 'true'::bool OR "sealed" IS NULL)"#],
        ),
    ]);
}

#[test]
fn each_type_is_compared_as_what_it_is() {
    check(&[
        ("ward = 7", &[r#""ward" = '7'::int4"#]),
        ("7 > ward", &[r#""ward" < '7'::int4"#]),
        ("ward < 100000000000", &[r#""ward" < '100000000000'::int8"#]),
        (
            "visit = -9223372036854775808",
            &[r#""visit" = '-9223372036854775808'::int8"#],
        ),
        ("age > 17.5", &[r#""age" > '17.5'::numeric"#]),
        (
            "age IN (1, 2, 3, 4, 100000)",
            &[r#""age" = ANY ('{1,2,3,4}'::int2[])"#],
        ),
        ("cost <= 5", &[r#""cost" <= '500e-2'::numeric"#]),
        (
            "cost > 99.5",
            &[r#"("cost" > '9950e-2'::numeric AND "cost" <> 'NaN'::numeric)"#],
        ),
        (
            "cost IS NULL",
            &[r#"("cost" IS NULL OR "cost" = 'NaN'::numeric)"#],
        ),
        ("payer < 'b'", &[r#""payer" COLLATE "C" < 'b'::text"#]),
        ("payer LIKE 'a_%'", &[r#""payer" LIKE 'a_%'::text"#]),
        (
            "payer NOT LIKE '%''x'",
            &[r#""payer" NOT LIKE '%''x'::text"#],
        ),
        ("sex = 'f'", &[r#""sex" = 'f'::bpchar and more"#]),
        (
            "status = 'open'",
            &[
                r#"(pg_catalog.concat("status") COLLATE "C" = 'open'::text AND "status" IS NOT NULL)"#,
            ],
        ),
        (
            "patient = '6f1cd9a0-3a52-4bd1-8a3c-0a4f3f1f8f11'",
            &[r#""patient" = '6f1cd9a0-3a52-4bd1-8a3c-0a4f3f1f8f11'::uuid"#],
        ),
        // No identifier is shown so.
        (
            "patient = '6F1CD9A0-3A52-4BD1-8A3C-0A4F3F1F8F11'",
            &["false"],
        ),
        ("patient <> 'x'", &[r#""patient" IS NOT NULL"#]),
        ("photo = X'00ff27'", &[r#""photo" = '\x00ff27'::bytea"#]),
        ("ward = visit", &[r#""ward" = "visit""#]),
        (
            "payer = region",
            &[r#""region" COLLATE "C" = "payer" COLLATE "C""#],
        ),
        ("tags IS NULL", &[r#""tags" IS NULL"#]),
        ("weight IS NOT NULL", &[r#""weight" IS NOT NULL"#]),
    ]);
}

#[test]
fn what_cannot_be_said_stays_above() {
    check(&[
        ("weight > 1.5", &["not source.weight > Float64(1.5)"]),
        (
            "lower(payer) = 'a'",
            &[r#"not lower(source.payer) = Utf8("a")"#],
        ),
        (
            "payer ILIKE 'a%'",
            &[r#"not source.payer ILIKE Utf8("a%")"#],
        ),
        (
            r"payer LIKE 'a\%'",
            &[r#"not source.payer LIKE Utf8("a\%")"#],
        ),
        (
            "10 / ward = 2",
            &["not Int64(10) / CAST(source.ward AS Int64) = Int64(2)"],
        ),
        ("sex <> 'f'", &[r#"not source.sex != Utf8("f")"#]),
        ("patient > 'x'", &[r#"not source.patient > Utf8("x")"#]),
        ("patient = payer", &["not source.payer = source.patient"]),
        (
            "served < DATE '0000-12-31'",
            &[r#"not source.served < Date32("0000-12-31")"#],
        ),
        (
            "ward = 5 AND lower(payer) = 'a'",
            &[
                r#""ward" = '5'::int4"#,
                r#"not lower(source.payer) = Utf8("a")"#,
            ],
        ),
        (
            "(ward = 5 AND lower(payer) = 'a') OR ward = 6",
            &[r#"("ward" = '5'::int4 OR "ward" = '6'::int4) and more"#],
        ),
        (
            "ward = 5 OR lower(payer) = 'a'",
            &[r#"not source.ward = Int32(5) OR lower(source.payer) = Utf8("a")"#],
        ),
    ]);
}

#[test]
fn a_predicate_has_a_bounded_length() {
    let columns = columns();
    let list = |count: i64, width: usize| {
        let values = (0..count).map(|n| lit(format!("{n:width$}")));
        col("payer").in_list(values.collect(), false)
    };
    assert!(push(&list(100_000, 1), &columns).unwrap().exact);
    assert_eq!(push(&list(100_001, 1), &columns), None);
    assert_eq!(push(&list(50_000, 100), &columns), None);
    let pattern = |length: usize| col("payer").like(lit("_".repeat(length)));
    assert!(push(&pattern(1_000), &columns).is_some());
    assert_eq!(push(&pattern(1_001), &columns), None);
    let is = |n: i32| col("ward").eq(lit(n));
    let long = (0..10_000).map(is).reduce(Expr::or).unwrap();
    assert!(push(&long, &columns).is_some());
    let deep = (0..100).fold(is(0), |expr, n| {
        if n % 2 == 0 {
            expr.and(is(n))
        } else {
            expr.or(is(n))
        }
    });
    // The deepest arms are left out.
    assert!(!push(&deep, &columns).unwrap().exact);
}
