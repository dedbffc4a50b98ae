//! What a column's values look like, each by itself and all together.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{Datelike, NaiveDate};

use super::Kind;
use super::checks::{digits, luhn, mod_97, weighted};

/// A share of sampled values that look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) like: usize,
    pub(super) of: usize,
}

/// What values may look like.
struct Shape {
    kind: Kind,
    /// Of the values, in words.
    noun: &'static str,
    looks: fn(&str) -> bool,
    /// Percent of the values that must; few are enough where none looks so by chance.
    least: usize,
}

const SHAPES: &[Shape] = &[
    shape(Kind::Email, "e-mail addresses", is_email, 10),
    shape(
        Kind::BankAccount,
        "IBANs, with the right check digits",
        is_iban,
        10,
    ),
    shape(Kind::Device, "MAC addresses", is_mac, 80),
    shape(Kind::Unique, "UUIDs", is_uuid, 80),
    shape(
        Kind::NationalId,
        "national identity numbers",
        is_national_id,
        80,
    ),
    shape(
        Kind::Card,
        "card numbers, with the right check digit",
        is_card,
        80,
    ),
    shape(Kind::Ip, "IP addresses", is_ip, 80),
    shape(Kind::Phone, "telephone numbers", is_phone, 80),
    shape(Kind::Coordinates, "coordinates", is_coordinates, 80),
    shape(Kind::Document, "JSON documents", is_document, 80),
    shape(Kind::FreeText, "sentences", is_sentence, 50),
];

const fn shape(kind: Kind, noun: &'static str, looks: fn(&str) -> bool, least: usize) -> Shape {
    Shape {
        kind,
        noun,
        looks,
        least,
    }
}

/// Fewer values say nothing about a shape.
const VALUES_MIN: usize = 3;
/// Fewer values say nothing about how they differ.
const DIFFERENT_MIN: usize = 50;
/// No more different values than this, among [`REPEATED_MIN`] or more, name kinds and not people.
const REPEATED_MAX: usize = 20;
const REPEATED_MIN: usize = 100;
/// Longer texts are not looked at whole.
const CHARS_MAX: usize = 4096;

/// What text looks like, with how much of it and a noun for that.
pub(super) fn by_text(values: &[&str]) -> Option<(Kind, Share, &'static str)> {
    let of = values.len();
    let cut = |value: &&str| value.char_indices().nth(CHARS_MAX).is_none();
    let found = SHAPES.iter().find_map(|shape| {
        let looks = |value: &&&str| cut(value) && (shape.looks)(value.trim());
        let like = values.iter().filter(looks).count();
        let enough = like >= VALUES_MIN && like * 100 >= of * shape.least;
        enough.then_some((shape.kind, Share { like, of }, shape.noun))
    });
    found.or_else(|| {
        let dates: Vec<_> = values
            .iter()
            .filter_map(|value| date(value.trim()))
            .collect();
        let share = by_dates(&dates)?;
        (dates.len() * 100 >= of * 95).then_some((Kind::BirthDate, share, BIRTHS))
    })
}

/// What text of these values is said to be like, even if too few are for a finding by themselves.
pub(super) fn share_of(kind: Kind, values: &[&str]) -> Option<(Share, &'static str)> {
    let shape = SHAPES.iter().find(|shape| shape.kind == kind)?;
    let like = values
        .iter()
        .filter(|value| (shape.looks)(value.trim()))
        .count();
    let of = values.len();
    (like > 0).then_some((Share { like, of }, shape.noun))
}

/// What whole numbers look like.
pub(super) fn by_numbers(values: &[&str]) -> Option<(Kind, Share, &'static str)> {
    let shape = SHAPES.iter().find(|shape| shape.kind == Kind::Card)?;
    let like = values.iter().filter(|value| (shape.looks)(value)).count();
    let of = values.len();
    let enough = like >= VALUES_MIN && like * 100 >= of * shape.least;
    enough.then_some((shape.kind, Share { like, of }, shape.noun))
}

/// How dates of birth are called.
pub(super) const BIRTHS: &str = "dates of birth, over several generations";

/// Whether dates reach over generations as births do, and hardly anything else that is recorded.
pub(super) fn by_dates(dates: &[NaiveDate]) -> Option<Share> {
    let mut years: Vec<i32> = dates.iter().map(Datelike::year).collect();
    years.sort_unstable();
    let of = years.len();
    let at = |percent: usize| {
        years
            .get((of * percent / 100).min(of.saturating_sub(1)))
            .copied()
    };
    let (tenth, median, ninetieth, last) = (at(10)?, at(50)?, at(90)?, at(100)?);
    let births = of >= DIFFERENT_MIN
        && ninetieth - tenth >= 30
        // the middle of all lives is not at an end of them
        && median - tenth >= 8
        && ninetieth - median >= 8
        && (1900..2100).contains(&tenth)
        && last < 2100;
    births.then_some(Share { like: of, of })
}

