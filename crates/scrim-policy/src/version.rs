//! Versions of contracts and what an agreement asks of them, and the version of a policy set.

use std::fmt;

use scrim_document::SourceFile;
use sha2::{Digest, Sha256};

/// A semantic version, `MAJOR.MINOR.PATCH` with an optional pre-release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pre_release: Option<String>,
}

impl Version {
    /// Reads a full version; build metadata is accepted and ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, pre_release) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some((numbers, pre_release)) => (numbers, Some(pre_release.to_owned())),
            None => (text, None),
        };
        match parts(numbers)?.as_slice() {
            [major, minor, patch] => Some(Self {
                numbers: [*major, *minor, *patch],
                pre_release,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        match &self.pre_release {
            Some(pre_release) => write!(f, "-{pre_release}"),
            None => Ok(()),
        }
    }
}

/// One to three numbers without leading zeros.
fn parts(text: &str) -> Option<Vec<u64>> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (digits && (part == "0" || !part.starts_with('0')))
            .then(|| part.parse().ok())
            .flatten()
    };
    let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
    numbers.filter(|numbers| numbers.len() <= 3)
}

/// Whether a version of a standard is one of those that begin so, whatever its patch.
pub(crate) fn is_patch_of(version: &str, minor: &str) -> bool {
    let patch = version.strip_prefix(minor).and_then(parts);
    patch.is_some_and(|patch| patch.len() == 1)
}

/// Which versions of a contract an agreement accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// `*`: every version.
    Any,
    /// `1.2.3` or `=1.2.3`: that version alone.
    Exact(Version),
    /// `^1.2`, `~1.2`: from the first on, before the second; no pre-releases.
    Range([u64; 3], [u64; 3]),
}

impl Requirement {
    /// Reads `*`, `^…`, `~…`, `=…` or a full version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (operator, rest) = match text.split_at_checked(1) {
            Some((operator @ ("^" | "~"), rest)) => (operator, rest),
            Some(("=", rest)) => return Version::parse(rest).map(Self::Exact),
            _ => return Version::parse(text).map(Self::Exact),
        };
        let given = parts(rest)?;
        let part = |index: usize| given.get(index).copied().unwrap_or(0);
        let from = [part(0), part(1), part(2)];
        let before = match (operator, from) {
            // `^` keeps the left-most number that is not zero, as Cargo does.
            ("^", [0, 0, patch]) if given.len() == 3 => [0, 0, patch.checked_add(1)?],
            ("^", [0, minor, _]) if given.len() >= 2 => [0, minor.checked_add(1)?, 0],
            ("^", [major, ..]) => [major.checked_add(1)?, 0, 0],
            (_, [major, minor, _]) if given.len() >= 2 => [major, minor.checked_add(1)?, 0],
            (_, [major, ..]) => [major.checked_add(1)?, 0, 0],
        };
        Some(Self::Range(from, before))
    }

    /// Whether a version is accepted.
    pub(crate) fn accepts(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == version,
            Self::Range(from, before) => {
                version.pre_release.is_none()
                    && *from <= version.numbers
                    && version.numbers < *before
            }
        }
    }
}

/// Bytes of the path of the folder that all files lie in. What the first and the last of them in the
/// order of paths have in common, all have.
pub(crate) fn common_folder(files: &[SourceFile]) -> usize {
    let paths = || files.iter().map(SourceFile::path);
    let (Some(first), Some(last)) = (paths().min(), paths().max()) else {
        return 0;
    };
    let same = first
        .bytes()
        .zip(last.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let common = first.as_bytes().get(..same).unwrap_or_default();
    common
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1)
}

/// The version of a policy set: SHA-256, lower-case hex, over its files sorted by path, each with
/// its length in front, line ends normalised to LF.
///
/// Paths count from the folder that all files have in common: the same policies in another place are
/// the same version.
pub(crate) fn policy_version(files: &[SourceFile]) -> String {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|a, b| a.path().cmp(b.path()));
    let mut digest = Sha256::new();
    let mut field = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    };
    field("scrim/policy/v1");
    let common = common_folder(files);
    for file in sorted {
        field(file.path().get(common..).unwrap_or_default());
        field(&file.text().replace("\r\n", "\n"));
    }
    hex(&digest.finalize())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use scrim_document::SourceFile;

    use super::{Requirement, Version, policy_version};

    #[test]
    fn requirements_accept_what_they_say() {
        let accepts = |requirement: &str, version: &str| {
            let requirement = Requirement::parse(requirement).unwrap();
            requirement.accepts(&Version::parse(version).unwrap())
        };
        for (requirement, yes, no) in [
            ("^1", ["1.0.0", "1.9.9"], ["0.9.0", "2.0.0"]),
            ("^1.2", ["1.2.0", "1.9.9"], ["1.1.9", "2.0.0"]),
            ("^0.2.3", ["0.2.3", "0.2.9"], ["0.2.2", "0.3.0"]),
            ("^0", ["0.0.1", "0.9.0"], ["1.0.0", "2.0.0"]),
            ("~1.2", ["1.2.0", "1.2.9"], ["1.1.9", "1.3.0"]),
            ("~1", ["1.0.0", "1.9.9"], ["0.9.9", "2.0.0"]),
            ("1.2.3", ["1.2.3", "1.2.3+build"], ["1.2.4", "1.2.3-rc1"]),
            (
                "=1.2.3-rc1",
                ["1.2.3-rc1", "1.2.3-rc1"],
                ["1.2.3", "1.2.3-rc2"],
            ),
            ("*", ["0.0.0", "9.9.9-x"], ["", ""]),
        ] {
            for version in yes {
                assert!(accepts(requirement, version), "{requirement} {version}");
            }
            for version in no.into_iter().filter(|version| !version.is_empty()) {
                assert!(!accepts(requirement, version), "{requirement} {version}");
            }
        }
        for bad in [
            "",
            "1",
            "1.2",
            "^",
            "^x",
            "^1.2.3.4",
            "01.2.3",
            "1.2.3-",
            ">=1",
            "^1.2.3-rc1",
        ] {
            assert_eq!(Requirement::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn inv_02_the_version_is_that_of_the_text_and_not_of_its_line_ends_or_order() {
        let file = |path: &str, text: &str| SourceFile::new(path, text);
        let one = policy_version(&[file("a", "x\ny\n"), file("b", "z")]);
        assert_eq!(
            one,
            policy_version(&[file("b", "z"), file("a", "x\r\ny\r\n")])
        );
        assert_ne!(one, policy_version(&[file("a", "x\ny\nz"), file("b", "")]));
        assert_eq!(one.len(), 64);
    }
}
