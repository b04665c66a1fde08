//! Symmetric matrices: their eigenvectors, and their square roots.

/// Sweeps over all pairs, at most; a few bring any matrix of a hundred rows to a diagonal.
const SWEEPS: usize = 60;
/// What is left beside the diagonal counts as nothing below this share of the whole.
const DONE: f64 = 1e-24;

/// The eigenvalues and eigenvectors of a symmetric matrix, the largest eigenvalue first.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// Eigenvalues, `[N]`.
    pub values: Vec<f64>,
    /// Eigenvectors of length 1, a row each, `[N, N]`.
    pub vectors: Vec<f64>,
}

/// Finds them for `matrix`, `[size, size]`, by cyclic rotations (Jacobi 1846; Golub and Van Loan,
/// "Matrix Computations", section 8.5).
///
/// # Panics
///
/// Panics if `matrix` does not have `size` rows of as many columns.
#[must_use]
pub fn eigen(matrix: &[f64], size: usize) -> Eigen {
    assert_eq!(matrix.len(), size * size, "a square matrix");
    let mut left = matrix.to_vec();
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|i| vectors[i * size + i] = 1.0);
    let total: f64 = matrix.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        let aside = |i: usize| i / size != i % size;
        let rest: f64 = (0..size * size).filter(|&i| aside(i)).map(|i| left[i] * left[i]).sum();
        if rest <= DONE * total {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut left, &mut vectors, size, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&i, &j| left[j * size + j].total_cmp(&left[i * size + i]));
    Eigen {
        values: order.iter().map(|&i| left[i * size + i]).collect(),
        vectors: order.iter().flat_map(|&i| vectors[i * size..][..size].to_vec()).collect(),
    }
}

/// Turns rows and columns `p` and `q` so that nothing is left where they cross, and `vectors` along.
fn rotate(left: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) {
    let crossing = left[p * size + q];
    if crossing == 0.0 {
        return;
    }
    let theta = (left[q * size + q] - left[p * size + p]) / (2.0 * crossing);
    let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cos = 1.0 / tan.hypot(1.0);
    let sin = tan * cos;
    let turn = |a: f64, b: f64| (cos * a - sin * b, sin * a + cos * b);
    for k in 0..size {
        let (a, b) = (k * size + p, k * size + q);
        (left[a], left[b]) = turn(left[a], left[b]);
    }
    for k in 0..size {
        let (a, b) = (p * size + k, q * size + k);
        (left[a], left[b]) = turn(left[a], left[b]);
        (vectors[a], vectors[b]) = turn(vectors[a], vectors[b]);
    }
}

/// The symmetric square root of `matrix`, `[size, size]`; eigenvalues below zero count as zero.
#[must_use]
pub fn root(matrix: &[f64], size: usize) -> Vec<f64> {
    let Eigen { values, vectors } = eigen(matrix, size);
    let mut root = vec![0.0; size * size];
    for (value, vector) in values.iter().zip(vectors.chunks_exact(size.max(1))) {
        let scale = value.max(0.0).sqrt();
        for (row, left) in root.chunks_exact_mut(size).zip(vector) {
            row.iter_mut().zip(vector).for_each(|(sum, right)| *sum += scale * left * right);
        }
    }
    root
}

/// The product of two matrices of `[size, size]`.
#[must_use]
pub fn product(left: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for (out, row) in product.chunks_exact_mut(size.max(1)).zip(left.chunks_exact(size.max(1))) {
        for (value, other) in row.iter().zip(right.chunks_exact(size)) {
            out.iter_mut().zip(other).for_each(|(sum, right)| *sum += value * right);
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix with eigenvalues of both signs.
    fn matrix() -> Vec<f64> {
        let value = |i: usize, j: usize| ((i + j) as f64).sin() + if i == j { 2.0 } else { 0.0 };
        (0..36).map(|at| value(at / 6, at % 6)).collect()
    }

    #[test]
    fn eigenvectors_are_only_stretched() {
        let Eigen { values, vectors } = eigen(&matrix(), 6);
        assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
        for (value, vector) in values.iter().zip(vectors.chunks_exact(6)) {
            for (row, x) in matrix().chunks_exact(6).zip(vector) {
                let moved: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                assert!((moved - value * x).abs() < 1e-10, "{moved} is not {value} times {x}");
            }
        }
    }

    #[test]
    fn a_root_times_itself_is_the_matrix() {
        let square = product(&matrix(), &matrix(), 6);
        let root = root(&square, 6);
        for (found, wanted) in product(&root, &root, 6).iter().zip(&square) {
            assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
        }
    }
}
