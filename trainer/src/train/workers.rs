//! Threads that compute the parts of a batch side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A few pools of one thread each. Inside a pool the tensor library finds no further thread to
/// share a product with, so that parts run truly side by side, element-wise work included.
pub(super) struct Workers(Vec<ThreadPool>);

impl Workers {
    pub(super) fn new(threads: usize) -> Result<Self> {
        let pool = |_| ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..threads.max(1)).map(pool).collect::<Result<_, _>>();
        Ok(Self(pools.context("cannot start the threads to train with")?))
    }

    /// Calls `work` for `0..parts`, each as soon as a thread is free; the results come in that order.
    pub(super) fn run<T: Send>(
        &self,
        parts: usize,
        work: impl Fn(usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let until_done = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            numbers.take_while(|&i| i < parts).map(|i| (i, work(i))).collect::<Vec<_>>()
        };
        let until_done = &until_done;
        let mut results: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
            let threads = self.0.iter().map(|pool| scope.spawn(|| pool.install(until_done)));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().flat_map(|t| t.join().expect("a part panicked")).collect()
        });
        results.sort_by_key(|(i, _)| *i);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_parts() -> Result<()> {
        for threads in [1, 2, 3] {
            let squares = Workers::new(threads)?.run(7, |i| Ok(i * i))?;
            assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36], "{threads} threads");
        }
        Ok(())
    }
}
