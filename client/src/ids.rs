//! Random ids that this process mints: sessions, transactions, groups, runs.

use uuid::Uuid;

/// A new random id.
#[expect(clippy::disallowed_methods, reason = "a client mints ids at the edge; no simulated code runs here")]
pub(crate) fn random() -> Uuid {
    Uuid::new_v4()
}

/// A number in `0.0..1.0`, for jitter.
pub(crate) fn random_fraction() -> f64 {
    let (_, low) = random().as_u64_pair();
    (low >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn fractions_stay_in_range_and_differ() {
        let drawn: Vec<f64> = (0..100).map(|_| super::random_fraction()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(drawn.iter().any(|x| x != &drawn[0]));
    }
}
