//! The decisions of one policy set, each made once for the same grounds.

use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use scrim_model::{Context, Principal, SessionSettings, TableName};
use scrim_policy::{Decision, GroundsKey, PolicySet};

/// How many decisions are expected to be in use.
const EXPECTED: usize = 1_024;
/// What the decisions that are kept may weigh together; about 16 MiB.
const WEIGHT_MAX: u64 = 65_536;

/// Makes decisions, and keeps those in use for as long as the policy set is in force: whoever asks
/// on the same grounds gets the same decision, and the grounds hold all that a decision sees.
pub struct Decisions {
    policy: Arc<PolicySet>,
    kept: Cache<GroundsKey, Arc<Decision>, Weight>,
}

/// The parts of a decision, which are of about equal size.
#[derive(Debug, Clone)]
struct Weight;

impl Weighter<GroundsKey, Arc<Decision>> for Weight {
    fn weight(&self, _: &GroundsKey, decision: &Arc<Decision>) -> u64 {
        let shown = decision.columns.len() * decision.arms.len();
        let clauses = decision.arms.len() + decision.guards.len() + decision.unmatched.len();
        1 + (shown + clauses) as u64
    }
}

impl fmt::Debug for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decisions({} kept)", self.kept.len())
    }
}

impl Decisions {
    /// None are made yet.
    pub fn of(policy: Arc<PolicySet>) -> Self {
        Self {
            policy,
            kept: Cache::with_weighter(EXPECTED, WEIGHT_MAX, Weight),
        }
    }

    /// What a principal may see of a table.
    pub fn decide(
        &self,
        principal: &Principal,
        context: &Context,
        settings: &SessionSettings,
        table: &TableName,
    ) -> Arc<Decision> {
        let grounds = self.policy.grounds(principal, context, settings, table);
        let Some(key) = grounds.key() else {
            return Arc::new(grounds.decide());
        };
        if let Some(known) = self.kept.get(&key) {
            return known;
        }
        let decision = Arc::new(grounds.decide());
        self.kept.insert(key, Arc::clone(&decision));
        decision
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::{DateTime, TimeDelta, Utc};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use scrim_document::SourceFile;
    use scrim_model::PrincipalKind;
    use scrim_policy::{Documents, FunctionSet, LoadEnv, Unavailable, Verdict};

    use super::*;

    const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
domain: d
servers: [{server: files, type: local, path: t.parquet, format: parquet}]
schema: [{name: t, properties: [{name: a}]}]
customProperties:
  - property: accessPolicy
    value: {purposes: [p], profiles: {all: {default: clear}}}
";
    const AGREEMENT: &str = "apiVersion: v0.9.0
kind: AccessAgreement
id: one
status: active
contract: {id: t, version: ^1}
profile: all
consumer: {organisation: acme, who: \"principal.acr = 'mfa'\"}
purpose: p
end: 2026-06-03
";

    fn policy() -> Arc<PolicySet> {
        let documents = Documents::parse(vec![
            SourceFile::new("contracts/t.odcs.yaml", CONTRACT),
            SourceFile::new("agreements/one.yaml", AGREEMENT),
        ]);
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let env = LoadEnv {
            schemas: &[(table(), Arc::new(schema))].into(),
            lookups: &BTreeMap::new(),
            unavailable: Unavailable::default(),
            attributes: &BTreeMap::new(),
            networks: BTreeSet::new(),
            functions: FunctionSet::default(),
        };
        let compiled = PolicySet::compile(documents.unwrap(), &env);
        Arc::new(compiled.unwrap_or_else(|problems| panic!("{problems}")).0)
    }

    fn table() -> TableName {
        TableName::new("d", "t")
    }

    fn noon() -> DateTime<Utc> {
        "2026-06-03T12:00:00Z".parse().unwrap()
    }

    fn someone(acr: &str) -> Principal {
        Principal {
            id: "someone".to_owned(),
            org: "acme".to_owned(),
            groups: Vec::new(),
            roles: Vec::new(),
            kind: PrincipalKind::Human,
            acr: Some(acr.to_owned()),
            authenticated_at: None,
            on_behalf_of: None,
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn inv_02_the_same_grounds_have_one_decision_and_others_their_own() {
        let policy = policy();
        let decisions = Decisions::of(Arc::clone(&policy));
        let settings = SessionSettings::default();
        let decide = |principal: &Principal, context: &Context| {
            let decision = decisions.decide(principal, context, &settings, &table());
            let anew = policy.decide(principal, context, &settings, &table());
            assert_eq!(*decision, anew);
            decision
        };
        let (proven, known) = (someone("mfa"), Context::at(noon()));
        let first = decide(&proven, &known);
        assert_eq!(first.verdict, Verdict::Shown);
        // A minute later, and as another client, which no condition asks about.
        let mut later = Context::at(noon() + TimeDelta::minutes(1));
        later.client = Some("dbt".to_owned());
        assert!(Arc::ptr_eq(&decide(&proven, &later), &first));
        assert_eq!(
            decide(&someone("pwd"), &known).verdict,
            Verdict::NoAgreement
        );
        let tomorrow = Context::at(noon() + TimeDelta::days(1));
        assert_eq!(decide(&proven, &tomorrow).verdict, Verdict::NoAgreement);
        let mut revoked = known.clone();
        revoked.revoked.insert("one".to_owned(), noon());
        assert_eq!(decide(&proven, &revoked).verdict, Verdict::NoAgreement);
        assert!(Arc::ptr_eq(&decide(&proven, &known), &first));
    }

    #[test]
    fn inv_14_what_is_kept_is_bounded() {
        let decisions = Decisions::of(policy());
        let settings = SessionSettings::default();
        for number in 0..WEIGHT_MAX {
            let principal = someone(&number.to_string());
            decisions.decide(&principal, &Context::at(noon()), &settings, &table());
        }
        assert!(decisions.kept.weight() <= WEIGHT_MAX);
        assert!(!decisions.kept.is_empty());
    }
}
