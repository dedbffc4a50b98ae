//! The steps that the commands are made of, and what they say at the end.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::postgres::{self, Postgres};
use crate::python::Environment;
use crate::run;
use crate::tally::Tally;
use crate::tidy;
use crate::workspace::Workspace;

/// How one step ended.
struct Outcome {
    name: &'static str,
    took: Duration,
    tally: Tally,
    problem: Option<String>,
}

/// The steps run so far.
struct Report {
    outcomes: Vec<Outcome>,
}

impl Report {
    fn new() -> Self {
        Self {
            outcomes: Vec::new(),
        }
    }

    /// Runs a step and goes on whatever it says: one run names everything that is wrong.
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<Tally, String>) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let (tally, problem) = match work() {
            Ok(tally) if tally.command_failed || tally.failed > 0 => {
                (tally, Some("see its output above".to_owned()))
            }
            Ok(tally) => (tally, None),
            Err(problem) => (Tally::default(), Some(problem)),
        };
        if let Some(problem) = &problem {
            eprintln!("error: {name}: {problem}");
        }
        let good = problem.is_none();
        self.outcomes.push(Outcome {
            name,
            took: start.elapsed(),
            tally,
            problem,
        });
        good
    }

    /// Prints the steps with their times; the last line counts the tests.
    fn close(self) -> Result<(), String> {
        let tally = self
            .outcomes
            .iter()
            .fold(Tally::default(), |sum, o| sum.plus(o.tally));
        println!();
        for outcome in &self.outcomes {
            let verdict = if outcome.problem.is_none() {
                "ok"
            } else {
                "FAILED"
            };
            println!(
                "{:<32} {:>8.1} s  {verdict}",
                outcome.name,
                outcome.took.as_secs_f64()
            );
        }
        let bad: Vec<_> = self
            .outcomes
            .iter()
            .filter(|o| o.problem.is_some())
            .map(|o| o.name)
            .collect();
        // A step that fails without a failed test (format, lints, a build) counts as one.
        let silent = self
            .outcomes
            .iter()
            .filter(|o| o.problem.is_some() && o.tally.failed == 0);
        let failed = tally.failed + silent.count() as u64;
        println!("\n{} passed, {failed} failed", tally.passed);
        if bad.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", bad.join(", ")))
        }
    }
}

/// Installs what the tests need and runs everything.
pub(crate) fn test(workspace: &Workspace) -> Result<(), String> {
    let mut report = Report::new();
    report.step("postgresql", || {
        postgres::install().map(|()| Tally::default())
    });
    let mut environment = None;
    report.step("python environment", || {
        environment = Some(Environment::install(workspace)?);
        Ok(Tally::default())
    });
    let built = common(workspace, &mut report);
    match &environment {
        Some(environment) if built => clients(workspace, environment, &mut report),
        _ => println!("\nclients: not run, since an earlier step failed"),
    }
    report.close()
}

/// All that CI runs; the clients only when they need no installation.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let mut report = Report::new();
    let built = common(workspace, &mut report);
    match Environment::ready(workspace) {
        Some(environment) if built => clients(workspace, &environment, &mut report),
        Some(_) => println!("\nclients: not run, since the build failed"),
        None => {
            println!("\nclients: not run, they are not installed; `cargo x test` installs them");
        }
    }
    report.close()
}

/// Format, tidy, lints, and the tests of the given packages and of those that use them.
pub(crate) fn quick(workspace: &Workspace, packages: &BTreeSet<String>) -> Result<(), String> {
    let mut report = Report::new();
    format_and_tidy(workspace, &mut report);
    if !packages.is_empty() && lints(workspace, &mut report) {
        report.step("build of the command", || build_programs(workspace));
        report.step("tests of what changed", || {
            let server = Postgres::start(workspace)?;
            if has_nextest(workspace) {
                let chosen: Vec<_> = packages.iter().map(|p| format!("rdeps({p})")).collect();
                let chosen = chosen.join(" + ");
                let selected = ["--release", "--workspace", "-E", &chosen];
                let words = [&["nextest", "run"][..], &selected].concat();
                run_tests(workspace, &server, &words)
            } else {
                let words = ["test", "--release", "--workspace", "--tests"];
                run_tests(workspace, &server, &words)
            }
        });
    }
    report.close()
}

