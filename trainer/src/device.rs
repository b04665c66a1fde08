//! What the trainer can compute on.

use anyhow::{Context, Result};
use candle_core::{Device, utils};

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
    /// Opens the device.
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
                let device = Device::new_cuda(0).context("cannot use the first CUDA device")?;
                Ok(OpenDevice { device, name: "cuda" })
            }
            Self::Metal => {
                let device = Device::new_metal(0).context("cannot use the Metal device")?;
                Ok(OpenDevice { device, name: "metal" })
            }
        }
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
