//! `scrim policy diff`, `drift` and `matrix`.
//!
//! `tests/data/diff` holds a folder for each change of policies: `old`, `new`, and what is said of it.
//! `SCRIM_BLESS=1` writes that anew; read the diff.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use scrim::compare::{Options, Side, compare};
use scrim_policy::compare::Width;
use scrim_server::Config;

use crate::cli::serve::Serving;
use crate::cli::{Run, scrim};
use crate::elsewhere::Base;
use crate::kit::Scratch;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/diff")
}

#[tokio::test]
async fn every_change_is_told_as_it_is() {
    let mut names: Vec<_> = fs::read_dir(cases())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for case in names {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let side = |side: &str| Side::of_folder(&case.join(side));
        let (old, new) = (side("old"), side("new"));
        let config = Config::load(&cases().join("scrim.yaml")).unwrap();
        let report = compare(config.clone(), (&old, &new), &Options::default())
            .await
            .unwrap();
        let here = format!("{}/", case.display());
        let found = report.text().replace(&here, "");
        let path = case.join("expected.txt");
        if std::env::var_os("SCRIM_BLESS").is_some() {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{name}: if it should be so: SCRIM_BLESS=1");

        let back = compare(config.clone(), (&new, &old), &Options::default())
            .await
            .unwrap();
        assert_eq!(
            back.width(),
            report.width().reversed(),
            "{name}, from new to old"
        );
        let same = compare(config, (&new, &new), &Options::default())
            .await
            .unwrap();
        assert_eq!(
            same.difference.tables.len(),
            0,
            "{name}, with itself: {}",
            same.text()
        );
        assert_eq!(same.width(), Width::Equal);
    }
}

/// The command in the folder of cases.
fn diff(arguments: &[&str]) -> Run {
    let base = ["policy", "diff", "--config", "scrim.yaml"];
    scrim(&cases(), base.iter().chain(arguments))
}

#[test]
fn ci_fails_when_more_may_be_shown() {
    for (case, fails_on_widen, fails_on_any) in [
        ("wider-rows", true, true),
        ("columns", true, true),
        ("counted", true, true),
        ("guard-added", false, true),
        ("rewritten", false, true),
    ] {
        let (old, new) = (format!("{case}/old"), format!("{case}/new"));
        let code = |fail_on: &str| diff(&[&old, &new, "--fail-on", fail_on]).code;
        assert_eq!(code("widen"), if fails_on_widen { 3 } else { 0 }, "{case}");
        assert_eq!(code("any"), if fails_on_any { 3 } else { 0 }, "{case}");
        assert_eq!(diff(&[&new, &new, "--fail-on", "any"]).code, 0, "{case}");
        assert_eq!(diff(&[&old, &new]).code, 0, "{case}");
    }
    let wrong = diff(&["nowhere", "columns/new"]).bad(2);
    assert!(wrong.contains("git"), "{wrong}");
    // A slip in a name must not pass for a change that nobody sees.
    for (option, name, there) in [
        ("--table", "sales.order", "sales.orders"),
        ("--org", "acmee", "acme"),
    ] {
        let sides = ["wider-rows/old", "wider-rows/new", "--fail-on", "widen"];
        let wrong = diff(&[&sides[..], &[option, name]].concat()).bad(2);
        assert!(wrong.contains(name) && wrong.contains(there), "{wrong}");
        assert_eq!(diff(&[&sides[..], &[option, there]].concat()).code, 3);
    }
}

/// Where a table lies changes nothing about what is counted in it.
#[test]
fn rows_are_counted_in_a_database_as_in_files() {
    let counted = |world: &Scratch| {
        fs::create_dir(world.path("next")).unwrap();
        copy(&world.path("policies"), &world.path("next"));
        world.edit(
            "next/contracts/claims.odcs.yaml",
            "array_has(agreement.regions, region)",
            "(array_has(agreement.regions, region) OR region LIKE 'S%') AND amount > 100",
        );
        let said = scrim(
            world.root(),
            ["policy", "diff", "policies", "next", "--count"],
        );
        let said = said.good();
        let lines = said.lines().map(str::trim);
        let lines = lines.filter(|line| line.starts_with("rows counted today"));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        assert!(!said.contains("note:"), "{said}");
        assert!(said.contains("incomparable"), "{said}");
        lines
    };
    let in_files = counted(&Scratch::demo());
    let world = Scratch::demo();
    let base = Base::new(&world);
    base.take(&world, "claims");
    assert_eq!(counted(&world), in_files);
    let both = |line: &String| !line.contains(" 0 gained") && !line.contains(" 0 lost");
    assert!(in_files.iter().any(both), "{in_files:?}");
}

/// A checkout in CI has policies, and seldom accounts.
#[test]
fn without_accounts_nothing_is_counted_unless_asked_for() {
    let world = Scratch::demo();
    fs::create_dir(world.path("next")).unwrap();
    copy(&world.path("policies"), &world.path("next"));
    world.edit(
        "next/contracts/claims.odcs.yaml",
        "array_has(agreement.regions, region)",
        "array_has(agreement.regions, upper(region))",
    );
    let accounts = Config::load(&world.path("scrim.yaml"))
        .unwrap()
        .identity
        .accounts;
    fs::remove_file(accounts).unwrap();
    let base = ["policy", "diff", "policies", "next"];
    let said = scrim(world.root(), base).good();
    assert!(said.contains("note: rows were not counted"), "{said}");
    assert!(said.contains("it cannot be told"), "{said}");
    scrim(world.root(), base.iter().chain(&["--count"])).bad(2);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_report_is_read_by_people_and_by_programs() {
    let json = diff(&["columns/old", "columns/new", "--json"]).good();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["width"], "incomparable");
    let agreement = &json["difference"]["tables"][0]["organisations"][0]["agreements"][0];
    assert_eq!(
        agreement["gained"],
        serde_json::json!(["email", "legal_hold"])
    );
    assert_eq!(agreement["treatments"][0]["width"], "narrower");

    let markdown = diff(&["counted/old", "counted/new", "--markdown"]).good();
    assert!(
        markdown.contains("| sales.orders | acme | acme-orders | ⚠ unknown |"),
        "{markdown}"
    );
    assert!(markdown.contains("ada: 2 gained, 2 lost"), "{markdown}");

    // Logic tells, and it is counted because it was asked for.
    let counted = diff(&["wider-rows/old", "wider-rows/new", "--count"]).good();
    assert!(
        counted.contains("rows counted today as ada: 1 gained, 0 lost"),
        "{counted}"
    );

    let of_one = diff(&[
        "agreements/old",
        "agreements/new",
        "--org",
        "globex",
        "--fail-on",
        "widen",
    ]);
    let text = of_one.good();
    assert!(
        text.contains("globex-orders") && !text.contains("initech"),
        "{text}"
    );
}

fn git(folder: &Path, arguments: &[&str]) {
    let author = [
        "-c",
        "user.name=owner",
        "-c",
        "user.email=owner@example.org",
    ];
    let mut command = Command::new("git");
    let run = command
        .arg("-C")
        .arg(folder)
        .args(author)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn a_side_may_be_a_revision_of_the_repository() {
    let world = Scratch::demo();
    git(world.root(), &["init", "--quiet"]);
    git(world.root(), &["add", "policies"]);
    git(world.root(), &["commit", "--quiet", "-m", "as agreed"]);
    let same = scrim(world.root(), ["policy", "diff", "HEAD", "policies"]).good();
    assert!(same.ends_with("nothing differs\n"), "{same}");

    world.edit(
        "policies/agreements/harbor-patients.yaml",
        "status: active",
        "status: suspended",
    );
    let text = scrim(
        world.root(),
        ["policy", "diff", "HEAD:policies", "policies"],
    )
    .good();
    assert!(
        text.contains("harbor-patients for fraud-analytics: narrower"),
        "{text}"
    );
    git(
        world.root(),
        &["commit", "--quiet", "-a", "-m", "suspended for now"],
    );
    let back = ["policy", "diff", "HEAD", "HEAD~1", "--fail-on", "widen"];
    assert_eq!(scrim(world.root(), back).code, 3);

    // An access policy may stand beside the folder of contracts.
    let split = ["contract", "split", "policies/contracts/claims.odcs.yaml"];
    scrim(world.root(), split).good();
    let policy = world.path("policies/claims.policy.yaml");
    fs::rename(world.path("policies/contracts/claims.policy.yaml"), policy).unwrap();
    git(world.root(), &["add", "policies"]);
    git(world.root(), &["commit", "--quiet", "-m", "apart"]);
    let same = scrim(world.root(), ["policy", "diff", "HEAD", "policies"]).good();
    assert!(same.ends_with("nothing differs\n"), "{same}");

    // How it is written may differ, and hidden files are none of the policies.
    fs::write(
        world.path("policies/contracts/.draft.yaml"),
        "no: contract\n",
    )
    .unwrap();
    git(world.root(), &["add", "policies"]);
    git(world.root(), &["commit", "--quiet", "-m", "a draft"]);
    let same = scrim(world.root(), ["policy", "diff", "HEAD~2", "HEAD"]).good();
    assert!(
        same.ends_with("nothing differs in what is shown\n"),
        "{same}"
    );

    // A folder is read through links, a revision is not, and nothing may go missing in silence.
    let agreement = world.path("policies/agreements/harbor-claims.yaml");
    fs::rename(&agreement, world.path("harbor-claims.yaml")).unwrap();
    std::os::unix::fs::symlink("../../harbor-claims.yaml", agreement).unwrap();
    git(world.root(), &["add", "policies"]);
    git(world.root(), &["commit", "--quiet", "-m", "linked"]);
    let bad = ["policy", "diff", "HEAD~1", "HEAD", "--fail-on", "widen"];
    let bad = scrim(world.root(), bad).bad(2);
    assert!(bad.contains("`agreements/harbor-claims.yaml`"), "{bad}");
    let same = scrim(world.root(), ["policy", "diff", "HEAD~1", "policies"]).good();
    assert!(same.ends_with("nothing differs\n"), "{same}");

    for (revision, said) in [
        ("no-such-branch", "no folder and no server"),
        ("no-such-branch", "git:"),
        ("HEAD:data", "git:"),
        ("-v", "unexpected"),
    ] {
        let bad = scrim(world.root(), ["policy", "diff", revision, "policies"]).bad(2);
        assert!(bad.contains(said), "{revision}: {bad}");
    }
}

#[test]
fn two_servers_are_compared_by_what_they_have_in_force() {
    let (one, other) = (Scratch::demo(), Scratch::demo());
    let (first, second) = (Serving::start(&one), Serving::start(&other));
    let drift = |arguments: &[&str]| scrim(one.root(), ["policy", "drift"].iter().chain(arguments));
    let both = ["--server", &first.url, "--server", &second.url];
    let same = drift(&both).good();
    assert!(same.starts_with("no drift"), "{same}");
    assert!(
        drift(&["--server", &first.url])
            .good()
            .starts_with("no drift")
    );

    // What lies in the folder and what is in force are two things.
    let folder = other.path("policies").display().to_string();
    let agreement = "policies/agreements/harbor-claims.yaml";
    other.edit(agreement, "status: active", "status: suspended");
    let differs = drift(&["--server", &first.url, &folder]);
    assert_eq!(differs.code, 3, "{differs:?}");
    assert!(differs.out.contains("harbor-claims"), "{}", differs.out);

    scrim(other.root(), ["policy", "reload", "--url", &second.url]).good();
    let differs = drift(&["--server", &first.url, "--server", &second.url, "--json"]);
    assert_eq!(differs.code, 3, "{differs:?}");
    let json: serde_json::Value = serde_json::from_str(&differs.out).unwrap();
    assert_eq!(json["width"], "narrower");

    // What is revoked on one alone is enforced by one alone, under the same policies.
    other.edit(agreement, "status: suspended", "status: active");
    scrim(other.root(), ["policy", "reload", "--url", &second.url]).good();
    assert!(drift(&both).good().starts_with("no drift"));
    let revoke = [
        "revoke",
        "--url",
        &second.url,
        "--agreement",
        "harbor-claims",
        "--reason",
        "x",
    ];
    scrim(other.root(), revoke).good();
    let differs = drift(&both);
    assert_eq!(differs.code, 3, "{differs:?}");
    let said = format!(
        "only {} has taken access back: agreement harbor-claims",
        second.url
    );
    assert!(differs.out.contains(&said), "{}", differs.out);

    let no_server = drift(&["--server", &folder]).bad(2);
    assert!(no_server.contains("is no server"), "{no_server}");

    // Who may not ask, and of whom it is said.
    let user = ["--user", "nora", "--password-file", "-"];
    let twice = [&both[..], &user].concat();
    let said = drift(&twice).bad(2);
    assert!(said.contains("standard input"), "{said}");
    let config = other.path("scrim.yaml").display().to_string();
    let said = drift(&[&["--server", config.as_str()], &user[..]].concat()).bad(2);
    assert!(said.contains("--user") && said.contains(&config), "{said}");
    one.write("password", "demo\n");
    let nobody = ["--user", "nora", "--password-file", "password"];
    let said = drift(&[&["--server", second.url.as_str()], &nobody[..]].concat()).bad(1);
    assert!(said.contains(&second.url), "{said}");
    let url = second.url.clone();
    for serving in [first, second] {
        serving.stop();
    }
    let said = drift(&["--server", &url]).bad(1);
    assert!(said.contains(&format!("cannot reach {url}")), "{said}");
}

#[test]
fn the_matrix_is_printed_as_asked() {
    let world = Scratch::demo();
    let matrix = |arguments: &[&str]| {
        let base = ["policy", "matrix", "--at", "2026-03-02T12:00:00Z"];
        scrim(world.root(), base.iter().chain(arguments)).good()
    };
    let one = matrix(&[
        "--as",
        "rhea",
        "--purpose",
        "research",
        "--table",
        "care.patients",
    ]);
    assert!(
        one.contains("rhea (meridian)\n  for research from 127.0.0.1 at 2026-03-02 12:00"),
        "{one}"
    );
    assert!(
        one.contains("zip                masked:zip3 | clear"),
        "{one}"
    );
    let markdown = matrix(&[
        "--org",
        "harbor",
        "--purpose",
        "research",
        "--format",
        "markdown",
    ]);
    assert!(
        markdown.contains("| ivan (harbor) | denied | denied | denied |"),
        "{markdown}"
    );
    let json = matrix(&["--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let csv = matrix(&["--format", "csv"]);
    assert!(csv.starts_with("principal,organisation,purpose,"), "{csv}");
    let denied = |verdict: &str| {
        let cells = rows
            .iter()
            .flat_map(|row| row["tables"].as_array().unwrap());
        cells.filter(|cell| cell["verdict"] == verdict).count()
    };
    assert_eq!(
        csv.lines().filter(|line| line.contains(",denied,")).count(),
        denied("denied")
    );
    assert!(denied("shown") > 10);
    for (option, name, said) in [
        ("--as", "nobody", "rhea"),
        ("--org", "meridiann", "meridiann"),
        ("--table", "patients", "care.patients"),
    ] {
        let unknown = scrim(world.root(), ["policy", "matrix", option, name]).bad(2);
        assert!(unknown.contains(said), "{unknown}");
    }
}

#[test]
fn the_demo_world_is_compared_in_well_under_a_second() {
    let world = Scratch::demo();
    let run = || scrim(world.root(), ["policy", "diff", "policies", "policies"]).good();
    run();
    let start = Instant::now();
    run();
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}
