use scrim_engine::{Governed, Query};

pub fn one_permit_one_run(query: Query<Governed>) {
    drop(query.execute());
    drop(query.execute());
}
