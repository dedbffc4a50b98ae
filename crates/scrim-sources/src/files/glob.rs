//! Patterns of paths: `*`, `?` and `[…]` within a name, `**` for any number of folders.

/// A pattern, cut at its slashes.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Vec<char>>);

/// Whether a name has to be matched as a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

impl Pattern {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter();
        Self(names.map(|name| name.chars().collect()).collect())
    }

    /// Whether it matches a path, given by its names.
    pub(super) fn matches(&self, path: &[&str]) -> bool {
        let names: Vec<Vec<char>> = path.iter().map(|name| name.chars().collect()).collect();
        wild(
            &self.0,
            &names,
            |pattern| pattern.as_slice() == ['*', '*'],
            |pattern, name| in_name(pattern, name),
        )
    }

    /// Whether its last name ends in a wildcard, so that it says nothing about the kind of file.
    pub(super) fn is_open(&self) -> bool {
        self.0
            .last()
            .is_some_and(|name| matches!(name.last(), Some('*' | '?' | ']')))
    }
}

fn in_name(pattern: &[char], name: &[char]) -> bool {
    let tokens = tokens(pattern);
    wild(
        &tokens,
        name,
        |token| matches!(token, Token::Any),
        |token, c| token.matches(*c),
    )
}

/// Matches with wildcards that stand for any number of items. It goes back to the last wildcard
/// only, so its time is at most the product of both lengths.
fn wild<P, T>(
    pattern: &[P],
    items: &[T],
    any: impl Fn(&P) -> bool,
    one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(here) = items.get(item) {
        match pattern.get(at) {
            Some(token) if any(token) => {
                back = Some((at, item));
                at += 1;
            }
            Some(token) if one(token, here) => {
                at += 1;
                item += 1;
            }
            _ => {
                let Some((star, from)) = back else {
                    return false;
                };
                back = Some((star, from + 1));
                at = star + 1;
                item = from + 1;
            }
        }
    }
    pattern.iter().skip(at).all(any)
}

enum Token {
    Any,
    One,
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn tokens(pattern: &[char]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match first {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => match class(after) {
                Some((class, after)) => {
                    rest = after;
                    class
                }
                // A bracket that is never closed is itself.
                None => Token::Literal('['),
            },
            other => Token::Literal(*other),
        });
    }
    tokens
}

fn class(text: &[char]) -> Option<(Token, &[char])> {
    let (negated, text) = match text.split_first() {
        Some(('!' | '^', after)) => (true, after),
        _ => (false, text),
    };
    // A bracket that closes at once is one of the characters.
    let close = text.iter().skip(1).position(|c| *c == ']')? + 1;
    let (mut inside, after) = text.split_at_checked(close)?;
    let mut ranges = Vec::new();
    loop {
        inside = match inside {
            [] => break,
            [low, '-', high, after @ ..] => {
                ranges.push((*low, *high));
                after
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                after
            }
        };
    }
    Some((Token::Class { negated, ranges }, after.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_folders() {
        for (pattern, path, expected) in [
            ("*.parquet", "a.parquet", true),
            ("*.parquet", "a.csv", false),
            ("*.parquet", "b/a.parquet", false),
            ("*/*.parquet", "b/a.parquet", true),
            ("**", "c/b/a.parquet", true),
            ("**/*.parquet", "a.parquet", true),
            ("**/*.parquet", "c/b/a.parquet", true),
            ("year=*/**/a?.csv", "year=2024/x/y/a1.csv", true),
            ("year=*/**/a?.csv", "year=2024/x/y/a.csv", false),
            ("part-[0-3].csv", "part-2.csv", true),
            ("part-[0-3].csv", "part-4.csv", false),
            ("part-[!0-3].csv", "part-4.csv", true),
            ("part-[]x].csv", "part-].csv", true),
            ("part-[ab-].csv", "part--.csv", true),
            ("a[b", "a[b", true),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("größe-?", "größe-é", true),
            ("a*", "a", true),
            ("", "", true),
        ] {
            let names: Vec<_> = path.split('/').collect();
            let matched = Pattern::new(pattern.split('/')).matches(&names);
            assert_eq!(matched, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn inv_14_a_pattern_of_many_wildcards_takes_no_long_time() {
        let pattern = format!("{}b", "*a".repeat(2_000));
        let name = "a".repeat(4_000);
        assert!(!Pattern::new([pattern.as_str()]).matches(&[&name]));
    }

    #[test]
    fn an_open_pattern_says_nothing_about_the_kind_of_file() {
        assert!(Pattern::new(["data", "*"]).is_open());
        assert!(Pattern::new(["**"]).is_open());
        assert!(!Pattern::new(["*.dat"]).is_open());
    }
}
