//! Ranks that MPI has started, on one machine or many: <https://www.mpi-forum.org/docs/>.

use anyhow::{Context, Result, ensure};
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use mpi::{Count, Threading};

use super::Ranks;

/// Values that are added up at a time: few enough that they stay in the cache between a copy and the sum.
const PIECE: usize = 1 << 15;

/// All processes that one launcher has started together. Only the thread that joined may call it.
///
/// MPI ends all of them if one is lost, so an exchange never fails for that.
#[derive(Debug)]
pub(super) struct Launched {
    rank: usize,
    count: usize,
}

/// Joins the others. What it gives keeps the connection until it is dropped.
pub(super) fn join() -> Result<(Universe, Launched)> {
    let joined = mpi::initialize_with_threading(Threading::Funneled);
    let (universe, threading) = joined.context("MPI has begun already")?;
    ensure!(threading >= Threading::Funneled, "this MPI cannot be used in a program with threads");
    let world = universe.world();
    let (rank, count) = (world.rank().try_into()?, world.size().try_into()?);
    Ok((universe, Launched { rank, count }))
}

/// Ends all ranks, since one cannot go on.
pub(super) fn abort(code: u8) -> ! {
    world().abort(code.into())
}

fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

impl Ranks for Launched {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn add(&self, values: &mut [f64]) -> Result<()> {
        let mut own = [0.0; PIECE];
        for piece in values.chunks_mut(PIECE) {
            let own = &mut own[..piece.len()];
            own.copy_from_slice(piece);
            world().all_reduce_into(&*own, piece, SystemOperation::sum());
        }
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut lengths: Vec<Count> = vec![0; self.count];
        world().all_gather_into(&Count::try_from(own.len())?, &mut lengths[..]);
        let mut starts = Vec::with_capacity(self.count);
        let mut whole: Count = 0;
        for &length in &lengths {
            starts.push(whole);
            whole = whole.checked_add(length).context("ranks exchange 2 GB at most")?;
        }
        // MPI refuses memory that is none, though nothing is to be sent.
        if whole == 0 {
            return Ok(vec![Vec::new(); self.count]);
        }
        let mut all = vec![0; usize::try_from(whole)?];
        let mut places = PartitionMut::new(&mut all[..], &lengths[..], &starts[..]);
        world().all_gather_varcount_into(own, &mut places);
        let mut rest = all.as_slice();
        let mut take = |length: Count| -> Result<Vec<u8>> {
            let (one, after) = rest.split_at(usize::try_from(length)?);
            rest = after;
            Ok(one.to_vec())
        };
        lengths.into_iter().map(&mut take).collect()
    }
}
