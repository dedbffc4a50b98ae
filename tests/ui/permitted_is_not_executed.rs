use scrim_engine::{Permitted, Query, Results};

pub fn no_run_before_the_guards_are_in(query: Query<Permitted>) -> Results {
    query.execute().unwrap()
}
