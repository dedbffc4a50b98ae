//! The shape in which row rules reach the engine.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::Expr;
use datafusion_expr::logical_plan::LogicalPlan;

use super::{World, decide};
use crate::LookupTableSource;

#[test]
fn a_look_up_is_a_subquery_over_a_table_that_cannot_be_scanned() {
    let access = "purposes: [research]
profiles:
  p: {rows: 'region IN (SELECT region FROM lookup.entitlements WHERE partner = principal.org)', default: clear}";
    let set = World::new().contract(access).agreement("a", "p", "").set();
    let rules = set.rules(&decide(&set)).unwrap();
    let Some(Some(Expr::InSubquery(lookup))) = rules.arms.first() else {
        panic!("{rules:?}")
    };
    let subquery = &lookup.subquery;
    assert!(
        subquery.outer_ref_columns.is_empty(),
        "nothing is left to correlate"
    );
    let mut scanned = Vec::new();
    subquery
        .subquery
        .apply(|plan| {
            if let LogicalPlan::TableScan(scan) = plan {
                assert_eq!(scan.table_name.to_string(), "lookup.entitlements");
                scanned.push(
                    scan.source
                        .downcast_ref::<LookupTableSource>()
                        .unwrap()
                        .name()
                        .to_owned(),
                );
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
    assert_eq!(scanned, ["entitlements"]);
    insta::assert_snapshot!(subquery.subquery.display_indent(), @r#"
    Projection: CAST(lookup.entitlements.region AS Utf8View)
      Filter: lookup.entitlements.partner = Utf8("acme")
        TableScan: lookup.entitlements
    "#);
}

#[test]
fn a_rule_that_holds_for_every_row_is_left_out() {
    let access = "purposes: [research]
guards:
  - {id: trivial, rows: true}
  - {id: closed, rows: principal.home = region}
profiles:
  p: {rows: principal.org = 'acme', default: clear}
  q: {default: clear}";
    let set = World::new()
        .contract(access)
        .agreement("a", "p", "")
        .agreement("b", "q", "")
        .set();
    let decision = decide(&set);
    let rules = set.rules(&decision).unwrap();
    assert_eq!(rules.arms, [None, None]);
    assert_eq!(
        rules.guards,
        [datafusion_expr::lit(false)],
        "an unknown attribute admits no row"
    );
    assert_eq!(decision.guards.len(), 2);
}

#[test]
fn inv_03_an_unknown_or_equal_value_in_a_list_opens_nothing() {
    let rows = |rule: &str| {
        let access =
            format!("purposes: [research]\nprofiles: {{p: {{rows: \"{rule}\", default: clear}}}}");
        let set = World::new().contract(&access).agreement("a", "p", "").set();
        let rules = set.rules(&decide(&set)).unwrap();
        rules.arms.into_iter().next().unwrap().unwrap()
    };
    // The simplifier reckons with lists as with sets, in which an unknown value is one like others.
    let unknown = rows("region IN ('EU', 'UK', 'US') AND region NOT IN ('UK', principal.home)");
    assert_eq!(unknown, datafusion_expr::lit(false));
    let column = rows("region IN ('EU', 'UK') AND region NOT IN ('FR', patient_id)");
    let shown = column.to_string();
    assert!(shown.contains("patient_id"), "{shown}");
}

#[test]
fn columns_have_the_sources_types_and_the_contracts_names_and_order() {
    let access = "purposes: [research]\nprofiles: {p: {rows: kennung > 3, default: clear}}";
    let text = super::contract(access).replace(
        "{name: claim_id,",
        "{name: kennung, physicalName: claim_id,",
    );
    let set = World::new()
        .file("contracts/claims.odcs.yaml", &text)
        .agreement("a", "p", "")
        .set();
    let table = set.table(&super::claims()).unwrap();
    assert_eq!(table.schema.field(0).name(), "kennung");
    assert_eq!(table.columns[0].physical_name, "claim_id");
    assert!(
        table
            .schema
            .fields()
            .iter()
            .all(|field| field.is_nullable())
    );
    assert_eq!(
        table.schema.fields().len(),
        10,
        "a column that no contract names is not there"
    );
    assert_eq!(
        set.rules(&decide(&set)).unwrap().arms[0]
            .as_ref()
            .unwrap()
            .to_string(),
        "kennung > Int64(3)"
    );
}
