//! Keys as one principal sees them.
//!
//! A key is shown only when each of its columns is visible and clear on every row: a key with a
//! hidden column would tell of the column, and one with a masked column would promise a join that
//! the masks may not keep. Two pseudonyms of one value agree only under the same recipient, contract
//! and domain, which differ from table to table; so no masked column is part of a key, whatever the
//! mask.

use std::collections::BTreeMap;

use scrim_model::TableName;
use scrim_policy::{Decision, ForeignKey, PolicySet, Table, Treatment};

use crate::world::VisibleTable;

/// Puts into each table the keys that its principal may know of.
pub(crate) fn show(policy: &PolicySet, tables: &mut [VisibleTable]) {
    let clear: BTreeMap<TableName, Vec<String>> = tables
        .iter()
        .map(|table| (table.name.clone(), clear_columns(&table.decision)))
        .collect();
    let is_clear = |table: &TableName, columns: &[String]| {
        let known = clear.get(table);
        !columns.is_empty()
            && known.is_some_and(|known| columns.iter().all(|column| known.contains(column)))
    };
    for shown in tables {
        let Some(table) = policy.table(&shown.name) else {
            continue;
        };
        let Table {
            primary_key,
            foreign_keys,
            ..
        } = table;
        if is_clear(&shown.name, primary_key) {
            shown.primary_key.clone_from(primary_key);
        }
        let both_sides = |key: &&ForeignKey| {
            is_clear(&shown.name, &key.columns) && is_clear(&key.table, &key.referenced)
        };
        shown.foreign_keys = foreign_keys.iter().filter(both_sides).cloned().collect();
    }
}

fn clear_columns(decision: &Decision) -> Vec<String> {
    let clear = |treatments: &[Treatment]| treatments.iter().all(Treatment::is_clear);
    let columns = decision.columns.iter();
    columns
        .filter(|column| clear(&column.treatments))
        .map(|column| column.name.clone())
        .collect()
}
