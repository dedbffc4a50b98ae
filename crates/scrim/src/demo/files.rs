//! The demo's policies, which are the committed files under `policies/`.

/// A file of the demo world: its path below the world's folder, and its text.
pub type Embedded = (&'static str, &'static str);

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../", $path)))),+]
    };
}

/// Every contract, agreement and policy test of the demo world.
pub const POLICIES: &[Embedded] = embedded![
    "policies/README.md",
    "policies/contracts/claims.odcs.yaml",
    "policies/contracts/patients.odcs.yaml",
    "policies/contracts/visits.odcs.yaml",
    "policies/agreements/harbor-claims.yaml",
    "policies/agreements/harbor-nightly.yaml",
    "policies/agreements/harbor-patients.yaml",
    "policies/agreements/harbor-visits.yaml",
    "policies/agreements/lumen-claims.yaml",
    "policies/agreements/meridian-claims.yaml",
    "policies/agreements/meridian-patients.yaml",
    "policies/agreements/meridian-study-7.yaml",
    "policies/agreements/meridian-visits.yaml",
    "policies/agreements/northgate-claims.yaml",
    "policies/agreements/northgate-patients.yaml",
    "policies/agreements/northgate-visits.yaml",
    "policies/tests/claims.test.yaml",
    "policies/tests/edges.test.yaml",
    "policies/tests/patients.test.yaml",
    "policies/tests/visits.test.yaml",
];

/// The look-up table of the research profiles: which partner may see which region.
pub const ENTITLEMENTS: &str = "\
partner,region
meridian,NORTH
meridian,EAST
meridian,ISLANDS
lumen,SOUTH
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::POLICIES;

    #[test]
    fn every_committed_policy_file_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut committed = BTreeSet::new();
        for folder in [
            "policies/contracts",
            "policies/agreements",
            "policies/tests",
        ] {
            for file in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                committed.insert(format!("{folder}/{name}"));
            }
        }
        let embedded: BTreeSet<String> = POLICIES
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .filter(|path| path != "policies/README.md")
            .collect();
        assert_eq!(embedded, committed);
    }
}
