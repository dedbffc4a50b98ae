use scrim_identity::Authenticated;
use scrim_model::Principal;

pub fn not_from_a_principal(principal: Principal) -> Authenticated<Principal> {
    Authenticated(principal)
}

pub fn not_by_conversion(principal: Principal) -> Authenticated<Principal> {
    principal.into()
}

pub fn not_by_name(principal: Principal) -> Authenticated<Principal> {
    Authenticated::new(principal)
}
