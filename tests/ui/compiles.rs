//! The control: what is allowed compiles, so that the other files fail for their own reasons.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use scrim_engine::{Ask, Bound, Engine, Governed, Permitted, Query, RawTable, Results};
use scrim_identity::Authenticated;
use scrim_ledger::{Ledger, Opening, Permit};
use scrim_model::{Code, Principal, Refusal, Secret};
use scrim_policy::Decision;

pub async fn the_way_of_a_query(engine: &Engine, ask: &Ask) -> Result<Results, Refusal> {
    let bound: Query<Bound> = engine.bind(ask, "SELECT 1", None).await?;
    let permitted: Query<Permitted> = bound.permit().await?;
    let governed: Query<Governed> = permitted.govern().await?;
    governed.execute()
}

pub async fn a_permit_comes_from_the_ledger(ledger: &Ledger, opening: Opening) {
    if let Ok(mut permit) = ledger.open_query(opening).await {
        permit.progress(1, 1);
        Permit::failed(permit, Code::Cancelled, 1, 1);
    }
}

pub fn proof_can_be_read_and_copied(proof: &Authenticated<Principal>) -> (String, Authenticated<Principal>) {
    (proof.get().id.clone(), proof.clone())
}

pub fn a_provider_can_be_sealed(provider: Arc<dyn TableProvider>) -> RawTable {
    RawTable::new(provider, "somewhere")
}

pub fn a_decision_can_be_printed(decision: &Decision, secret: &Secret<String>) -> String {
    format!("{decision:?} {secret:?} {}", secret.expose().len())
}
