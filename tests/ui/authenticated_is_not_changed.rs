use scrim_identity::Authenticated;
use scrim_model::Principal;

pub fn no_promotion(proof: &mut Authenticated<Principal>) {
    proof.get().org = "northgate".to_owned();
}
