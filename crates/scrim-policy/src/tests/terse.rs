//! Access policies in files of their own, and the way there and back.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use scrim_document::SourceFile;

use super::{World, contract, decide};
use crate::{Parts, join, split};

const ACCESS: &str = "purposes: [research]
guards:
  - {id: hold, rows: NOT legal_hold}
profiles:
  partner: {rows: score > 0.5, columns: {region: clear}}";

/// The claims contract without its access policy.
fn bare() -> String {
    let text = contract(ACCESS);
    let (text, _) = text.split_once("customProperties:").unwrap();
    text.to_owned()
}

fn with_policy(policy: &str) -> World {
    World::new()
        .file("contracts/claims.odcs.yaml", &bare())
        .file("contracts/claims.policy.yaml", policy)
        .agreement("a", "partner", "")
}

#[test]
fn a_policy_in_a_file_of_its_own_decides_the_same() {
    let whole = World::new().contract(ACCESS).agreement("a", "partner", "");
    let policy = format!("contract: claims\n{ACCESS}\n");
    let (whole, apart) = (decide(&whole.set()), decide(&with_policy(&policy).set()));
    assert_eq!(whole.hash, apart.hash);
    let places = |decision: &crate::Decision| {
        let guard = decision.guards.first().and_then(|guard| guard.rows.clone());
        guard.unwrap().location.to_string()
    };
    assert_eq!(places(&whole), "contracts/claims.odcs.yaml:31:28");
    assert_eq!(places(&apart), "contracts/claims.policy.yaml:4:22");
}

