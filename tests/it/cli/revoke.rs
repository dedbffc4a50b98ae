//! `scrim revoke`, `scrim reinstate`, and what other commands tell of them.

use super::serve::{Serving, query};
use super::{Run, scrim};
use crate::kit::Scratch;

const VISITS: &str = "SELECT count(*) FROM care.visits";

fn asked(world: &Scratch, serving: &Serving) -> Run {
    let arguments = ["--purpose", "fraud-analytics", VISITS];
    query(world, &serving.url, "ivan", &arguments)
}

fn change(world: &Scratch, command: &str, whose: [&str; 2], more: &[&str]) -> Run {
    let words = [command, whose[0], whose[1], "--reason", "the pilot is over"];
    scrim(world.root(), words.iter().chain(more))
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn access_is_taken_back_and_given_again_with_and_without_a_server() {
    let world = Scratch::demo();
    world.write("password.txt", "demo\n");
    let visits = ["--agreement", "harbor-visits"];
    let serving = Serving::start(&world);
    let at = ["--url", &serving.url];
    asked(&world, &serving).good();
    let said = change(&world, "revoke", visits, &at).good();
    says(&said, &["revoked: agreement harbor-visits, at once"]);
    let said = asked(&world, &serving).bad(1);
    says(&said, &["name-not-found"]);
    assert!(!said.contains("pilot"), "{said}");
    let said = change(&world, "revoke", visits, &at).good();
    says(&said, &["already"]);
    let status = [&["status"][..], &at].concat();
    let said = scrim(world.root(), &status).good();
    let line = [
        "REVOKED",
        "agreement harbor-visits since",
        "by key file",
        "the pilot is over",
    ];
    says(&said, &line);
    let explain = [
        "explain",
        "--as",
        "ivan",
        "--purpose",
        "fraud-analytics",
        VISITS,
    ];
    says(&scrim(world.root(), explain).good(), &["it was revoked at"]);
    for (whose, hint) in [
        (
            ["--agreement", "harbor-visit"],
            "did you mean `harbor-visits`?",
        ),
        (["--principal", "ivam"], "did you mean `ivan`?"),
        (["--organisation", "harbour"], "did you mean `harbor`?"),
        (["--session", "1"], "no id of a session"),
    ] {
        says(&change(&world, "revoke", whose, &at).bad(2), &[hint]);
    }
    let ivan = ["--principal", "ivan"];
    says(
        &change(&world, "reinstate", ivan, &at).bad(2),
        &["is not revoked"],
    );
    // A port of the system's choice stands in no file: the ledger is held, so somebody runs.
    says(&change(&world, "revoke", ivan, &[]).bad(2), &["--url"]);
    let said = change(&world, "reinstate", visits, &at).good();
    says(&said, &["reinstated: agreement harbor-visits, at once"]);
    asked(&world, &serving).good();
    serving.stop();

    let said = change(&world, "revoke", ivan, &[]).good();
    says(&said, &["revoked: principal ivan", "none runs now"]);
    says(
        &change(&world, "revoke", ["--principal", "ivam"], &[]).bad(2),
        &["did you mean"],
    );
    let explained = scrim(world.root(), explain);
    says(&explained.err, &["the principal `ivan` is revoked"]);
    let serving = Serving::start(&world);
    says(&asked(&world, &serving).bad(1), &["revoked", "taken back"]);
    serving.stop();
    let said = change(&world, "reinstate", ivan, &[]).good();
    says(&said, &["reinstated: principal ivan"]);
    let serving = Serving::start(&world);
    asked(&world, &serving).good();
    serving.stop();
    let ledger = scrim(world.root(), ["ledger", "verify", "ledger"]);
    says(&ledger.good(), &["all in order"]);
}

#[test]
fn access_of_exactly_one_is_changed_and_never_without_a_reason() {
    let world = Scratch::demo();
    let both = ["--principal", "ivan", "--agreement", "harbor-visits"];
    for words in [
        &["--reason", "x"][..],
        &["--principal", "ivan"],
        &[&both[..], &["--reason", "x"]].concat(),
    ] {
        let words = ["revoke"].iter().chain(words);
        scrim(world.root(), words).bad(2);
    }
    let said = scrim(
        world.root(),
        ["revoke", "--principal", "ivan", "--reason", " "],
    )
    .bad(2);
    says(&said, &["say why"]);
}
