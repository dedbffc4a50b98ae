//! Each invariant of `crates/README.md` has a test that is named after it, and the reverse.

use std::collections::BTreeSet;

use super::{File, Findings};

const DESCRIPTION: &str = "crates/README.md";

pub(super) fn check(files: &[File], findings: &mut Findings) {
    let Some(description) = files.iter().find(|file| file.path == DESCRIPTION) else {
        findings.error(format!("{DESCRIPTION} is missing"));
        return;
    };
    let stated = stated(&description.text);
    let tested: BTreeSet<String> = files.iter().flat_map(tested).collect();
    for id in stated.difference(&tested) {
        findings.error(format!("INV-{id} has no test; name one `inv_{id}_…`"));
    }
    for id in tested.difference(&stated) {
        findings.error(format!(
            "a test is named `inv_{id}_…`, but {DESCRIPTION} has no INV-{id}"
        ));
    }
    if stated.is_empty() {
        findings.error(format!("{DESCRIPTION}: no table of invariants found"));
    }
}

/// The numbers in the table's first column.
fn stated(description: &str) -> BTreeSet<String> {
    description
        .lines()
        .filter_map(|line| line.strip_prefix("| INV-")?.split_once(' '))
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// The numbers that tests carry in their names: functions in Rust and Python, and the files of
/// tests that are data.
fn tested(file: &File) -> Vec<String> {
    let mut ids = Vec::new();
    if file.has_extension(&["rs", "py"]) {
        for line in file.text.lines().map(str::trim_start) {
            let name = line
                .strip_prefix("def ")
                .or_else(|| line.strip_prefix("async fn "))
                .or_else(|| line.strip_prefix("fn "));
            let name = name
                .and_then(|name| name.split('(').next())
                .unwrap_or_default();
            ids.extend(numbers(name));
        }
    }
    let test_data = file.path.starts_with("tests/") || file.path.starts_with("policies/tests/");
    if test_data {
        ids.extend(numbers(file.path.rsplit('/').next().unwrap_or_default()));
    }
    ids
}

/// The two digits after each `inv_`.
fn numbers(name: &str) -> impl Iterator<Item = String> {
    name.split("inv_").skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (digits.len() == 2).then_some(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::super::problems;
    use super::check;

    #[test]
    fn invariants_and_tests_name_each_other() {
        let table = ("crates/README.md", "| INV-01 | a |\n| INV-02 | b |");
        let one = ("crates/x/src/lib.rs", "    fn inv_01_holds() {}");
        let both = (
            "crates/x/src/lib.rs",
            "    async fn inv_01_inv_02_hold() {}",
        );
        let two = ("tests/ui/inv_02_misuse.stderr", "");
        let three = ("tests/clients/test_x.py", "def test_inv_03_holds(server):");
        assert_eq!(problems(&[table, one, two], check), [""; 0]);
        assert_eq!(problems(&[table, both], check), [""; 0]);
        assert_eq!(problems(&[table, one], check).len(), 1);
        assert_eq!(problems(&[table, one, two, three], check).len(), 1);
    }
}