#[test]
fn a_contract_has_its_policy_in_just_one_place() {
    let policy = format!("contract: claims\n{ACCESS}\n");
    let both = World::new()
        .contract(ACCESS)
        .file("contracts/claims.policy.yaml", &policy);
    insta::assert_snapshot!(both.problems(), @"contracts/claims.policy.yaml:1:11: the contract `claims` has an `accessPolicy` of its own (help: keep one of them; the other is in contracts/claims.odcs.yaml)");
    let twice = with_policy(&policy).file("more.policy.yml", &policy);
    insta::assert_snapshot!(twice.problems(), @"more.policy.yml:1:11: the contract `claims` has another access policy (help: keep one of them; the other is in contracts/claims.policy.yaml)");
    let stray = with_policy(&policy.replace("claims", "claim"));
    insta::assert_snapshot!(stray.problems(), @r"
    contracts/claims.odcs.yaml:1:1: the contract has no `accessPolicy`, so nobody gets access (help: add a custom property `accessPolicy` with purposes and profiles)
    contracts/claims.policy.yaml:1:11: there is no contract `claim` (help: did you mean `claims`?)
    ");
    let unnamed = with_policy(&format!("{ACCESS}\nprofile: x"));
    insta::assert_snapshot!(unnamed.problems(), @r"
    contracts/claims.policy.yaml:1:1: the key `contract` is missing
    contracts/claims.policy.yaml:6:1: unknown key `profile` (help: did you mean `profiles`?)
    ");
    let empty = with_policy("");
    insta::assert_snapshot!(empty.problems(), @"contracts/claims.policy.yaml:1:1: expected a map, found nothing");
}

fn file(text: &str) -> SourceFile {
    SourceFile::new("contracts/claims.odcs.yaml", text)
}

fn taken_apart(text: &str) -> Parts {
    split(&file(text)).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn put_together(parts: &Parts) -> String {
    let policy = SourceFile::new("claims.policy.yaml", parts.policy.as_str());
    join(&file(&parts.contract), &policy).unwrap_or_else(|problems| panic!("{problems}\n{parts:?}"))
}

#[test]
fn the_contracts_of_this_repository_come_back_byte_for_byte() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for folder in [
        "policies/contracts",
        "examples/tpch/policies/contracts",
        "crates/scrim/src/draft/tests",
    ] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let parts = taken_apart(&text);
            assert!(!parts.contract.contains("accessPolicy"), "{path:?}");
            assert_eq!(put_together(&parts), text, "{path:?}");
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn what_stands_around_a_policy_stays_and_what_stands_in_it_goes_along() {
    let text = "# above
id: claims
customProperties: # about all
  - property: mine # and this
    value: [1]
  # about the policy
  - property: accessPolicy # what is enforced
    value:
      # at the top
      purposes: [a]   # why

      profiles:
        p: {rows: \"a
          = 'x'\"}
        # at the end
  # about the last
  - {property: more, value: 2}
team: {name: x}
# below
";
    let parts = taken_apart(text);
    insta::assert_snapshot!(parts.contract, @r"
    # above
    id: claims
    customProperties: # about all
      - property: mine # and this
        value: [1]
      # about the policy
      # about the last
      - {property: more, value: 2}
    team: {name: x}
    # below
    ");
    insta::assert_snapshot!(parts.policy, @r#"
    # what is enforced
    # at the top
    contract: claims
    purposes: [a]   # why

    profiles:
      p: {rows: "a
        = 'x'"}
      # at the end
    "#);
    insta::assert_snapshot!(put_together(&parts), @r#"
    # above
    id: claims
    customProperties: # about all
      - property: mine # and this
        value: [1]
      # about the policy
      # about the last
      - {property: more, value: 2}
      - property: accessPolicy
        value:
          # what is enforced
          # at the top
          purposes: [a]   # why

          profiles:
            p: {rows: "a
              = 'x'"}
            # at the end
    team: {name: x}
    # below
    "#);
}

#[test]
fn an_empty_list_of_custom_properties_makes_room() {
    let policy = SourceFile::new("a.policy.yaml", "---\n# mine\ncontract: a # of a\nb: c");
    for (contract, kept) in [
        (
            "id: a\ncustomProperties: [] # none yet\nteam: {}\n",
            "# none yet\n",
        ),
        ("id: a\ncustomProperties:\nteam: {}\n", ""),
    ] {
        let joined = join(&file(contract), &policy).unwrap();
        let block = "customProperties:
  - property: accessPolicy
    value:
      # mine
      # of a
      b: c
";
        assert_eq!(joined, format!("id: a\n{kept}{block}team: {{}}\n"));
    }
}

#[test]
fn odd_ids_and_texts_come_back_as_they_were() {
    for (id, value) in [
        ("\"007: # ü\"", "purposes: [a]"),
        ("'12'", "purposes: &p [a]\n      groups: *p"),
        (
            "'it''s'",
            "\"purposes\": ['b: c', \"\\u00e9 \\n\", \"王 # x\"] # why",
        ),
        (
            "t",
            "purposes: []\n      guards: []\n      profiles: {\"x: y #\": {}}",
        ),
        (
            "t",
            "profiles:\n        x:\n          rows: |2\n              a = '#x' # y\n\n            AND true",
        ),
    ] {
        let text = format!(
            "id: {id}\ncustomProperties:\n  - property: accessPolicy\n    value:\n      {value}\n"
        );
        let mut parts = taken_apart(&text);
        assert_eq!(put_together(&parts), text);
        // a comment beside the name comes along, and nothing of the name does
        parts.policy = parts.policy.replacen('\n', " # of whom\n", 1);
        let together = put_together(&parts);
        assert!(together.contains("      # of whom\n"), "{together}");
        assert_eq!(together.replacen("      # of whom\n", "", 1), text);
    }
}

#[test]
fn what_cannot_be_moved_as_it_stands_is_left_alone() {
    for text in [
        "id: a\ncustomProperties: [{property: accessPolicy, value: {purposes: [a]}}]\n",
        "id: a\ncustomProperties:\n  - {property: accessPolicy, value: {purposes: [a]}}\n",
        "id: a\ncustomProperties:\n  - property: accessPolicy\n    value: {purposes: [a]}\n",
        "id: a\ncustomProperties:\n  - property: accessPolicy\n    value: {}\n",
        "id: a\ncustomProperties:\n  - property: accessPolicy\n    description: x\n    value:\n      a: b\n",
        "id: &id a\ncustomProperties:\n  - property: accessPolicy\n    value:\n      a: *id\n",
    ] {
        let problems = split(&file(text)).unwrap_err().to_string();
        assert!(problems.contains("cannot be moved"), "{text}: {problems}");
    }
    for (text, said) in [
        ("id: a\n", "no `accessPolicy` to move"),
        ("[", "not valid YAML"),
    ] {
        let problems = split(&file(text)).unwrap_err().to_string();
        assert!(problems.contains(said), "{text}: {problems}");
    }
    let whole = "id: a\ncustomProperties:\n  - property: accessPolicy\n    value:\n      b: c\n";
    for (contract, policy, said) in [
        ("id: a\n", "b: c\n", "the key `contract` is missing"),
        (
            "id: a\n",
            "contract: b\n",
            "not the access policy of the contract `a`",
        ),
        ("x: a\n", "contract: b\n", "not the access policy"),
        (whole, "contract: a\nb: c\n", "already"),
        ("id: a\n", "{contract: a, b: c}\n", "cannot be moved"),
        ("id: a\n", "contract:\n  a\nb: c\n", "cannot be moved"),
        (
            "id: a\ncustomProperties: [{property: x, value: 1}]\n",
            "contract: a\nb: c\n",
            "cannot",
        ),
    ] {
        let policy = SourceFile::new("p.policy.yaml", policy);
        let problems = join(&file(contract), &policy).unwrap_err().to_string();
        assert!(problems.contains(said), "{contract}: {problems}");
    }
}

/// Lines of an access policy in many ways of writing the same and other things.
fn access() -> impl Strategy<Value = Vec<&'static str>> {
    let top = prop::sample::select(vec![
        vec![],
        vec!["# at the top"],
        vec!["# one", "", "#two"],
    ]);
    let purposes = prop::sample::select(vec![
        vec!["purposes: [research] # why"],
        vec!["\"purposes\":", "- research", "- 'fraud'"],
        vec!["purposes:", "  - >-", "    research"],
        vec!["purposes: [research,", "  other]"],
    ]);
    let guards = prop::sample::select(vec![
        vec![],
        vec!["guards: []", ""],
        vec![
            "guards:",
            "  - id: hold",
            "    # always",
            "    rows: NOT legal_hold",
        ],
        vec![
            "guards:",
            "- {id: hold, rows: \"NOT",
            "   legal_hold\"}",
            "# after",
        ],
        vec![
            "guards:",
            "  - id: hold",
            "    rows: |",
            "      NOT",
            "",
            "        legal_hold",
        ],
    ]);
    let profiles = prop::sample::select(vec![
        vec!["profiles: {partner: {default: clear}}"],
        vec![
            "profiles:",
            "  partner:",
            "    rows: >-",
            "      score > 0.5",
            "      AND true",
        ],
        vec![
            "profiles:",
            "  partner:",
            "",
            "    columns: {region: clear,",
            "      amount: clear}",
        ],
        vec![
            "profiles:",
            "  # who",
            "  'partner':",
            "    default: clear",
            "  # end",
        ],
        vec![
            "profiles:",
            "  partner:",
            "    rows: 'region = ''EU'''",
            "    tagged: {identifier: hidden}",
        ],
    ]);
    (top, purposes, guards, profiles)
        .prop_map(|(top, purposes, guards, profiles)| [top, purposes, guards, profiles].concat())
}

/// How a contract is laid out around its access policy.
#[derive(Debug, Clone)]
struct Layout {
    dash: usize,
    gap: usize,
    extras: Vec<Extra>,
}

/// What not every contract has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    PropertyBefore,
    PropertyAfter,
    KeyAfter,
    WindowsLines,
    LastLineEnds,
}

const EXTRAS: [Extra; 5] = [
    Extra::PropertyBefore,
    Extra::PropertyAfter,
    Extra::KeyAfter,
    Extra::WindowsLines,
    Extra::LastLineEnds,
];

impl Layout {
    /// Whether the access policy comes back to the very place it was at.
    fn is_usual(&self) -> bool {
        let (before, after) = (Extra::PropertyBefore, Extra::PropertyAfter);
        let alone = self.dash == 2 && !self.has(Extra::KeyAfter);
        self.gap == 4 && !self.has(after) && (self.has(before) || alone)
    }

    fn has(&self, extra: Extra) -> bool {
        self.extras.contains(&extra)
    }

    fn contract(&self, access: &[&str]) -> String {
        let (dash, pad) = (" ".repeat(self.dash), " ".repeat(self.dash + self.gap));
        let mut lines = vec!["customProperties:".to_owned()];
        if self.has(Extra::PropertyBefore) {
            lines.push(format!("{dash}- {{property: mine, value: 1}}"));
        }
        lines.push(format!("{dash}- property: accessPolicy"));
        lines.push(format!("{dash}  value:"));
        lines.extend(access.iter().map(|line| match *line {
            "" => String::new(),
            line => format!("{pad}{line}"),
        }));
        if self.has(Extra::PropertyAfter) {
            lines.push(format!("{dash}- property: other\n{dash}  value: x"));
        }
        if self.has(Extra::KeyAfter) {
            lines.push("team: {name: them}".to_owned());
        }
        let mut text = bare() + &lines.join("\n");
        if self.has(Extra::LastLineEnds) {
            text.push('\n');
        }
        if self.has(Extra::WindowsLines) {
            text = text.replace('\n', "\r\n");
        }
        text
    }
}

fn layout() -> impl Strategy<Value = Layout> {
    let dash = prop::sample::select(vec![0usize, 2, 4]);
    let gap = prop::sample::select(vec![3usize, 4, 6]);
    let extras = prop::sample::subsequence(EXTRAS.to_vec(), 0..=EXTRAS.len());
    (dash, gap, extras).prop_map(|(dash, gap, extras)| Layout { dash, gap, extras })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_policy_decides_the_same_wherever_it_stands(access in access(), layout in layout()) {
        let text = layout.contract(&access);
        let parts = taken_apart(&text);
        let together = put_together(&parts);
        if layout.is_usual() {
            prop_assert_eq!(&together, &text);
        }
        for comment in access.iter().filter(|line| line.starts_with('#')) {
            prop_assert!(parts.policy.contains(comment) && together.contains(comment));
        }
        let hash = |files: &[(&str, &str)]| {
            let world = World::new().agreement("a", "partner", "");
            let world = files.iter().fold(world, |world, (path, text)| world.file(path, text));
            let (set, _) = world.compile().unwrap_or_else(|problems| panic!("{problems}\n{text}"));
            decide(&set).hash
        };
        let before = hash(&[("contracts/c.odcs.yaml", &text)]);
        let apart = hash(&[
            ("contracts/c.odcs.yaml", &parts.contract),
            ("contracts/c.policy.yaml", &parts.policy),
        ]);
        prop_assert_eq!(&before, &apart);
        prop_assert_eq!(before, hash(&[("contracts/c.odcs.yaml", &together)]));
    }
}
