//! Who may do what, in total: `tests/golden/decisions.txt`, the matrix of the demo world's
//! principals, purposes, places and tables, as `scrim policy matrix` prints it. `SCRIM_BLESS=1` writes
//! it anew; read the diff.

use scrim::demo::world::PERSONAS;
use scrim::matrix::{self, Question, matrix};
use scrim_document::SourceFile;
use scrim_engine::Ask;
use scrim_model::{Context, SessionSettings};
use scrim_policy::Verdict;

use crate::kit::{Local, Scratch, golden};

#[tokio::test]
async fn inv_03_the_matrix_of_decisions_is_as_it_was_agreed() {
    let local = Local::demo().await;
    let rows = matrix(&local.policy, &everything(&local));
    golden("decisions.txt", &matrix::text(&rows));
}

/// Everybody, for every purpose, one that no contract has, and none; by day and by night, from a
/// trusted network and from elsewhere.
fn everything(local: &Local) -> Question {
    let principals = PERSONAS.iter();
    let principals = principals.map(|persona| local.accounts.get(persona.id).unwrap().clone());
    let mut purposes: Vec<_> = local
        .policy
        .purposes()
        .into_iter()
        .map(|p| Some(p.to_owned()))
        .collect();
    purposes.extend([Some("marketing".to_owned()), None]);
    let mut contexts = Vec::new();
    for address in ["127.0.0.1", "203.0.113.9"] {
        for time in ["2026-03-02T12:00:00Z", "2026-03-02T23:00:00Z"] {
            let address = address.parse().unwrap();
            let mut context = Context::at(time.parse().unwrap());
            context.ip = Some(address);
            context.networks = local.config.networks.containing(address);
            contexts.push(context);
        }
    }
    Question {
        principals: principals.collect(),
        purposes,
        contexts,
        table: None,
    }
}

#[tokio::test]
async fn inv_02_the_same_question_gets_the_same_bytes() {
    let one = Local::demo().await;
    let two = Local::demo().await;
    for persona in PERSONAS {
        let (a, b) = (one.usual(persona.id), two.usual(persona.id));
        for table in one.policy.tables() {
            let decide = |local: &Local, ask: &Ask| {
                let decision = local.policy.decide(
                    ask.principal.get(),
                    &ask.context,
                    &ask.settings,
                    &table.name,
                );
                let mut value = serde_json::to_value(&decision).unwrap();
                value.as_object_mut().unwrap().remove("policy_version");
                without_places(&value)
            };
            assert_eq!(
                decide(&one, &a),
                decide(&two, &b),
                "{} {}",
                persona.id,
                table.name
            );
        }
    }
}

/// The same contracts with their access policies in files of their own decide the same for everyone.
#[tokio::test]
async fn inv_02_where_an_access_policy_stands_changes_no_decision() {
    let world = Scratch::demo();
    for name in ["claims", "patients", "visits"] {
        let path = format!("policies/contracts/{name}.odcs.yaml");
        let text = std::fs::read_to_string(world.path(&path)).unwrap();
        let parts = scrim_policy::split(&SourceFile::new(path.as_str(), text)).unwrap();
        world.write(&path, &parts.contract);
        let own = scrim_policy::policy_file(&path);
        world.write(&own, &parts.policy);
    }
    let (apart, whole) = (Local::start(&world).await, Local::demo().await);
    let asked = everything(&whole);
    let mut shown = 0;
    for principal in &asked.principals {
        for purpose in &asked.purposes {
            let settings = SessionSettings {
                purpose: purpose.clone(),
                ..SessionSettings::default()
            };
            for context in &asked.contexts {
                for table in whole.policy.tables() {
                    let decide = |local: &Local| {
                        let policy = &local.policy;
                        policy.decide(principal, context, &settings, &table.name)
                    };
                    let (apart, whole) = (decide(&apart), decide(&whole));
                    assert_eq!(apart.hash, whole.hash, "{} {}", principal.id, table.name);
                    shown += usize::from(whole.verdict == Verdict::Shown);
                }
            }
        }
    }
    assert!(shown > 20, "{shown}");
}

/// The two worlds lie in different folders, which their versions and places tell.
fn without_places(value: &serde_json::Value) -> String {
    let text = value.to_string();
    let mut out = String::new();
    for (index, part) in text.split("\"file\":\"").enumerate() {
        if index == 0 {
            out.push_str(part);
        } else {
            out.push_str(part.split_once('"').map_or(part, |(_, rest)| rest));
        }
    }
    out
}

#[tokio::test]
async fn inv_08_the_type_of_a_column_never_depends_on_who_asks() {
    let local = Local::demo().await;
    let mut checked = 0;
    for persona in PERSONAS {
        for table in local
            .engine
            .visible(&local.usual(persona.id))
            .await
            .unwrap()
        {
            let contract = local.policy.table(&table.name).unwrap();
            for field in table.schema.fields() {
                let source = contract.schema.field_with_name(field.name()).unwrap();
                assert!(
                    field.data_type().equals_datatype(source.data_type()),
                    "{} {} {field} {source}",
                    persona.id,
                    table.name
                );
                assert!(field.is_nullable(), "{field}");
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked}");
}
