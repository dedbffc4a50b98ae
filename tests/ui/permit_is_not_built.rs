use scrim_ledger::Permit;
use scrim_model::QueryId;

pub fn not_from_its_parts(query: QueryId) -> Permit {
    Permit { query, hashes: Vec::new(), rows: 0, bytes: 0, open: true }
}

pub fn not_by_default() -> Permit {
    Permit::default()
}
