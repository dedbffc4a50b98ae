//! Keys, accounts, help, completions, and configurations with mistakes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use scrim_document::SourceFile;
use scrim_identity::Accounts;

use super::{scrim, scrim_with};
use crate::kit::Scratch;

#[test]
fn inv_15_new_keys_are_their_owners_alone_and_never_overwritten() {
    let folder = Scratch::empty();
    let said = scrim(folder.root(), ["keys", "new", "--file", "my-keys.json"]).good();
    assert!(said.contains("my-keys.json"), "{said}");
    let path = folder.path("my-keys.json");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = fs::read_to_string(&path).unwrap();
    let said = scrim(folder.root(), ["keys", "new", "--file", "my-keys.json"]).bad(2);
    assert!(
        said.contains("my-keys.json") && said.contains("exists"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    let secrets: Vec<&str> = before.split('"').filter(|word| word.len() >= 40).collect();
    assert!(secrets.len() >= 2);
    let listed = scrim(folder.root(), ["keys", "list", "--file", "my-keys.json"]).good();
    let rotated = scrim(folder.root(), ["keys", "rotate", "--file", "my-keys.json"]).good();
    let again = scrim(folder.root(), ["keys", "list", "--file", "my-keys.json"]).good();
    assert_eq!(
        again.lines().count(),
        listed.lines().count() + 1,
        "{listed}\n{again}"
    );
    for text in [&listed, &rotated, &again] {
        assert!(
            secrets.iter().all(|secret| !text.contains(secret)),
            "{text}"
        );
    }
    let after = fs::read_to_string(&path).unwrap();
    assert!(
        secrets.iter().all(|secret| after.contains(secret)),
        "a rotation lost a key"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::read_dir(folder.root()).unwrap().count(),
        1,
        "something was left behind"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    for command in ["list", "rotate"] {
        let said = scrim(folder.root(), ["keys", command, "--file", "my-keys.json"]).bad(2);
        assert!(said.contains("chmod 600"), "{said}");
    }
    let said = scrim(folder.root(), ["keys", "list", "--file", "none.json"]).bad(2);
    assert!(said.contains("none.json"), "{said}");
}

#[test]
fn a_hash_is_printed_alone_and_differs_each_time() {
    let folder = Scratch::empty();
    let hash = || {
        scrim_with(
            folder.root(),
            ["accounts", "hash", "--password-stdin"],
            "sesame\n",
        )
        .good()
    };
    let (one, two) = (hash(), hash());
    for text in [&one, &two] {
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("$argon2id$v=19$m="), "{text}");
        assert!(!text.contains("sesame"));
    }
    assert_ne!(one, two, "the same salt twice");
    scrim_with(folder.root(), ["accounts", "hash", "--password-stdin"], "").bad(2);
    scrim(folder.root(), ["accounts", "hash"]).bad(2);
}

#[test]
fn accounts_are_added_to_a_file_that_stays_good() {
    let folder = Scratch::empty();
    let add = |id: &str, more: &[&str]| {
        let mut arguments = vec![
            "accounts",
            "add",
            "--file",
            "a.yaml",
            "--id",
            id,
            "--org",
            "acme",
            "--password-stdin",
        ];
        arguments.extend_from_slice(more);
        scrim_with(folder.root(), arguments, "sesame\n")
    };
    let said = add("alice", &["--attribute", "clearance=2"]).bad(2);
    assert!(
        said.contains("identity") && said.contains("clearance"),
        "{said}"
    );
    let demo = Scratch::demo();
    fs::copy(demo.path("scrim.yaml"), folder.path("scrim.yaml")).unwrap();
    add(
        "alice",
        &[
            "--group",
            "analyst",
            "--group",
            "fraud",
            "--role",
            "lead",
            "--attribute",
            "clearance=2",
        ],
    )
    .good();
    add("robot", &["--kind", "service"]).good();
    let said = add("o'neill: \"x\"", &[]).bad(2);
    assert!(said.contains("colon"), "{said}");
    let text = fs::read_to_string(folder.path("a.yaml")).unwrap();
    assert!(!text.contains("sesame"));
    let types = [("clearance".to_owned(), scrim_model::ValueType::Int64)].into();
    let accounts = Accounts::parse(&SourceFile::new("a.yaml", text.clone()), &types);
    let accounts = accounts.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let alice = accounts.get("alice").unwrap();
    assert_eq!(alice.groups, ["analyst", "fraud"]);
    assert_eq!(alice.roles, ["lead"]);
    assert_eq!(alice.attributes["clearance"], scrim_model::Value::Int64(2));
    assert_eq!(
        accounts.get("robot").unwrap().kind,
        scrim_model::PrincipalKind::Service
    );
    let said = add("alice", &[]).bad(2);
    assert!(said.contains("alice"), "{said}");
    assert_eq!(
        fs::read_to_string(folder.path("a.yaml")).unwrap(),
        text,
        "a refused account changed the file"
    );
    add("carol", &["--attribute", "clearance"]).bad(2);
    // what somebody else is writing, or left behind
    folder.write("a.yaml.new", "");
    let said = add("carol", &[]).bad(1);
    assert!(
        said.contains("a.yaml.new") && said.contains("remove it"),
        "{said}"
    );
    let file = fs::read_to_string(folder.path("a.yaml")).unwrap();
    assert_eq!(file, text);
}

#[test]
fn help_reads_well_and_every_command_has_it() {
    let folder = Scratch::empty();
    let help = scrim(folder.root(), ["--help"]).good();
    for command in [
        "demo",
        "serve",
        "query",
        "policy",
        "explain",
        "keys",
        "accounts",
        "ledger",
        "completions",
    ] {
        assert!(help.contains(&format!("  {command}")), "{command}: {help}");
        let own = scrim(folder.root(), [command, "--help"]).good();
        assert!(own.contains("Usage: scrim"), "{own}");
        assert!(own.lines().all(|line| line.chars().count() <= 100), "{own}");
    }
    assert!(help.contains("Exit codes"), "{help}");
    scrim(folder.root(), ["--version"]).good();
    let said = scrim(folder.root(), ["serv"]).bad(2);
    assert!(said.contains("serve"), "{said}");
    scrim::<&str>(folder.root(), []).bad(2);
}

#[test]
fn completions_for_every_shell() {
    let folder = Scratch::empty();
    for (shell, word) in [
        ("bash", "complete"),
        ("zsh", "#compdef scrim"),
        ("fish", "complete -c scrim"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = scrim(folder.root(), ["completions", shell]).good();
        assert!(script.contains(word), "{shell}");
        assert!(script.contains("password-file"), "{shell}");
    }
    scrim(folder.root(), ["completions", "tcsh"]).bad(2);
}

#[test]
fn mistakes_in_a_configuration_name_the_key_and_the_line() {
    for (from, to, place, words) in [
        (
            "policies: policies",
            "polices: policies",
            "scrim.yaml:3:",
            &["polices", "policies"][..],
        ),
        (
            "ledger: {path: ledger}",
            "ledger: {pat: ledger}",
            "scrim.yaml:5:",
            &["pat", "path"],
        ),
        (
            "ttl: 8h",
            "ttl: 8 years",
            "scrim.yaml:",
            &["ttl", "8 years"],
        ),
        (
            "clearance: int64",
            "clearance: integer",
            "scrim.yaml:",
            &["integer", "int64"],
        ),
        (
            "127.0.0.0/8",
            "127.0.0.0/88",
            "scrim.yaml:",
            &["127.0.0.0/88"],
        ),
        (
            "memory: 1GiB",
            "memory: lots",
            "scrim.yaml:",
            &["memory", "lots"],
        ),
        (
            "time: 5m",
            "time: 5 fortnights",
            "scrim.yaml:",
            &["time", "5 fortnights"],
        ),
        ("type: local", "type: mongodb", "scrim.yaml:", &["mongodb"]),
        ("keys: {file: keys.json}\n", "", "scrim.yaml:", &["keys"]),
        (
            "accounts: accounts.yaml",
            "accounts: nobody.yaml",
            "nobody.yaml",
            &["nobody.yaml"],
        ),
        (
            "environment: demo",
            "environment: production",
            ".yaml:",
            &["production"],
        ),
        ("listen: {", "listen: [", "scrim.yaml:", &[]),
    ] {
        let world = Scratch::demo();
        world.edit("scrim.yaml", from, to);
        let run = scrim(world.root(), ["serve", "--config", "scrim.yaml"]);
        assert!(run.out.is_empty(), "{to}: {}", run.out);
        let said = run.bad(2);
        // a long word may be broken over two lines of the picture
        let flat: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(place), "{to}: {said}");
        assert!(words.iter().all(|word| flat.contains(word)), "{to}: {said}");
    }
    let folder = Scratch::empty();
    let said = scrim(folder.root(), ["serve"]).bad(2);
    assert!(said.contains("scrim.yaml"), "{said}");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let world = Scratch::demo();
    world.edit("scrim.yaml", "memory: 1GiB", "memory: lots");
    world.edit("scrim.yaml", "clearance: int64", "clearance: integer");
    world.edit("scrim.yaml", "policies: policies", "polices: policies");
    let said = scrim(world.root(), ["serve"]).bad(2);
    for word in ["lots", "integer", "polices"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
