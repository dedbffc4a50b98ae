use scrim_engine::{Bound, Query, Results};

pub fn no_way_from_bound_to_data(query: Query<Bound>) -> Results {
    query.execute().unwrap()
}
