//! Small draws from a stream of random numbers.

use rand::Rng;
use rand::seq::IndexedRandom;

/// One of several, all alike.
pub(super) fn one<'a, R: Rng>(rng: &mut R, from: &[&'a str]) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

/// One of several, by weight.
pub(super) fn weighted<'a, R: Rng>(rng: &mut R, from: &[(u32, &'a str)]) -> &'a str {
    let total: u32 = from.iter().map(|(weight, _)| weight).sum();
    let mut left = rng.random_range(0..total.max(1));
    for (weight, value) in from {
        if left < *weight {
            return value;
        }
        left -= weight;
    }
    ""
}

/// A place in `0..count` where low places come up more often, as in a Zipf distribution.
pub(super) fn skewed<R: Rng>(rng: &mut R, count: usize) -> usize {
    let x: f64 = rng.random();
    ((x * x * count as f64) as usize).min(count.saturating_sub(1))
}

/// About log-normal around `median`, which costs and incomes are.
pub(super) fn log_normal<R: Rng>(rng: &mut R, median: f64, spread: f64) -> f64 {
    // the sum of twelve uniform numbers is close enough to normal for a demo
    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    median * (spread * normal).exp()
}

/// True once in `n`.
pub(super) fn once_in<R: Rng>(rng: &mut R, n: u32) -> bool {
    rng.random_range(0..n) == 0
}
