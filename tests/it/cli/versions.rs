//! `scrim status` and the commands that change what is in force.

use std::fs;
use std::process::Command;

use super::serve::Serving;
use super::{Run, scrim};
use crate::kit::Scratch;

const CONTRACT: &str = "policies/contracts/patients.odcs.yaml";
const AGREEMENT: &str = "policies/agreements/meridian-patients.yaml";

fn ask(world: &Scratch, serving: &Serving, arguments: &[&str]) -> Run {
    let url = ["--url", serving.url.as_str()];
    scrim(world.root(), arguments.iter().chain(&url))
}

fn versions(world: &Scratch) -> Vec<String> {
    let said = scrim(world.root(), ["policy", "history", "--json"]).good();
    let load = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let version = |line| load(line)["version"].as_str().unwrap().to_owned();
    said.lines().map(version).collect()
}

#[test]
fn policies_are_changed_taken_back_and_told_of() {
    let world = Scratch::demo();
    let serving = Serving::start(&world);
    let said = ask(&world, &serving, &["status"]).good();
    assert!(
        said.contains("3 served: care.patients") && said.contains("(start)"),
        "{said}"
    );
    let before = fs::read_to_string(world.path(CONTRACT)).unwrap();
    world.edit(
        CONTRACT,
        "rows: NOT legal_hold",
        "rows: NOT legal_hold AND true",
    );
    let said = ask(&world, &serving, &["policy", "reload"]).good();
    assert!(said.starts_with("in force: "), "{said}");
    let said = scrim(world.root(), ["policy", "history"]).good();
    assert!(
        said.contains("~ contracts/patients.odcs.yaml") && said.trim_end().contains("(in force)"),
        "{said}"
    );
    let first = versions(&world)[0].clone();
    let beginning = &first[..8];
    let file = ["--file", "contracts/patients.odcs.yaml"];
    let show = ["policy", "show", beginning];
    assert_eq!(scrim(world.root(), show.iter().chain(&file)).good(), before);
    assert!(scrim(world.root(), show).good().contains("# agreements/"));
    let none = scrim(world.root(), ["policy", "show", "nothing"]).bad(1);
    assert!(none.contains("no version `nothing`"), "{none}");
    let said = ask(&world, &serving, &["policy", "rollback", beginning]).good();
    assert!(
        said.contains(&first) && said.contains("the folder of policies says"),
        "{said}"
    );
    let said = ask(&world, &serving, &["status"]).good();
    assert!(
        said.contains("ROLLBACK") && said.contains("rollback by key file"),
        "{said}"
    );
    world.edit(AGREEMENT, "status: active", "status: on");
    let said = ask(&world, &serving, &["policy", "reload"]).bad(1);
    assert!(said.contains("meridian-patients.yaml:"), "{said}");
    let said = ask(&world, &serving, &["status", "--json"]).good();
    let status: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status["policies"]["version"], first.as_str());
    let problem = &status["policies"]["refused"]["problems"][0];
    assert!(
        problem
            .as_str()
            .unwrap()
            .contains("meridian-patients.yaml:"),
        "{problem}"
    );
    let history = scrim(world.root(), ["policy", "history"]).good();
    let lines: Vec<&str> = history.lines().collect();
    let ending = |end: &str| lines.iter().position(|line| line.ends_with(end));
    let (in_force, refused) = (ending("(in force)").unwrap(), ending("  refused").unwrap());
    assert!(in_force < refused, "{history}");
    assert!(
        lines[in_force].contains("rollback by key file"),
        "{history}"
    );
    assert_eq!(history.matches("(in force)").count(), 1, "{history}");
    assert!(
        lines[refused + 1].contains("meridian-patients.yaml:"),
        "{history}"
    );
    // The ledger holds what changed, and whoever asks gets all files.
    let history = scrim(world.root(), ["policy", "history", "--json"]).good();
    for line in history.lines() {
        let load: serde_json::Value = serde_json::from_str(line).unwrap();
        let files = load["files"].as_array().unwrap().len();
        let expected = if load["problems"].is_null() { 15 } else { 0 };
        assert_eq!(files, expected, "{line}");
    }
    let ledger = fs::read_to_string(world.path("ledger/ledger.jsonl")).unwrap();
    assert_eq!(
        ledger.matches("agreements/harbor-visits.yaml\",\"").count(),
        1
    );
    serving.stop();
}

#[test]
fn a_rollback_to_what_is_lost_is_told_with_the_way_out() {
    let world = Scratch::demo();
    let serving = Serving::start(&world);
    let before = fs::read_to_string(world.path(CONTRACT)).unwrap();
    world.edit(
        CONTRACT,
        "rows: NOT legal_hold",
        "rows: NOT legal_hold AND true",
    );
    ask(&world, &serving, &["policy", "reload"]).good();
    let first = versions(&world)[0].clone();
    ask(&world, &serving, &["policy", "rollback", &first]).good();
    serving.stop();
    fs::remove_dir_all(world.path("ledger/policies")).unwrap();
    let run = scrim(world.root(), ["serve"]).bad(2);
    for said in [first.as_str(), "restore the folder", "change a file here"] {
        assert!(run.contains(said), "{said}: {run}");
    }
    fs::write(world.path(CONTRACT), before + "# mended\n").unwrap();
    Serving::start(&world).stop();
}

#[test]
fn a_signal_loads_the_policies_and_who_is_no_operator_hears_nothing() {
    let world = Scratch::demo();
    world.write("password.txt", "demo\n");
    let serving = Serving::start(&world);
    let count = versions(&world).len();
    serving.signal("-HUP");
    // The folder has not changed, so nothing but the signal loads it.
    while versions(&world).len() == count {}
    let said = scrim(world.root(), ["policy", "history"]).good();
    assert!(said.contains("signal"), "{said}");
    let ivan = ["--user", "ivan", "--password-file", "password.txt"];
    let status = ["status", "--url", serving.url.as_str()];
    let said = scrim(world.root(), status.iter().chain(&ivan)).bad(1);
    assert!(said.contains("not-served"), "{said}");
    // Keys of another server.
    fs::remove_file(world.path("keys.json")).unwrap();
    scrim(world.root(), ["keys", "new", "--file", "keys.json"]).good();
    let said = ask(&world, &serving, &["status"]).bad(1);
    assert!(said.contains("unauthenticated"), "{said}");
    let unreachable = scrim(world.root(), ["status"]).bad(2);
    assert!(unreachable.contains("--url"), "{unreachable}");
    let alive = Command::new("kill").args(["-0", &serving.id()]).status();
    assert!(alive.unwrap().success());
    serving.stop();
}
