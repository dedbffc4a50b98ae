//! Who may do what, in total: `tests/golden/decisions.txt`, the matrix of the demo world's
//! principals, purposes, tables and columns. `SCRIM_BLESS=1` writes it anew; read the diff.

use std::fmt::Write as _;

use scrim::demo::world::PERSONAS;
use scrim_document::SourceFile;
use scrim_engine::Ask;
use scrim_policy::{Decision, Showing, Table, Treatment, Verdict};

use crate::kit::{Local, Scratch, golden};

/// Every purpose of the contracts, one that no contract has, and none.
const PURPOSES: [Option<&str>; 5] = [
    Some("operations"),
    Some("fraud-analytics"),
    Some("research"),
    Some("marketing"),
    None,
];

#[tokio::test]
async fn inv_03_the_matrix_of_decisions_is_as_it_was_agreed() {
    let local = Local::demo().await;
    golden("decisions.txt", &matrix(&local));
}

fn matrix(local: &Local) -> String {
    let mut text = String::from(HEAD);
    for persona in PERSONAS {
        for (place, purposes) in [
            ("127.0.0.1 12:00", &PURPOSES[..]),
            ("127.0.0.1 23:00", &PURPOSES[..1]),
            ("203.0.113.9 12:00", &PURPOSES[..3]),
        ] {
            for purpose in purposes {
                let ask = asker(local, persona.id, *purpose, place);
                let rows = tables(local, &ask);
                let purpose = purpose.unwrap_or("no purpose");
                writeln!(
                    text,
                    "\n{} ({}) for {purpose} from {place}",
                    persona.id, persona.org
                )
                .unwrap();
                text.push_str(&rows);
            }
        }
    }
    text
}

const HEAD: &str = "\
# Who sees what in the demo world. Written by tests/it/golden.rs.
#
# table: verdict, agreements, how many conditions on rows by agreements and guards
#   column: clear, the mask, or what differs by agreement; columns that are not listed do not exist
";

fn asker(local: &Local, id: &str, purpose: Option<&str>, place: &str) -> Ask {
    let (address, time) = place.split_once(' ').unwrap();
    let mut ask = local.ask(id, purpose);
    local.place(&mut ask, address);
    ask.context.time = format!("2026-03-02T{time}:00Z").parse().unwrap();
    ask
}

fn tables(local: &Local, ask: &Ask) -> String {
    let mut text = String::new();
    for table in local.policy.tables() {
        let principal = ask.principal.get();
        let decision = local
            .policy
            .decide(principal, &ask.context, &ask.settings, &table.name);
        write!(text, "  {}.{}: ", table.name.schema, table.name.table).unwrap();
        match &decision.verdict {
            Verdict::NoAgreement => text.push_str("denied\n"),
            Verdict::PurposeRequired => text.push_str("a purpose must be stated\n"),
            Verdict::Closed { guard, .. } => writeln!(text, "closed by {guard}").unwrap(),
            Verdict::Shown => shown(&decision, table, &mut text),
        }
    }
    text
}

fn shown(decision: &Decision, table: &Table, text: &mut String) {
    let agreements: Vec<_> = decision
        .arms
        .iter()
        .map(|arm| arm.agreement.as_str())
        .collect();
    let arms = decision
        .arms
        .iter()
        .filter(|arm| arm.rows.is_some())
        .count();
    let guards = decision
        .guards
        .iter()
        .filter(|guard| guard.rows.is_some())
        .count();
    let filter = if arms + guards == 0 {
        "all rows".to_owned()
    } else {
        format!("rows by {arms} + {guards}")
    };
    writeln!(
        text,
        "shown by {}, {filter}{}",
        agreements.join(" + "),
        limits(decision)
    )
    .unwrap();
    for column in &decision.columns {
        let mut words: Vec<String> = column.treatments.iter().map(treatment).collect();
        words.dedup();
        writeln!(text, "    {:<18} {}", column.name, words.join(" | ")).unwrap();
    }
    let all = table.schema.fields().len();
    if decision.columns.len() < all {
        writeln!(
            text,
            "    ({} of {all} columns do not exist)",
            all - decision.columns.len()
        )
        .unwrap();
    }
}

fn limits(decision: &Decision) -> String {
    let limits = &decision.limits;
    let all = [
        ("rows", limits.max_rows),
        ("bytes", limits.max_bytes),
        ("a minute", limits.queries_per_minute),
        ("at once", limits.concurrent_queries),
    ];
    let said: Vec<_> = all
        .iter()
        .filter_map(|(unit, limit)| Some(format!("{} {unit}", (*limit)?)))
        .collect();
    if said.is_empty() {
        String::new()
    } else {
        format!(", at most {}", said.join(", "))
    }
}

fn treatment(treatment: &Treatment) -> String {
    let mut text = showing(&treatment.root);
    for (path, nested) in &treatment.nested {
        write!(text, ", {path} {}", showing(nested)).unwrap();
    }
    text
}

fn showing(showing: &Showing) -> String {
    match showing {
        Showing::Clear => "clear".to_owned(),
        Showing::Masked(mask) => format!("masked:{mask}"),
        Showing::Hidden => "null".to_owned(),
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
    for persona in PERSONAS {
        for purpose in PURPOSES {
            for table in whole.policy.tables() {
                let hash = |local: &Local| {
                    let ask = asker(local, persona.id, purpose, "127.0.0.1 12:00");
                    let (principal, name) = (ask.principal.get(), &table.name);
                    let policy = &local.policy;
                    policy
                        .decide(principal, &ask.context, &ask.settings, name)
                        .hash
                };
                assert_eq!(hash(&apart), hash(&whole), "{} {}", persona.id, table.name);
            }
        }
    }
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
