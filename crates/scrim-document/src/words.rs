//! "Did you mean": the nearest of some words.

/// Characters of a word that are looked at.
const LENGTH_MAX: usize = 64;

/// The candidate nearest to a word, if one is near enough to be a typing mistake.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the word may be wrong, so short words do not match everything.
    let limit = (word.chars().take(LENGTH_MAX).count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other; case
/// and the difference of `-` and `_` cost nothing.
fn distance(left: &str, right: &str) -> usize {
    let fold = |c: char| {
        if c == '-' {
            '_'
        } else {
            c.to_ascii_lowercase()
        }
    };
    let left: Vec<char> = left.chars().map(fold).take(LENGTH_MAX).collect();
    let right: Vec<char> = right.chars().map(fold).take(LENGTH_MAX).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let mut best = (at(&above, column) + usize::from(a != b))
                .min(at(&above, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped = row > 0
                && column > 0
                && left.get(row - 1) == Some(b)
                && right.get(column - 1) == Some(a);
            if swapped {
                best = best.min(at(&before, column - 1).saturating_add(1));
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_found_and_far_ones_are_not() {
        let known = ["purposes", "guards", "profiles", "exceptions"];
        assert_eq!(nearest("porfiles", known), Some("profiles"));
        assert_eq!(nearest("Guard", known), Some("guards"));
        assert_eq!(nearest("limits", known), None);
        assert_eq!(nearest("max-rows", ["max_rows"]), Some("max_rows"));
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(500), known), None);
    }
}
