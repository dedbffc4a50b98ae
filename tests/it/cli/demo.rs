//! `scrim demo --once`: the first thing that anybody runs.

use super::scrim;
use crate::kit::Scratch;

#[test]
fn the_demo_shows_three_views_side_by_side_and_why() {
    let folder = Scratch::empty();
    let run = scrim(folder.root(), ["demo", "--once", "--port", "0"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    let out = &run.out;
    for word in [
        "nora",
        "ivan",
        "rhea",
        "northgate",
        "harbor",
        "meridian",
        "operations",
        "fraud-analytics",
        "research",
        "SELECT",
        "Zoë Ångström",
        "meridian-study-7",
        "harbor-patients",
        "pseudonymize",
    ] {
        assert!(out.contains(word), "{word} is missing:\n{out}");
    }
    assert!(!out.contains("canary-"), "{out}");
    let widest = out.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 100, "{widest} columns");
    assert_eq!(
        std::fs::read_dir(folder.root()).unwrap().count(),
        0,
        "the demo left something behind"
    );
}

#[test]
fn a_world_that_is_kept_is_a_world_to_serve() {
    let folder = Scratch::empty();
    let said = scrim(
        folder.root(),
        ["demo", "--once", "--port", "0", "--keep", "world"],
    )
    .good();
    assert!(said.contains("Why"), "{said}");
    let world = folder.path("world");
    assert!(world.join("scrim.yaml").is_file());
    scrim(&world, ["policy", "check", "policies"]).good();
    scrim(&world, ["ledger", "verify", "ledger"]).good();
    let said = scrim(folder.root(), ["demo", "--once", "--keep", "world"]).bad(2);
    assert!(said.contains("not empty"), "{said}");
    folder.write("file", "");
    let said = scrim(folder.root(), ["demo", "--once", "--keep", "file"]).bad(2);
    assert!(said.contains("file"), "{said}");
}
