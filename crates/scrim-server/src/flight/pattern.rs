//! Patterns of metadata requests: `%`, `_`, and backslash, which drivers put before `_` in names.

/// A pattern for names.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Just(char),
}

impl Pattern {
    /// Reads a pattern; there is no wrong one.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let part = match c {
                '%' => Part::Any,
                '_' => Part::One,
                '\\' => Part::Just(chars.next().unwrap_or('\\')),
                c => Part::Just(c),
            };
            // Runs of % mean one, and would cost.
            if !(part == Part::Any && parts.last() == Some(&Part::Any)) {
                parts.push(part);
            }
        }
        Self(parts)
    }

    /// Whether a name matches, in time proportional to pattern times name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // Where to go on if what follows the last % does not fit: it takes one character more.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match (self.0.get(part), name.get(at)) {
                (None, None) => return true,
                (Some(Part::Any), _) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(Part::One), Some(_)) => true,
                (Some(Part::Just(expected)), Some(found)) => expected == found,
                (_, None) => return false,
                (None, Some(_)) => false,
            };
            if step {
                (part, at) = (part + 1, at + 1);
            } else if let Some((any, from)) = retry {
                retry = Some((any, from + 1));
                (part, at) = (any + 1, from + 1);
            } else {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Pattern::new(pattern);
        for name in yes {
            assert!(pattern.matches(name), "{pattern:?} {name}");
        }
        for name in no {
            assert!(!pattern.matches(name), "{pattern:?} {name}");
        }
    }

    #[test]
    fn patterns() {
        check(
            "patients",
            &["patients"],
            &["patient", "patientss", "Patients", ""],
        );
        check("%", &["", "a", "patients"], &[]);
        check("", &[""], &["a"]);
        check("pat%", &["pat", "patients"], &["xpat"]);
        check("%ent%", &["patients", "ent", "entent"], &["enx"]);
        check("%s", &["s", "patients", "ss"], &["sx"]);
        check("p_t%", &["patients", "pxt"], &["pt"]);
        check("a%b%c", &["abc", "aXbXc", "abbcbc"], &["acb", "ab"]);
    }

    #[test]
    fn backslash_takes_the_next_character_as_it_is() {
        check(r"lab\_results", &["lab_results"], &["labXresults"]);
        check(r"100\%", &["100%"], &["1000", "100"]);
        check(r"a\\b", &[r"a\b"], &["ab"]);
        check("a\\", &["a\\"], &["a"]);
    }

    #[test]
    fn inv_14_hostile_patterns_do_not_explode() {
        let pattern = Pattern::new(&"%a".repeat(2_000));
        assert!(!pattern.matches(&"a".repeat(1_999)));
        assert!(pattern.matches(&"a".repeat(2_000)));
    }
}
