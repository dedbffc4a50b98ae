//! What to run before a commit: format, lints, and the tests of what changed.

use std::collections::BTreeSet;

use crate::steps;
use crate::workspace::Workspace;

/// Runs it; the builds still take the whole workspace, so that features stay the same.
pub(crate) fn run(workspace: &Workspace) -> Result<(), String> {
    let packages = changed_packages(&workspace.changed()?);
    if packages.is_empty() {
        println!("no crate changed since the last commit: format and tidy only");
    }
    steps::quick(workspace, &packages)
}

/// The packages that hold the changed files; a change outside of all crates is one of the root's.
fn changed_packages(files: &[String]) -> BTreeSet<String> {
    files
        .iter()
        .filter_map(
            |file| match file.split('/').collect::<Vec<_>>().as_slice() {
                ["crates", package, _, ..] => Some((*package).to_owned()),
                ["xtask", ..] => Some("xtask".to_owned()),
                // the demo carries them
                ["policies", ..] => Some("scrim".to_owned()),
                ["tests" | "benches" | "examples", ..] | ["Cargo.toml" | "Cargo.lock"] => {
                    Some("scrim-workspace".to_owned())
                }
                _ => None,
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::changed_packages;

    #[test]
    fn files_belong_to_the_package_of_their_folder() {
        let files = [
            "crates/scrim-model/src/lib.rs",
            "crates/README.md",
            "policies/contracts/claims.odcs.yaml",
            "examples/tpch/scrim.yaml",
            "xtask/src/main.rs",
        ];
        let packages = changed_packages(&files.map(str::to_owned));
        assert_eq!(
            packages.into_iter().collect::<Vec<_>>(),
            ["scrim", "scrim-model", "scrim-workspace", "xtask"]
        );
    }
}
