//! Rows that were counted, on the data as they are.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use scrim_document::SourceFile;
use scrim_engine::Ask;
use scrim_identity::Accounts;
use scrim_model::{Clock, Context, Principal, SessionSettings, SystemClock, TableName};
use scrim_policy::PolicySet;
use scrim_policy::compare::{AgreementChange, Difference, Presence, Width, rows_gained};
use scrim_server::load::Typed;
use serde::Serialize;

use super::{Bench, Options};
use crate::outcome::Failure;

/// Accounts of one organisation through whose eyes is counted.
const ACCOUNTS_MAX: usize = 5;

/// What was counted of one agreement for one principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The table.
    pub table: TableName,
    /// The agreement.
    pub agreement: String,
    /// Through whose eyes.
    pub principal: String,
    /// Rows that are given and were not.
    pub gained: u64,
    /// Rows that were given and are not.
    pub lost: u64,
}

/// Counts the rows that agreements gain and lose, where logic cannot tell or when asked to.
pub(super) async fn rows(
    bench: &Bench,
    (old, new): (Typed, Typed),
    difference: &Difference,
    options: &Options,
    remarks: &mut Vec<String>,
) -> Result<Vec<Counted>, Failure> {
    let mut wanted: Vec<(TableName, String, String)> = Vec::new();
    for table in &difference.tables {
        for organisation in &table.organisations {
            for agreement in organisation.agreements.iter().filter(|one| counts(one, options)) {
                let name = table.table.clone();
                if [&old, &new].iter().any(|side| side.declared.contains(&name)) {
                    remarks.push(format!(
                        "{}: its rows were not counted, since the source cannot be opened",
                        agreement.agreement
                    ));
                    continue;
                }
                let organisation = organisation.organisation.clone();
                wanted.push((name, organisation, agreement.agreement.clone()));
            }
        }
    }
    let mut counted = Vec::new();
    if wanted.is_empty() {
        return Ok(counted);
    }
    let accounts = accounts(bench, &wanted)?;
    let (was, is) = (Arc::clone(&old.policy), Arc::clone(&new.policy));
    let world = Counting { bench, tables: new };
    for (table, organisation, agreement) in wanted {
        for ask in asks(bench, &accounts, &organisation) {
            let of = |old: &PolicySet, new: &PolicySet| {
                let request = (ask.principal.get(), &ask.context);
                rows_gained((old, new), &table, &agreement, request)
            };
            let (Some(gained), Some(lost)) = (of(&was, &is), of(&is, &was)) else {
                remarks.push(format!(
                    "{agreement}: its rows cannot be counted, since they are of different columns"
                ));
                break;
            };
            counted.push(Counted {
                gained: world.count(gained, &ask, &table).await?,
                lost: world.count(lost, &ask, &table).await?,
                table: table.clone(),
                agreement: agreement.clone(),
                principal: ask.principal.get().id.clone(),
            });
        }
    }
    Ok(counted)
}

fn counts(agreement: &AgreementChange, options: &Options) -> bool {
    let both = agreement.presence == Presence::Changed;
    let differs = match agreement.rows {
        Width::Unknown => true,
        Width::Wider | Width::Narrower | Width::Incomparable => options.count,
        Width::Equal => false,
    };
    both && differs
}
