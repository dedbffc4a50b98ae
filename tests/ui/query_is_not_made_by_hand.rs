use scrim_engine::{Bound, Governed, Query};

pub fn a_state_cannot_be_swapped(query: Query<Bound>, state: Governed) -> Query<Governed> {
    Query { common: query.common, state }
}
