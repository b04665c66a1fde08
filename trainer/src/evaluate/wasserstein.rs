//! How far apart two distributions of one number lie.

/// The mean distance that the values of `one` have to be moved to lie as those of `other` do, in
/// their unit: the Wasserstein distance of order 1 (Vallender 1974), which is the mean difference of
/// equal quantiles. None if either has no values.
#[must_use]
pub fn wasserstein(one: &[f64], other: &[f64]) -> Option<f64> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (one, other) = (sorted(one), sorted(other));
    // Quantiles in shares of 1 / (n m), so that no rounding decides where steps meet.
    let (mut i, mut j, mut at, mut sum) = (0, 0, 0, 0.0);
    while i < one.len() && j < other.len() {
        let (to, next) = ((i + 1) * other.len(), (j + 1) * one.len());
        let end = to.min(next);
        sum += (end - at) as f64 * (one[i] - other[j]).abs();
        at = end;
        i += usize::from(to == end);
        j += usize::from(next == end);
    }
    Some(sum / (one.len() * other.len()) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_as_a_whole_is_as_far_as_it_was_moved() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50)).collect();
        let moved: Vec<f64> = values.iter().rev().map(|value| value + 3.5).collect();
        assert!(wasserstein(&values, &moved).is_some_and(|far| (far - 3.5).abs() < 1e-12));
        assert_eq!(wasserstein(&values, &values), Some(0.0));
    }

    #[test]
    fn distributions_of_unequal_counts_are_compared_by_their_quantiles() {
        assert_eq!(wasserstein(&[0.0, 1.0], &[1.0, 0.0, 0.0, 1.0]), Some(0.0));
        // A sixth of the first has to go from 0 to 1.
        let far = wasserstein(&[0.0, 0.0, 1.0], &[0.0, 1.0]);
        assert!(far.is_some_and(|far| (far - 1.0 / 6.0).abs() < 1e-12), "{far:?}");
        assert_eq!(wasserstein(&[], &[1.0]), None);
    }
}