/// Runs the tests that have expectations on file and lets each write what it found.
pub(crate) fn bless(workspace: &Workspace) -> Result<(), String> {
    if build_programs(workspace)?.command_failed {
        return Err("the command does not build, see above".to_owned());
    }
    let server = Postgres::start(workspace)?;
    let mut cargo = workspace.cargo(["test", "--release", "--workspace", "--no-fail-fast"]);
    cargo
        .env("INSTA_UPDATE", "always")
        .env("SCRIM_BLESS", "1")
        .env("SCRIM_BIN", workspace.scrim());
    let tally = run::counted(server.tell(&mut cargo))?;
    println!("\nread `git diff` before you commit what was accepted");
    if tally.failed == 0 && !tally.command_failed {
        return Ok(());
    }
    Err("some tests fail for a reason that no new expectation cures, see above".to_owned())
}

/// Generates TPC-H data for `examples/tpch`.
pub(crate) fn tpch(workspace: &Workspace, scale: &str, rest: &[&str]) -> Result<(), String> {
    let fine = scale
        .parse::<f64>()
        .is_ok_and(|factor| factor.is_finite() && factor > 0.0);
    if !fine {
        return Err(format!(
            "the scale factor must be a number above 0, not `{scale}`"
        ));
    }
    // Not `-p scrim-testkit`: one package alone would get other features, and a second engine.
    let mut cargo = workspace.cargo(["run", "--release", "--example", "tpch", "--", scale]);
    run::plain(cargo.args(rest))
}

/// Everything that needs nothing but Rust and PostgreSQL. Says whether the build is good.
fn common(workspace: &Workspace, report: &mut Report) -> bool {
    format_and_tidy(workspace, report);
    let built = report.step("build", || {
        counted(
            workspace,
            &[
                "build",
                "--release",
                "--workspace",
                "--locked",
                "--bins",
                "--tests",
                "--examples",
            ],
        )
    });
    if built {
        tests(workspace, report);
        lints(workspace, report);
        report.step("documentation", || {
            let mut cargo =
                workspace.cargo(["doc", "--release", "--workspace", "--locked", "--no-deps"]);
            run::counted(cargo.env("RUSTDOCFLAGS", "-D warnings"))
        });
    }
    built
}

fn format_and_tidy(workspace: &Workspace, report: &mut Report) {
    report.step("format", || {
        counted(workspace, &["fmt", "--all", "--check"])
    });
    report.step("tidy", || tidy::run(workspace).map(|()| Tally::default()));
}

fn lints(workspace: &Workspace, report: &mut Report) -> bool {
    report.step("lints", || {
        counted(
            workspace,
            &[
                "clippy",
                "--release",
                "--workspace",
                "--locked",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        )
    })
}

fn tests(workspace: &Workspace, report: &mut Report) {
    const ALL: [&str; 4] = ["--release", "--workspace", "--locked", "--no-fail-fast"];
    let run = |words: &[&str]| {
        let server = Postgres::start(workspace)?;
        run_tests(workspace, &server, &[words, &ALL].concat())
    };
    if has_nextest(workspace) {
        report.step("tests", || run(&["nextest", "run"]));
        report.step("examples in the documentation", || run(&["test", "--doc"]));
    } else {
        report.step("tests", || run(&["test"]));
    }
}

fn clients(workspace: &Workspace, environment: &Environment, report: &mut Report) {
    report.step("clients", || {
        let mut pytest = Command::new(environment.python());
        pytest
            .args(["-m", "pytest", "-p", "no:cacheprovider", "tests/clients"])
            .env("SCRIM_BIN", workspace.scrim())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(workspace.root());
        let tally = run::counted(&mut pytest)?;
        if tally.passed + tally.failed == 0 {
            return Err("pytest ran no test".to_owned());
        }
        Ok(tally)
    });
}

fn counted(workspace: &Workspace, arguments: &[&str]) -> Result<Tally, String> {
    let mut cargo = workspace.cargo(arguments.iter().copied());
    // The tests of the command use the one that the build made.
    run::counted(cargo.env("SCRIM_BIN", workspace.scrim()))
}

fn run_tests(
    workspace: &Workspace,
    server: &Postgres,
    arguments: &[&str],
) -> Result<Tally, String> {
    let mut cargo = workspace.cargo(arguments.iter().copied());
    run::counted(server.tell(cargo.env("SCRIM_BIN", workspace.scrim())))
}

/// Builds the command, which the runners of tests do not (its tests are another package's), and what
/// starts the tests' database.
fn build_programs(workspace: &Workspace) -> Result<Tally, String> {
    let what = ["--bins", "--example", "postgres"];
    let words = [&["build", "--release", "--workspace"][..], &what].concat();
    counted(workspace, &words)
}

fn has_nextest(workspace: &Workspace) -> bool {
    workspace
        .cargo(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
