//! Whether any row can make statements true.

use super::domain::Set;
use super::logic::Formula;
use super::terms::Terms;

/// Choices that a search may make before it gives up.
const CHOICES_MAX: usize = 10_000;
/// Choices that may depend on one another; each is a step of recursion.
const DEPTH_MAX: usize = 200;

/// Whether there is such a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Possible {
    /// There is one.
    Yes,
    /// There is none, whatever stands in a row.
    No,
    /// It depends on something that is not understood, or there is too much to look at.
    Unknown,
}

/// Whether a row can make all of these statements true at once.
pub(super) fn possible(statements: &[&Formula], terms: &Terms) -> Possible {
    let values = (0..terms.len()).map(|term| terms.universe(term).clone());
    let mut search = Search {
        terms,
        values: values.collect(),
        before: Vec::new(),
        choices: CHOICES_MAX,
        perhaps: false,
    };
    if search.satisfy(statements.to_vec(), Vec::new(), 0) {
        Possible::Yes
    } else if search.perhaps {
        Possible::Unknown
    } else {
        Possible::No
    }
}

struct Search<'a> {
    terms: &'a Terms,
    /// What each term can still be.
    values: Vec<Set>,
    /// What terms could be before they were narrowed, the latest last.
    before: Vec<(usize, Set)>,
    choices: usize,
    /// Whether a row was found of which it is not certain that it can exist, or the search gave up.
    perhaps: bool,
}

/// What is open about a choice.
enum Left<'a> {
    /// One of its parts is so already.
    Nothing,
    /// None of its parts can be so.
    Impossible,
    /// Only this part can be so.
    One(&'a Formula),
    /// So many parts can be so.
    Many(usize),
}

/// How a part of a choice stands.
#[derive(PartialEq)]
enum Stands {
    So,
    NotSo,
    Open,
}

impl<'a> Search<'a> {
    /// Whether there certainly is a row for all statements and choices.
    fn satisfy(
        &mut self,
        mut statements: Vec<&'a Formula>,
        mut choices: Vec<&'a [Formula]>,
        depth: usize,
    ) -> bool {
        let start = self.before.len();
        let mut counted = loop {
            while let Some(statement) = statements.pop() {
                match statement {
                    Formula::All(parts) => statements.extend(parts),
                    Formula::Any(parts) => choices.push(parts),
                    Formula::Is(term, set) => {
                        if !self.narrow(*term, set) {
                            return self.back_to(start);
                        }
                    }
                }
            }
            let mut open = Vec::with_capacity(choices.len());
            for parts in std::mem::take(&mut choices) {
                match self.left(parts) {
                    Left::Nothing => {}
                    Left::Impossible => return self.back_to(start),
                    Left::One(part) => statements.push(part),
                    Left::Many(count) => open.push((count, parts)),
                }
            }
            if statements.is_empty() {
                break open;
            }
            choices = open.into_iter().map(|(_, parts)| parts).collect();
        };
        // The fewer parts, the fewer ways to go.
        counted.sort_by_key(|(count, _)| *count);
        let mut counted = counted.into_iter().map(|(_, parts)| parts);
        let Some(parts) = counted.next() else {
            return self.found(start);
        };
        let others: Vec<_> = counted.collect();
        for part in parts {
            if self.choices == 0 || depth >= DEPTH_MAX {
                self.perhaps = true;
                break;
            }
            self.choices -= 1;
            if self.satisfy(vec![part], others.clone(), depth + 1) {
                return true;
            }
            // All rows in which this part is so have been looked at.
            if let Formula::Is(term, set) = part {
                let rest = self.terms.universe(*term).minus(set);
                if !self.narrow(*term, &rest) {
                    break;
                }
            }
        }
        self.back_to(start)
    }

    /// A way on which nothing is open: a row, if all that was asked of it can be had at once.
    fn found(&mut self, start: usize) -> bool {
        if self
            .before
            .iter()
            .all(|(term, _)| self.terms.is_free(*term))
        {
            return true;
        }
        self.perhaps = true;
        self.back_to(start)
    }

    fn back_to(&mut self, start: usize) -> bool {
        while self.before.len() > start {
            if let Some((term, set)) = self.before.pop()
                && let Some(value) = self.values.get_mut(term)
            {
                *value = set;
            }
        }
        false
    }

    /// Narrows what a term can be; whether anything is left.
    fn narrow(&mut self, term: usize, set: &Set) -> bool {
        let Some(value) = self.values.get_mut(term) else {
            return false;
        };
        if value.within(set) {
            return true;
        }
        let narrowed = value.and(set);
        let possible = !narrowed.is_empty();
        let before = std::mem::replace(value, narrowed);
        self.before.push((term, before));
        possible
    }

    fn left(&self, parts: &'a [Formula]) -> Left<'a> {
        let (mut count, mut last) = (0, None);
        for part in parts {
            match self.stands(part) {
                Stands::So => return Left::Nothing,
                Stands::NotSo => {}
                Stands::Open => {
                    count += 1;
                    last = Some(part);
                }
            }
        }
        match (count, last) {
            (1, Some(part)) => Left::One(part),
            (0, _) | (_, None) => Left::Impossible,
            (count, Some(_)) => Left::Many(count),
        }
    }

    fn stands(&self, part: &Formula) -> Stands {
        match part {
            Formula::Is(term, set) => match self.values.get(*term) {
                Some(value) if value.within(set) => Stands::So,
                Some(value) if !value.and(set).is_empty() => Stands::Open,
                _ => Stands::NotSo,
            },
            Formula::All(parts) => {
                let mut all = parts.iter();
                let values = |part: &&Formula| matches!(part, Formula::Is(..));
                if all
                    .clone()
                    .filter(values)
                    .any(|part| self.stands(part) == Stands::NotSo)
                {
                    Stands::NotSo
                } else if all.all(|part| values(&part) && self.stands(part) == Stands::So) {
                    Stands::So
                } else {
                    Stands::Open
                }
            }
            Formula::Any(parts) if parts.is_empty() => Stands::NotSo,
            Formula::Any(_) => Stands::Open,
        }
    }
}
