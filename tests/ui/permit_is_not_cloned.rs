use scrim_ledger::Permit;

pub fn a_permit_is_one(permit: &Permit) -> Permit {
    permit.clone()
}
