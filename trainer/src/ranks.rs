//! Processes that train together, each with a share of every batch.
//!
//! All ranks do the same, and know the same: they begin with the same corpus and seed, each computes its
//! own parts of a batch, and what the parts found is brought together before anything is learned from it.
//! Whatever a clock or a signal says on one of them is agreed on first.

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;

use std::any::Any;
use std::ops::Range;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use candle_core::Device;

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
fn launched(number: impl Fn(&str) -> Option<usize>) -> usize {
    let told = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"].into_iter();
    let by_slurm = number("SLURM_STEP_ID").map(|_| "SLURM_STEP_NUM_TASKS");
    told.chain(by_slurm).filter_map(number).max().unwrap_or(1)
}

/// Which of the processes on this machine this is, from 0, as Open MPI, MPICH or Slurm tell it; 0 if no
/// launcher has started it.
#[must_use]
pub fn on_this_machine() -> usize {
    local_rank(number_in)
}

fn local_rank(number: impl Fn(&str) -> Option<usize>) -> usize {
    let told = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];
    told.into_iter().find_map(number).unwrap_or(0)
}

/// The number that a variable of the environment holds.
fn number_in(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Joins the processes that were started with this one. What it gives is to be kept until all is done.
///
/// # Errors
///
/// Fails if there are others, and this program was built without the feature `mpi`, or MPI cannot begin.
pub fn join() -> Result<Option<Box<dyn Any>>> {
    let count = launched(number_in);
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

/// The same ranks when each has opened its `device`. Built with the feature `nccl`, those that have an NVIDIA
/// GPU each exchange gradients between these.
///
/// # Errors
///
/// Fails if some have a GPU and others none, if the GPUs cannot be connected, and as [`Ranks::gather`] does.
pub fn joined_with(device: &Device) -> Result<&'static dyn Ranks> {
    let ranks = joined();
    let [gpus, others] = ranks.any([device.is_cuda(), !device.is_cuda()])?;
    ensure!(!gpus || !others, "some ranks have a GPU and others none: say which with --device");
    #[cfg(feature = "nccl")]
    if let (Device::Cuda(gpu), 2..) = (device, ranks.count()) {
        return nccl::connect(ranks, gpu);
    }
    Ok(ranks)
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

    /// What a launcher has told in the environment.
    fn telling<'a>(told: &'a [(&str, usize)]) -> impl Fn(&str) -> Option<usize> + 'a {
        |name| told.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    #[test]
    fn launchers_tell_how_many_they_have_started_and_which_this_is() {
        assert_eq!((launched(telling(&[])), local_rank(telling(&[]))), (1, 0));
        let open_mpi = [("OMPI_COMM_WORLD_SIZE", 8), ("OMPI_COMM_WORLD_LOCAL_RANK", 3)];
        assert_eq!((launched(telling(&open_mpi)), local_rank(telling(&open_mpi))), (8, 3));
        let slurm = [("SLURM_STEP_ID", 0), ("SLURM_STEP_NUM_TASKS", 4), ("SLURM_LOCALID", 1)];
        assert_eq!((launched(telling(&slurm)), local_rank(telling(&slurm))), (4, 1));
        // A shell in an allocation is no step of it.
        assert_eq!(launched(telling(&slurm[1..])), 1);
    }

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
