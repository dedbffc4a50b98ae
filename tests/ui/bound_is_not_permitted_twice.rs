use scrim_engine::{Bound, Query};

pub async fn one_record_for_one_query(query: Query<Bound>) {
    drop(query.permit().await);
    drop(query.permit().await);
}
