//! What the trainer can compute on.

use anyhow::{Context, Result};
use candle_core::{Device, cuda, utils};

use crate::ranks;
use crate::stop::Usage;

/// A kind of device, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The fastest that works: CUDA, then Metal, then the processor.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// The GPU of an Apple computer.
    Metal,
}

/// A device that is ready to compute on.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// The device.
    pub device: Device,
    /// What to call it: `cpu`, `cuda` or `metal`.
    pub name: &'static str,
}

impl DeviceChoice {
    /// Opens the device. Of several NVIDIA GPUs, processes that were started together take one each.
    ///
    /// # Errors
    ///
    /// Fails with [`Usage`] if this program was built without the device, and otherwise if the
    /// device does not work. `Auto` never fails.
    pub fn open(self) -> Result<OpenDevice> {
        let cpu = OpenDevice { device: Device::Cpu, name: "cpu" };
        match self {
            Self::Cpu => Ok(cpu),
            Self::Auto => Ok(Self::Cuda.open().or_else(|_| Self::Metal.open()).unwrap_or(cpu)),
            Self::Cuda if !utils::cuda_is_available() => Err(not_built("cuda")),
            Self::Metal if !utils::metal_is_available() => Err(not_built("metal")),
            Self::Cuda => {
                let own = ranks::on_this_machine() % gpus()?;
                let device =
                    Device::new_cuda(own).with_context(|| format!("cannot use GPU {own}"))?;
                Ok(OpenDevice { device, name: "cuda" })
            }
            Self::Metal => {
                let device = Device::new_metal(0).context("cannot use the Metal device")?;
                Ok(OpenDevice { device, name: "metal" })
            }
        }
    }
}

/// NVIDIA GPUs that this process sees, at least one.
#[cfg(feature = "cuda")]
fn gpus() -> Result<usize> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;

    let count = CudaContext::device_count().context("CUDA does not work")?;
    Ok(usize::try_from(count)?.max(1))
}

#[cfg(not(feature = "cuda"))]
#[expect(clippy::unnecessary_wraps, reason = "with CUDA it can fail")]
fn gpus() -> Result<usize> {
    Ok(1)
}

impl OpenDevice {
    /// Lets the device round what it multiplies to TF32, which has ten bits of mantissa: for speed, on NVIDIA
    /// GPUs from Ampere on.
    ///
    /// # Errors
    ///
    /// Fails with [`Usage`] if it is no NVIDIA GPU.
    pub fn round_to_tf32(&self) -> Result<()> {
        if !self.device.is_cuda() {
            let message = format!("--tf32 is for NVIDIA GPUs, and this trains on {}", self.name);
            return Err(Usage(message).into());
        }
        cuda::set_gemm_reduced_precision_f32(true);
        Ok(())
    }
}

fn not_built(feature: &str) -> anyhow::Error {
    let message = format!(
        "this program was built without {feature}; build it with `--features {feature}`, or use --device cpu"
    );
    Usage(message).into()
}

/// Threads that the processor can run at a time.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
