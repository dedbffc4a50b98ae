//! Rows that were counted, on the data as they are.

use std::net::{IpAddr, Ipv4Addr};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use scrim_engine::Ask;
use scrim_identity::Accounts;
use scrim_model::{Clock, Context, Refusal, SessionSettings, SystemClock, TableName};
use scrim_policy::PolicySet;
use scrim_policy::compare::{AgreementChange, Difference, Presence, Width, rows_gained};
use scrim_server::load::{self, Typed};

use super::Options;
use crate::local::Bench;
use crate::outcome::Failure;

/// Accounts of one organisation through whose eyes is counted.
const ACCOUNTS_MAX: usize = 5;

/// What was counted of one agreement for one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    (old, new): (&Typed, &Typed),
    difference: &Difference,
    options: &Options,
    remarks: &mut Vec<String>,
) -> Result<Vec<Counted>, Failure> {
    let mut wanted: Vec<(TableName, String, String)> = Vec::new();
    for table in &difference.tables {
        for organisation in &table.organisations {
            for agreement in organisation
                .agreements
                .iter()
                .filter(|one| counts(one, options))
            {
                let name = table.table.clone();
                if [old, new].iter().any(|side| side.declared.contains(&name)) {
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
    let identity = &bench.config.identity;
    if !options.count && !identity.accounts.exists() {
        remarks.push(format!(
            "rows were not counted, since there are no accounts at {}",
            identity.accounts.display()
        ));
        return Ok(counted);
    }
    let accounts = load::accounts(&identity.accounts, &identity.attributes)?;
    for (table, organisation, agreement) in wanted {
        let asks = asks(bench, &accounts, &organisation);
        if asks.is_empty() {
            remarks.push(format!(
                "{agreement}: its rows were not counted, since no account is of {organisation}"
            ));
        }
        for ask in asks {
            let of = |old: &PolicySet, new: &PolicySet| {
                let request = (ask.principal.get(), &ask.context);
                rows_gained((old, new), &table, &agreement, request)
            };
            let (Some(gained), Some(lost)) =
                (of(&old.policy, &new.policy), of(&new.policy, &old.policy))
            else {
                remarks.push(format!(
                    "{agreement}: its rows cannot be counted, since they are of different columns"
                ));
                break;
            };
            counted.push(Counted {
                gained: count(bench, new, (gained, &table), &ask).await?,
                lost: count(bench, old, (lost, &table), &ask).await?,
                table: table.clone(),
                agreement: agreement.clone(),
                principal: ask.principal.get().id.clone(),
            });
        }
    }
    Ok(counted)
}

/// The standings to ask of an organisation's first accounts, now and from this machine.
fn asks(bench: &Bench, accounts: &Accounts, organisation: &str) -> Vec<Ask> {
    let ids = accounts.ids().filter(|id| {
        let account = accounts.get(id);
        account.is_some_and(|account| account.org == organisation)
    });
    let principals = ids.take(ACCOUNTS_MAX).filter_map(|id| accounts.vouch(id));
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    principals
        .map(|principal| {
            let mut context = Context::at(SystemClock.now());
            context.ip = Some(here);
            context.networks = bench.config.networks.containing(here);
            Ask {
                principal,
                context,
                settings: SessionSettings::default(),
                session: None,
                default_schema: None,
                time_zone: None,
            }
        })
        .collect()
}

/// Counts all rows of a table under a policy set: a query like any other.
async fn count(
    bench: &Bench,
    typed: &Typed,
    (policy, table): (PolicySet, &TableName),
    ask: &Ask,
) -> Result<u64, Failure> {
    let world = typed.world(policy, bench.root_key());
    bench.engine.load(world);
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (schema, name) = (quoted(&table.schema), quoted(&table.table));
    let sql = format!("SELECT count(*) FROM {schema}.{name}");
    let refused = |refusal: Refusal| Failure::Failed(format!("cannot count {table}: {refusal}"));
    let results = bench.engine.run(ask, &sql, None).await.map_err(refused)?;
    let batches: Vec<_> = results.try_collect().await.map_err(refused)?;
    let counts = batches.iter().filter_map(|batch| batch.columns().first());
    let total: i64 = counts
        .map(|column| {
            column
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .sum::<i64>()
        })
        .sum();
    Ok(u64::try_from(total).unwrap_or_default())
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
