//! Ranks with an NVIDIA GPU each, which add up what is long between themselves:
//! <https://docs.nvidia.com/deeplearning/nccl/user-guide/>.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, anyhow, ensure};
use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaStream;
use candle_core::cuda_backend::cudarc::nccl::result::NcclError;
use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp};

use super::Ranks;

/// Fewer values are left to MPI: the way to the GPU and back costs as much as they do.
const FEWEST: usize = 1 << 14;

/// The ranks whose GPUs were connected.
static CONNECTED: OnceLock<OnGpus> = OnceLock::new();

thread_local! {
    /// The connection: of the thread that has joined the ranks, which alone exchanges anything.
    static CONNECTION: OnceCell<Comm> = const { OnceCell::new() };
}

/// Ranks that NCCL adds up for. Only the thread that connected them may call it.
///
/// A rank that is lost is noticed by MPI, which ends all the others while they wait for it.
struct OnGpus {
    /// The same ranks by another way, for all that is short.
    ranks: &'static dyn Ranks,
    stream: Arc<CudaStream>,
}

/// Connects the GPUs of all `ranks`, of which this one has `device`.
pub(super) fn connect(
    ranks: &'static dyn Ranks,
    device: &CudaDevice,
) -> Result<&'static dyn Ranks> {
    let stream = device.cuda_stream();
    stream.context().bind_to_thread()?;
    let id = if ranks.is_first() { bytes_of(&Id::new().map_err(told)?) } else { Vec::new() };
    let id = id_of(&ranks.gather(&id)?.swap_remove(0))?;
    let connection = Comm::from_rank(stream.clone(), ranks.rank(), ranks.count(), id)
        .map_err(told)
        .context("NCCL cannot connect the GPUs; each rank needs one of its own")?;
    let is_new = CONNECTION.with(|own| own.set(connection)).is_ok();
    ensure!(is_new, "the GPUs are connected already");
    Ok(CONNECTED.get_or_init(|| OnGpus { ranks, stream }))
}

/// What the first rank tells the others, so that they find it.
fn bytes_of(id: &Id) -> Vec<u8> {
    id.internal().iter().map(|byte| byte.to_ne_bytes()[0]).collect()
}

fn id_of(bytes: &[u8]) -> Result<Id> {
    let bytes = bytes.iter().map(|&byte| std::ffi::c_char::from_ne_bytes([byte]));
    let bytes: Vec<_> = bytes.collect();
    let bytes = bytes.try_into().map_err(|_| anyhow!("the first rank has not told of itself"))?;
    Ok(Id::uninit(bytes))
}

fn told(error: NcclError) -> anyhow::Error {
    anyhow!("NCCL says {:?}", error.0)
}

impl Ranks for OnGpus {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn count(&self) -> usize {
        self.ranks.count()
    }

    /// In 64 bits as everywhere, so that it does not matter in which order the GPUs do it.
    fn add(&self, values: &mut [f64]) -> Result<()> {
        if values.len() < FEWEST {
            return self.ranks.add(values);
        }
        let mut sums = self.stream.clone_htod(values)?;
        CONNECTION.with(|connection| {
            let connection = connection.get().context("another thread has connected the GPUs")?;
            connection.all_reduce_in_place(&mut sums, &ReduceOp::Sum).map_err(told)
        })?;
        self.stream.memcpy_dtoh(&sums, values)?;
        Ok(self.stream.synchronize()?)
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.ranks.gather(own)
    }
}
