//! How many tests passed, read from the closing lines of the runners.

/// A sum over runners.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Whether the command itself said that something is wrong.
    pub(crate) command_failed: bool,
}

/// Who closes with a count. Nextest shows the output of a failed test, and in it the closing line of
/// that test's own runner, more than once: only the closing line of the runner that was started
/// counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    Cargo,
    Nextest,
    Pytest,
}

impl Runner {
    /// The runner that a command line starts.
    pub(crate) fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        for word in words {
            match word {
                "nextest" => return Self::Nextest,
                "pytest" => return Self::Pytest,
                _ => {}
            }
        }
        Self::Cargo
    }

    /// What a closing line counts.
    fn closing(self, line: &str) -> Option<&str> {
        match self {
            Self::Cargo => closing_of_cargo(line),
            Self::Nextest => closing_of_nextest(line),
            Self::Pytest => closing_of_pytest(line),
        }
    }
}

impl Tally {
    /// Adds what one line of output says, if it is a closing line of the runner.
    pub(crate) fn read(&mut self, runner: Runner, line: &str) {
        let line = without_colours(line);
        if let Some(counts) = runner.closing(line.trim()) {
            self.passed += before(counts, "passed");
            self.failed +=
                before(counts, "failed") + before(counts, "error") + before(counts, "errors");
            self.failed += before(counts, "timed out");
        }
    }

    /// The sum of two.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            command_failed: self.command_failed || other.command_failed,
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; …`
fn closing_of_cargo(line: &str) -> Option<&str> {
    line.strip_prefix("test result: ")
}

/// `Summary [ 1.2s] 5 tests run: 4 passed (1 slow), 1 failed, 0 skipped`
fn closing_of_nextest(line: &str) -> Option<&str> {
    line.strip_prefix("Summary [")?
        .split_once(" run: ")
        .map(|(_, counts)| counts)
}

/// `==== 5 passed, 1 failed in 0.12s ====`
fn closing_of_pytest(line: &str) -> Option<&str> {
    let counts = line
        .strip_prefix('=')?
        .strip_suffix('=')?
        .trim_matches(['=', ' ']);
    (counts.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ')') && counts.contains(" in "))
        .then_some(counts)
}

/// The number that stands before a word: 3 in `3 passed`.
fn before(counts: &str, word: &str) -> u64 {
    counts
        .split([',', ';', '(', '.'])
        .filter_map(|part| {
            let (number, rest) = part.trim().split_once(' ')?;
            let said = rest.trim_end_matches(')').trim();
            let says_word =
                said == word || said.strip_prefix(word).is_some_and(|r| r.starts_with(' '));
            says_word.then(|| number.parse::<u64>().ok()).flatten()
        })
        .sum()
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // An escape sequence ends with its first letter.
            let _last = characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Runner, Tally};

    fn check(runner: Runner, output: &str, passed: u64, failed: u64) {
        let mut tally = Tally::default();
        for line in output.lines() {
            tally.read(runner, line);
        }
        assert_eq!((tally.passed, tally.failed), (passed, failed), "{output}");
    }

    /// As nextest prints one failure with `failure-output = "immediate-final"`.
    const NEXTEST_WITH_A_FAILURE: &str = "\
    Starting 2 tests across 1 binary
        FAIL [   0.003s] xtask::bin/xtask tally::tests::it_fails
  stdout ───
    running 1 test
    test tally::tests::it_fails ... FAILED
    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 11 filtered out; finished in 0.00s
────────────
     Summary [   0.005s] 2 tests run: 1 passed, 1 failed, 0 skipped
        FAIL [   0.003s] xtask::bin/xtask tally::tests::it_fails
  stdout ───
    running 1 test
    test tally::tests::it_fails ... FAILED
    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 11 filtered out; finished in 0.00s
error: test run failed
";

    #[test]
    fn a_failure_of_nextest_is_counted_once() {
        check(Runner::Nextest, NEXTEST_WITH_A_FAILURE, 1, 1);
    }

    #[test]
    fn the_runner_is_the_one_that_the_command_line_names() {
        let of = |line: &str| Runner::of(line.split(' '));
        assert_eq!(of("test --release --workspace --doc"), Runner::Cargo);
        assert_eq!(of("nextest run --release"), Runner::Nextest);
        assert_eq!(
            of("-m pytest -p no:cacheprovider tests/clients"),
            Runner::Pytest
        );
    }

    #[test]
    fn closing_lines_are_counted_and_nothing_else() {
        check(
            Runner::Cargo,
            "test result: ok. 3 passed; 1 failed; 0 ignored; finished in 0.00s",
            3,
            1,
        );
        check(
            Runner::Nextest,
            "     Summary [   0.2s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped",
            4,
            1,
        );
        check(
            Runner::Nextest,
            "\u{1b}[32m     Summary\u{1b}[0m [   0.2s] 1 test run: 1 passed, 0 skipped",
            1,
            0,
        );
        check(
            Runner::Pytest,
            "\u{1b}[31m==== \u{1b}[1m1 failed\u{1b}[0m, 5 passed, 2 errors in 3.01s ====",
            5,
            3,
        );
        let timed_out = "Summary [ 300.2s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped";
        check(Runner::Nextest, timed_out, 1, 2);
        let hours = "===== 41 passed in 61.20s (0:01:01) =====";
        check(Runner::Pytest, hours, 41, 0);
        check(Runner::Cargo, "the server said: 3 passed; 1 failed", 0, 0);
        check(Runner::Pytest, "==== 3 passed, 1 failed ====", 0, 0);
    }
}
