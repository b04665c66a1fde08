//! Processes that train together, each with a share of every batch.
//!
//! All ranks do the same, and know the same: they begin with the same corpus and seed, each computes its
//! own parts of a batch, and what the parts found is brought together before anything is learned from it.
//! Whatever a clock or a signal says on one of them is agreed on first.

#[cfg(feature = "mpi")]
mod mpi;

use std::any::Any;
use std::ops::Range;
use std::sync::OnceLock;

use anyhow::{Context, Result};

/// What the processes that train together have between them. A call returns when all of them have made it.
pub trait Ranks: Sync {
    /// Which of them this is, from 0.
    fn rank(&self) -> usize;

    /// How many they are, 1 or more.
    fn count(&self) -> usize;

    /// Adds up the values of all ranks, place by place; all of them get the same sums.
    ///
    /// # Errors
    ///
    /// Fails if a rank is lost.
    fn add(&self, values: &mut [f64]) -> Result<()>;

    /// The bytes of all ranks, in their order; they may be of any length.
    ///
    /// # Errors
    ///
    /// Fails if a rank is lost.
    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>>;
}

/// One process that trains by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn count(&self) -> usize {
        1
    }

    fn add(&self, _: &mut [f64]) -> Result<()> {
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![own.to_vec()])
    }
}

/// The ranks that this process has joined.
static JOINED: OnceLock<Box<dyn Ranks + Send>> = OnceLock::new();

/// How many processes a launcher has started together, if one has started this: Open MPI, MPICH and what
/// Slurm has of both tell it so.
fn launched() -> usize {
    let told = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"];
    let told = told.iter().filter_map(|name| std::env::var(name).ok()?.parse().ok());
    let by_slurm =
        std::env::var_os("SLURM_STEP_ID").and(std::env::var("SLURM_STEP_NUM_TASKS").ok());
    told.chain(by_slurm.and_then(|count| count.parse().ok())).max().unwrap_or(1)
}

/// Joins the processes that were started with this one. What it gives is to be kept until all is done.
///
/// # Errors
///
/// Fails if there are others, and this program was built without the feature `mpi`, or MPI cannot begin.
pub fn join() -> Result<Option<Box<dyn Any>>> {
    let count = launched();
    if count == 1 {
        return Ok(None);
    }
    #[cfg(feature = "mpi")]
    {
        let (connection, ranks) = mpi::join()?;
        let _ = JOINED.set(Box::new(ranks));
        Ok(Some(Box::new(connection)))
    }
    #[cfg(not(feature = "mpi"))]
    anyhow::bail!(
        "{count} processes were started together, and this program was built without the feature mpi: \
         start one, or build it with --features mpi"
    )
}

/// The ranks that [`join`] has found, or this process alone.
#[must_use]
pub fn joined() -> &'static dyn Ranks {
    JOINED.get().map_or(&Alone, |ranks| &**ranks as &dyn Ranks)
}

/// Ends all ranks, if there are others, which would wait for this one for ever.
pub fn abort(code: u8) {
    #[cfg(feature = "mpi")]
    if joined().count() > 1 {
        mpi::abort(code);
    }
    let _ = code;
}

impl dyn Ranks + '_ {
    /// Whether this one writes files and talks to the musician, for all of them.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// What this rank has of `whole` things: some that lie together, as many as the others or one more.
    #[must_use]
    pub fn share(&self, whole: usize) -> Range<usize> {
        let bound = |rank: usize| whole * rank / self.count();
        bound(self.rank())..bound(self.rank() + 1)
    }

    /// The numbers of all ranks, one after the other.
    ///
    /// # Errors
    ///
    /// Fails as [`Ranks::gather`] does.
    pub fn numbers(&self, own: &[f64]) -> Result<Vec<f64>> {
        let own: Vec<u8> = own.iter().flat_map(|number| number.to_le_bytes()).collect();
        let all = self.gather(&own)?.concat();
        Ok(all.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    /// What the first rank says.
    ///
    /// # Errors
    ///
    /// Fails as [`Ranks::gather`] does.
    pub fn first(&self, own: f64) -> Result<f64> {
        self.numbers(&[own])?.first().copied().context("there is no first rank")
    }

    /// For each flag whether any rank has it set.
    ///
    /// # Errors
    ///
    /// Fails as [`Ranks::gather`] does.
    pub fn any<const N: usize>(&self, own: [bool; N]) -> Result<[bool; N]> {
        let all = self.gather(&own.map(u8::from))?;
        Ok(std::array::from_fn(|n| all.iter().any(|flags| flags.get(n) == Some(&1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_leave_nothing_out() {
        struct One(usize, usize);
        impl Ranks for One {
            fn rank(&self) -> usize {
                self.0
            }
            fn count(&self) -> usize {
                self.1
            }
            fn add(&self, _: &mut [f64]) -> Result<()> {
                Ok(())
            }
            fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
                Ok(vec![own.to_vec()])
            }
        }
        for (whole, count) in [(0, 1), (7, 1), (7, 2), (2, 3), (8, 4)] {
            let shares = (0..count).map(|rank| (&One(rank, count) as &dyn Ranks).share(whole));
            let shares: Vec<_> = shares.collect();
            assert_eq!(
                shares.iter().flat_map(Clone::clone).collect::<Vec<_>>(),
                Vec::from_iter(0..whole)
            );
            let (least, most) = (whole / count, whole.div_ceil(count));
            assert!(shares.iter().all(|share| (least..=most).contains(&share.len())), "{shares:?}");
        }
    }
}
