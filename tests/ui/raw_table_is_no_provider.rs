use std::sync::Arc;

use datafusion::catalog::TableProvider;
use scrim_engine::RawTable;

pub fn cannot_be_registered(raw: RawTable) -> Arc<dyn TableProvider> {
    Arc::new(raw)
}

pub fn cannot_be_opened(raw: &RawTable) -> Arc<dyn TableProvider> {
    raw.unseal()
}
