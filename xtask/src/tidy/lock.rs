//! The lock file: one engine, and no second cryptography.

use std::collections::BTreeMap;

use super::{File, Findings};

/// Two versions of one of these are two sets of types that do not fit together.
const ONCE: &[&str] = &[
    "arrow",
    "arrow-array",
    "arrow-flight",
    "arrow-schema",
    "datafusion",
    "datafusion-common",
    "datafusion-expr",
    "object_store",
    "parquet",
    "prost",
    "sqlparser",
    "tonic",
];

/// Never, not even through somebody else.
const NEVER: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("async-std", "the runtime is tokio"),
    (
        "serde_yaml",
        "YAML is read by scrim-document, which knows lines and columns",
    ),
];

pub(super) fn check(files: &[File], findings: &mut Findings) {
    let Some(lock) = files.iter().find(|file| file.path == "Cargo.lock") else {
        findings.error("Cargo.lock is missing; it must be committed");
        return;
    };
    let packages = packages(&lock.text);
    for name in ONCE {
        let versions = packages.get(name).map(Vec::as_slice).unwrap_or_default();
        if versions.len() > 1 {
            findings.error(format!(
                "Cargo.lock: {name} must be there once, not {versions:?}"
            ));
        }
    }
    for (name, reason) in NEVER {
        if packages.contains_key(name) {
            findings.error(format!("Cargo.lock: {name} must not be there: {reason}"));
        }
    }
}

fn packages(lock: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut packages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
        } else if let Some(value) = line.strip_prefix("version = ") {
            packages
                .entry(name)
                .or_default()
                .push(value.trim_matches('"'));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::super::problems;
    use super::check;

    #[test]
    fn a_second_arrow_and_any_openssl_are_found() {
        let one = "[[package]]\nname = \"arrow\"\nversion = \"59.3.2\"\n";
        assert_eq!(problems(&[("Cargo.lock", one)], check), [""; 0]);
        let two = format!("{one}[[package]]\nname = \"arrow\"\nversion = \"60.1.0\"\n");
        assert_eq!(problems(&[("Cargo.lock", &two)], check).len(), 1);
        let ssl = format!("{one}[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.1\"\n");
        assert_eq!(problems(&[("Cargo.lock", &ssl)], check).len(), 1);
    }
}
