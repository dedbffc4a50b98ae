//! Links between our documents lead somewhere, and never out of the repository.

use std::path::{Component, Path, PathBuf};

use super::{File, Findings};

pub(super) fn check(root: &Path, files: &[File], findings: &mut Findings) {
    for file in files.iter().filter(|file| file.has_extension(&["md"])) {
        for (number, line) in prose(&file.text) {
            for target in targets(line) {
                let problem = match resolve(&file.path, target) {
                    Target::Web => continue,
                    Target::Outside => "leads out of the repository",
                    Target::Inside(path) if root.join(&path).exists() => continue,
                    Target::Inside(_) => "leads nowhere",
                };
                findings.error(format!(
                    "{}:{number}: the link `{target}` {problem}",
                    file.path
                ));
            }
        }
    }
}

/// The lines outside of code blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!code && !fence).then_some((index + 1, line))
    })
}

/// What stands in the round brackets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    Web,
    Inside(PathBuf),
    Outside,
}

fn resolve(from: &str, target: &str) -> Target {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.starts_with("https://") || path.starts_with("mailto:") {
        return Target::Web;
    }
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let mut resolved = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir if resolved.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Target::Outside;
            }
        }
    }
    Target::Inside(resolved)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Target, resolve, targets};

    #[test]
    fn links_are_read_and_resolved() {
        let found: Vec<_> =
            targets("see [a](../b.md#c) and [d](https://e.org), not f(x)").collect();
        assert_eq!(found, ["../b.md#c", "https://e.org"]);
        assert_eq!(
            resolve("crates/README.md", "../b.md#c"),
            Target::Inside(PathBuf::from("b.md"))
        );
        assert_eq!(resolve("README.md", "../b.md"), Target::Outside);
        assert_eq!(resolve("README.md", "/etc/passwd"), Target::Outside);
        assert_eq!(resolve("README.md", "#words"), Target::Web);
    }
}
