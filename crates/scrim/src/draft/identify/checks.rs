//! Check digits, of numbers as they are written in words of one alphabet.

/// Whether digits pass the check of payment cards (Luhn).
pub(super) fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The remainder that ISO 7064 takes of letters and digits: a letter counts as two digits, from 10.
/// `None` when there is something else among them.
pub(super) fn mod_97(text: impl Iterator<Item = char>) -> Option<u32> {
    text.map(|c| c.to_digit(36))
        .try_fold(0, |rest: u32, value| {
            let value = value?;
            let shift = if value > 9 { 100 } else { 10 };
            Some((rest * shift + value) % 97)
        })
}

/// Whether the digits, each with its weight, sum to a multiple.
pub(super) fn weighted(digits: &[u32], weights: &[u32], modulus: u32) -> bool {
    digits.len() == weights.len()
        && digits
            .iter()
            .zip(weights)
            .map(|(d, w)| d * w)
            .sum::<u32>()
            .is_multiple_of(modulus)
}

/// The digits of a text, if it has nothing else but spaces and dashes between them.
pub(super) fn digits(text: &str) -> Option<Vec<u32>> {
    let mut digits = Vec::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '0'..='9' => digits.extend(c.to_digit(10)),
            ' ' | '-' if before.is_ascii_digit() => {}
            _ => return None,
        }
        before = c;
    }
    before.is_ascii_digit().then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_computed() {
        assert!(luhn(&digits("4111 1111 1111 1111").unwrap()));
        assert!(!luhn(&digits("4111 1111 1111 1112").unwrap()));
        assert_eq!(mod_97("3214282912345698765432161182".chars()), Some(1));
        assert_eq!(mod_97("a-b".chars()), None);
        assert!(weighted(&[1, 2], &[3, 1], 5) && !weighted(&[1], &[1, 1], 1));
        assert_eq!(digits("12-3 4"), Some(vec![1, 2, 3, 4]));
        for other in ["", "-12", "12-", "1--2", "1.2", "١٢"] {
            assert_eq!(digits(other), None, "{other}");
        }
    }
}
