//! A thousand contracts and ten thousand agreements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use scrim_document::SourceFile;
use scrim_model::{Context, SessionSettings, TableName};

use super::{alice, claims_schema, functions, noon};
use crate::{Documents, LoadEnv, PolicySet, Unavailable, Verdict};

/// A stream of numbers that is the same on every machine.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Contracts and agreements as an organisation of that size would write them: few profiles alike,
/// each agreement with conditions of its own.
fn files(contracts: u64, agreements: u64, seed: u64) -> Vec<SourceFile> {
    let mut random = Seeded(seed);
    let mut files = Vec::new();
    for index in 0..contracts {
        let access = format!(
            "purposes: [research, billing]
guards:
  - {{id: legal-hold, rows: NOT legal_hold}}
  - {{id: daytime, when: context.hour BETWEEN 5 AND 23}}
profiles:
  partner:
    rows: array_has(agreement.regions, region) AND service_date >= DATE '20{:02}-01-01'
    columns:
      claim_id: clear
      region: clear
      patient_id: {{mask: pseudonymize}}
      amount: {{mask: round, to: {}}}
    tagged: {{identifier: hidden}}
    limits: {{max_rows: {}}}
  internal: {{rows: score > 0.{}, default: clear}}",
            10 + random.below(15),
            1 + random.below(1000),
            1 + random.below(1_000_000),
            1 + random.below(8),
        );
        let text = super::contract(&access)
            .replace("id: claims\n", &format!("id: claims-{index}\n"))
            .replace("- name: claims\n", &format!("- name: claims_{index}\n"));
        files.push(SourceFile::new(
            format!("contracts/{index}.odcs.yaml"),
            text,
        ));
    }
    for index in 0..agreements {
        let organisation = if index < contracts {
            0
        } else {
            1 + random.below(200)
        };
        let contract = if index < contracts {
            index
        } else {
            random.below(contracts)
        };
        let profile = ["partner", "internal"][random.below(2) as usize];
        let group = random.below(1_000_000);
        let text = super::agreement(
            &format!("agreement-{index}"),
            profile,
            &format!(
                "contract: {{id: claims-{contract}, version: ^1}}
consumer: {{organisation: org-{organisation}, who: \"principal.org = 'org-{organisation}' AND (array_has(principal.groups, 'analyst') OR array_has(principal.groups, 'g{group}'))\"}}
when: context.hour BETWEEN {} AND 22
parameters: {{regions: [EU, R{}]}}",
                random.below(10),
                random.below(1000),
            ),
        );
        files.push(SourceFile::new(format!("agreements/{index}.yaml"), text));
    }
    files
}

fn load(files: Vec<SourceFile>) -> PolicySet {
    let documents = Documents::parse(files).unwrap();
    let schemas: BTreeMap<_, _> = documents
        .contracts()
        .map(|contract| (contract.name.clone(), claims_schema()))
        .collect();
    let (lookups, attributes) = (BTreeMap::new(), BTreeMap::new());
    let env = LoadEnv {
        schemas: &schemas,
        lookups: &lookups,
        unavailable: Unavailable::default(),
        attributes: &attributes,
        networks: BTreeSet::new(),
        functions: functions(),
    };
    PolicySet::compile(documents, &env).unwrap().0
}

#[test]
fn a_large_set_loads_and_decides_fast() {
    let files = files(1_000, 10_000, 42);
    let start = Instant::now();
    let set = load(files);
    let loading = start.elapsed();
    let mut principal = alice();
    principal.org = "org-0".to_owned();
    let (context, settings) = (Context::at(noon()), SessionSettings::default());
    let tables: Vec<_> = (0..1_000)
        .map(|index| TableName::new("insurance", format!("claims_{index}")))
        .collect();
    let start = Instant::now();
    for table in &tables {
        let decision = set.decide(&principal, &context, &settings, table);
        assert_eq!(decision.verdict, Verdict::Shown, "{decision:?}");
    }
    let deciding = start.elapsed() / 1_000;
    let start = Instant::now();
    let decisions: Vec<_> = tables
        .iter()
        .map(|table| set.decide(&principal, &context, &settings, table))
        .collect();
    let again = start.elapsed() / 1_000;
    let start = Instant::now();
    for decision in &decisions {
        set.rules(decision).unwrap();
    }
    let lowering = start.elapsed() / 1_000;
    let start = Instant::now();
    for decision in &decisions {
        let lapsed = set.lapsed(decision, &principal, &context, &settings, noon());
        assert_eq!(lapsed, None);
    }
    let looking = start.elapsed() / 1_000;
    // The bounds are far above what it takes, since a test machine may be busy; to read the times,
    // set SCRIM_TELL.
    let told = format!(
        "load {loading:?}, decide {deciding:?}, again {again:?}, lower {lowering:?}, look again {looking:?}"
    );
    let quick = loading.as_secs() < 30 && again.as_micros() < 1_000 && looking.as_micros() < 1_000;
    assert!(quick && std::env::var_os("SCRIM_TELL").is_none(), "{told}");
}
