//! Threads that compute the parts of a batch side by side.

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

    /// Calls `work` for `0..parts`; the results come in that order.
    pub(super) fn run<T: Send>(
        &self,
        parts: usize,
        work: impl Fn(usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let work = &work;
        let stride = self.0.len();
        let lists = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .0
                .iter()
                .enumerate()
                .map(|(first, pool)| {
                    let own = move || (first..parts).step_by(stride).map(work).collect::<Vec<_>>();
                    scope.spawn(move || pool.install(own))
                })
                .collect();
            threads.into_iter().map(|t| t.join().expect("a part panicked")).collect::<Vec<_>>()
        });
        let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
        (0..parts).map(|i| lists[i % stride].next().context("a part is missing")?).collect()
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