/// Whether almost every value is another.
pub(super) fn all_different(values: &[&str]) -> Option<Share> {
    let of = values.len();
    let like = values.iter().collect::<BTreeSet<_>>().len();
    let different = of >= DIFFERENT_MIN && like * 100 >= of * 95;
    different.then_some(Share { like, of })
}

/// Whether the same few values come again and again, as words for kinds of things do.
pub(super) fn few_repeated(values: &[&str]) -> bool {
    let different = values.iter().collect::<BTreeSet<_>>().len();
    values.len() >= REPEATED_MIN && different <= REPEATED_MAX
}

fn date(text: &str) -> Option<NaiveDate> {
    let forms = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d"];
    let long_enough = (8..=10).contains(&text.len());
    let parse = |form: &&str| NaiveDate::parse_from_str(text, form).ok();
    forms.iter().filter(|_| long_enough).find_map(parse)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_char = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    (1..=64).contains(&local.len())
        && local.chars().all(local_char)
        && domain.contains('.')
        && domain.split('.').all(label)
        && last.len() >= 2
        && last
            .chars()
            .all(|c| c.is_alphabetic() || last.starts_with("xn--"))
}

fn is_iban(text: &str) -> bool {
    let compact: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    let Some((head, rest)) = compact.split_at_checked(4) else {
        return false;
    };
    let shape = (11..=30).contains(&rest.len())
        && matches!(head, [a, b, c, d] if a.is_ascii_uppercase() && b.is_ascii_uppercase()
            && c.is_ascii_digit() && d.is_ascii_digit())
        && rest
            .iter()
            .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
    shape && mod_97(rest.iter().chain(head).copied()) == Some(1)
}

fn is_mac(text: &str) -> bool {
    let pairs = |between: char| {
        text.split(between).count() == 6
            && text
                .split(between)
                .all(|pair| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit()))
    };
    pairs(':') || pairs('-')
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    text.split('-').count() == lengths.len()
        && text.split('-').zip(lengths).all(|(part, length)| {
            part.len() == length && part.chars().all(|c| c.is_ascii_hexdigit())
        })
}

/// Shapes without check digits count only where the separators make them rare.
fn is_national_id(text: &str) -> bool {
    is_ssn(text)
        || is_nino(text)
        || is_dni(text)
        || is_codice_fiscale(text)
        || is_personnummer(text)
        || digits(text)
            .is_some_and(|digits| is_nir(&digits) || is_cpf(&digits) || is_pesel(&digits))
}

/// United States, with the numbers that are never given out left aside.
fn is_ssn(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area, group, serial] = parts.as_slice() else {
        return false;
    };
    let digits =
        |part: &str, length| part.len() == length && part.chars().all(|c| c.is_ascii_digit());
    digits(area, 3)
        && digits(group, 2)
        && digits(serial, 4)
        && !matches!(*area, "000" | "666")
        && !area.starts_with('9')
        && *group != "00"
        && *serial != "0000"
}

/// United Kingdom: national insurance.
fn is_nino(text: &str) -> bool {
    let compact: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    match compact.as_slice() {
        [a, b, digits @ .., last] => {
            digits.len() == 6
                && a.is_ascii_uppercase()
                && b.is_ascii_uppercase()
                && digits.iter().all(char::is_ascii_digit)
                && ('A'..='D').contains(last)
        }
        _ => false,
    }
}

/// Spain: of citizens and of residents, with their letter.
fn is_dni(text: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let compact: Vec<char> = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let [first, middle @ .., letter] = compact.as_slice() else {
        return false;
    };
    let first = match first {
        'X' => '0',
        'Y' => '1',
        'Z' => '2',
        other => *other,
    };
    let number: Option<u32> = std::iter::once(&first)
        .chain(middle)
        .try_fold(0_u32, |number, c| {
            number.checked_mul(10)?.checked_add(c.to_digit(10)?)
        });
    let letter_of = |number: u32| {
        LETTERS
            .get((number % 23) as usize)
            .map(|byte| char::from(*byte))
    };
    middle.len() == 7 && number.and_then(letter_of) == Some(*letter)
}

