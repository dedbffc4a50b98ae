use scrim_engine::Ask;
use scrim_model::{Context, Principal, SessionSettings};

pub fn a_principal_is_no_proof(principal: Principal, context: Context) -> Ask {
    Ask { principal, context, settings: SessionSettings::default(), session: None, default_schema: None, time_zone: None }
}
