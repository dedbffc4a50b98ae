use scrim_engine::{Governed, Query};

pub fn a_right_cannot_be_copied(query: &Query<Governed>) -> Query<Governed> {
    query.clone()
}