/// Italy.
fn is_codice_fiscale(text: &str) -> bool {
    const SHAPE: &str = "AAAAAA00A00A000A";
    text.len() == SHAPE.len()
        && text
            .chars()
            .zip(SHAPE.chars())
            .all(|(c, shape)| match shape {
                'A' => c.is_ascii_uppercase(),
                // digits may be letters, where two people would have the same code
                _ => c.is_ascii_digit() || "LMNPQRSTUV".contains(c),
            })
}

/// Sweden: a day of birth, a dash or plus, and a number with a check digit.
fn is_personnummer(text: &str) -> bool {
    let Some((day, number)) = text.split_once(['-', '+']) else {
        return false;
    };
    let short = day.get(day.len().saturating_sub(6)..).unwrap_or_default();
    let whole = format!("{short}{number}");
    matches!(day.len(), 6 | 8)
        && number.len() == 4
        && digits(&whole).is_some_and(|digits| {
            let month = digits.get(2).zip(digits.get(3)).map(|(a, b)| a * 10 + b);
            month.is_some_and(|month| (1..=12).contains(&month)) && luhn(&digits)
        })
}

/// France: sex, year and month of birth, place, number, key.
fn is_nir(digits: &[u32]) -> bool {
    let number = |digits: &[u32]| digits.iter().fold(0_u64, |n, d| n * 10 + u64::from(*d));
    match digits.split_at_checked(13) {
        Some((body, key)) if key.len() == 2 => {
            matches!(body.first(), Some(1 | 2)) && 97 - number(body) % 97 == number(key)
        }
        _ => false,
    }
}

/// Brazil.
fn is_cpf(digits: &[u32]) -> bool {
    let check = |length: usize| {
        let sum: u32 = digits
            .iter()
            .take(length)
            .zip((2..=11).rev().skip(10 - length))
            .map(|(d, w)| d * w)
            .sum();
        digits.get(length).copied() == Some(sum * 10 % 11 % 10)
    };
    let all_same = digits.iter().all(|digit| digits.first() == Some(digit));
    digits.len() == 11 && !all_same && check(9) && check(10)
}

/// Poland: day of birth, number, check digit.
fn is_pesel(digits: &[u32]) -> bool {
    let month = digits
        .get(2)
        .zip(digits.get(3))
        .map(|(a, b)| (a * 10 + b) % 20);
    let day = digits.get(4).zip(digits.get(5)).map(|(a, b)| a * 10 + b);
    month.is_some_and(|month| (1..=12).contains(&month))
        && day.is_some_and(|day| (1..=31).contains(&day))
        && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1], 10)
}

fn is_card(text: &str) -> bool {
    digits(text).is_some_and(|digits| {
        // what issuers begin with
        (13..=19).contains(&digits.len()) && matches!(digits.first(), Some(2..=6)) && luhn(&digits)
    })
}

fn is_ip(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.parse::<IpAddr>().is_ok()
}

/// With a country's code, or so that it could be no plain number, date or code.
fn is_phone(text: &str) -> bool {
    let body = text.strip_prefix('+').unwrap_or(text);
    let count = body.chars().filter(char::is_ascii_digit).count();
    let written = body
        .chars()
        .all(|c| c.is_ascii_digit() || " ()-./".contains(c));
    let groups: Vec<&str> = body
        .split(|c: char| !c.is_ascii_digit())
        .filter(|g| !g.is_empty())
        .collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if !written || is_ip(text) || date(text).is_some() {
        return false;
    }
    if text.starts_with('+') {
        return (8..=15).contains(&count);
    }
    let national = match body.strip_prefix('0') {
        // abroad, from there
        Some(rest) if rest.starts_with('0') => (11..=15).contains(&count),
        Some(_) => (9..=12).contains(&count) && !body.contains('.'),
        None => false,
    };
    let american = count == 10 && lengths == [3, 3, 4];
    let bracketed = body.starts_with('(') && (9..=12).contains(&count);
    national || american || bracketed
}

fn is_coordinates(text: &str) -> bool {
    let upper = text.trim_start_matches("SRID=4326;");
    if upper.starts_with("POINT") {
        return true;
    }
    let Some((a, b)) = text.split_once(',') else {
        return false;
    };
    let degrees = |text: &str, most: f64| {
        let text = text.trim();
        text.contains('.')
            && text
                .parse::<f64>()
                .is_ok_and(|degrees| degrees.abs() <= most)
    };
    degrees(a, 90.0) && degrees(b, 180.0)
}

fn is_document(text: &str) -> bool {
    text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// Five words or more, mostly of letters.
fn is_sentence(text: &str) -> bool {
    let words = text
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphabetic))
        .count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    words >= 5 && letters * 2 > text.chars().count()
}

#[cfg(test)]
mod tests;
