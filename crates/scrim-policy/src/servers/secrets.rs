//! Credentials do not stand where everybody who reads a contract would read them.

use scrim_document::{Node, Problem, Problems, SourceFile};

const HELP: &str = "write `credentials: NAME`, a custom property in a contract, and put its values \
                    into the secrets file of scrim.yaml or the environment";

/// Names of keys and custom properties, in lower case and without `_` and `-`.
const NAMES: &[&str] = &[
    "user",
    "username",
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "bearertoken",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "secretaccesskey",
    "sessiontoken",
    "accountkey",
    "sastoken",
    "clientsecret",
    "privatekey",
    "serviceaccountkey",
    "connectionstring",
];

/// Whether credentials stand in an entry, which is a problem then.
pub(super) fn refuse(entry: &Node, problems: &mut Problems) -> bool {
    let before = problems.len();
    for key in entry.as_map().unwrap_or_default() {
        check(&key.name, &key.key, problems);
    }
    let custom = entry.get("customProperties").and_then(Node::as_list);
    for property in custom.unwrap_or_default() {
        let name = property.get("property");
        if let Some((name, node)) = name.and_then(|node| Some((node.as_str()?, node))) {
            check(name, node, problems);
        }
    }
    problems.len() > before
}

fn check(name: &str, node: &Node, problems: &mut Problems) {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    if NAMES.contains(&plain.to_lowercase().as_str()) {
        problems.push(problem(
            node,
            &format!("`{name}`: credentials do not stand here"),
        ));
    }
}

/// A problem that shows no line of the file, since a secret stands there.
pub(super) fn problem(node: &Node, message: &str) -> Problem {
    let bare = SourceFile::new(node.file().path(), "");
    Problem::error(&node.location(), &bare, message).with_help(HELP)
}
