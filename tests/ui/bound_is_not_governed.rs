use scrim_engine::{Bound, Governed, Query};

pub async fn no_guards_without_a_permit(query: Query<Bound>) -> Query<Governed> {
    query.govern().await.unwrap()
}
