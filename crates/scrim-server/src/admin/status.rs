//! How the server is, gathered from its parts.

use scrim_model::TableName;
use scrim_policy::LeftOut;

use super::{LedgerStatus, LeftOutTable, PolicyStatus, RefusedLoad, Status};
use crate::flight::Flight;
use crate::in_force::{Policies, Refused, lines};

impl Flight {
    /// How the server is, now.
    pub(crate) fn status(&self) -> Status {
        let head = self.ledger.head();
        Status {
            server: env!("CARGO_PKG_VERSION").to_owned(),
            policies: (&self.policies.now()).into(),
            sessions: self.authenticator.sessions_open(self.clock.now()),
            streams: *self.streams.count().borrow(),
            revocations: self.revocations().in_force().cloned().collect(),
            ledger: LedgerStatus {
                entries: head.entries,
                head: head.hash,
                healthy: self.ledger.healthy(),
            },
        }
    }
}

impl From<&Policies> for PolicyStatus {
    fn from(policies: &Policies) -> Self {
        let tables = policies.policy.tables();
        Self {
            version: policies.policy.version().to_owned(),
            since: policies.since,
            cause: policies.cause,
            by: policies.by.clone(),
            folder: policies.folder.clone(),
            tables: tables.map(|table| shown(&table.name)).collect(),
            left_out: policies.left_out.iter().map(LeftOutTable::from).collect(),
            refused: policies.refused.as_ref().map(RefusedLoad::from),
        }
    }
}

impl From<&LeftOut> for LeftOutTable {
    fn from(left_out: &LeftOut) -> Self {
        Self {
            table: shown(&left_out.table),
            contract: left_out.contract.clone(),
            problems: lines(&left_out.problems),
        }
    }
}

impl From<&Refused> for RefusedLoad {
    fn from(refused: &Refused) -> Self {
        Self {
            at: refused.at,
            version: refused.version.clone(),
            cause: refused.cause,
            by: refused.by.clone(),
            problems: refused.problems.clone(),
        }
    }
}

fn shown(table: &TableName) -> String {
    format!("{}.{}", table.schema, table.table)
}
