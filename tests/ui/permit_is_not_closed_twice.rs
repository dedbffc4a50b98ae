use scrim_ledger::Permit;
use scrim_model::Code;

pub fn a_record_ends_once(permit: Permit) {
    permit.completed(1, 1);
    permit.failed(Code::Cancelled, 1, 1);
}
