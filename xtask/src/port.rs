//! `cargo xtask port-check` and `cargo xtask gpu-check`: whether everything compiles for systems and
//! devices that this machine does not have. Nothing of it is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::or_with_packages;
use crate::program::{cargo, run, target_dir};
use crate::ranks::prepare_mpi;

/// Systems, and how Rust calls the machines that have them.
const SYSTEMS: [(&str, &str); 2] =
    [("macOS", "aarch64-apple-darwin"), ("Windows", "x86_64-pc-windows-msvc")];
/// NVIDIA's compiler and headers, as PyPI has them.
const CUDA: [&str; 6] = [
    "nvidia-cuda-nvcc==13.2.*",
    "nvidia-nvvm==13.2.*",
    "nvidia-cuda-crt==13.2.*",
    "nvidia-cuda-runtime==13.2.*",
    "nvidia-cuda-cccl==13.2.*",
    "nvidia-curand==10.4.*",
];
/// What the kernels are compiled for: NVIDIA's Ampere and later.
const CAPABILITY: &str = "80";

/// Checks all programs and tests for macOS and Windows.
///
/// # Errors
///
/// Fails if a compiler has a complaint, or its standard library for a system cannot be had.
pub(crate) fn check() -> Result<()> {
    for (system, target) in SYSTEMS {
        println!("\n== {system}");
        let mut clippy = foreign(target, "clippy --workspace --all-targets")?;
        run(clippy.args(["--", "-D", "warnings"])).with_context(|| format!("for {system}"))?;
    }
    Ok(())
}

/// Checks the trainer with the features `metal`, `cuda` and `nccl`.
///
/// # Errors
///
/// Fails as [`check`] does, or if NVIDIA's compiler cannot be had.
pub(crate) fn check_gpu() -> Result<()> {
    println!("\n== Metal");
    let (_, target) = SYSTEMS[0];
    run(&mut foreign(target, "check -p distill-trainer --all-targets --features metal")?)?;
    println!("\n== CUDA");
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("NVIDIA's compiler is only fetched on Linux, x86-64");
    }
    let home = cuda()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [home.join("bin")].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders)?;
    prepare_mpi()?;
    for features in ["cuda", "nccl"] {
        let mut check = cargo("check -p distill-trainer --all-targets --features");
        check.arg(features).env("PATH", &path).env("CARGO_TARGET_DIR", folder());
        check.env("CUDA_HOME", &home).env("CUDA_PATH", &home);
        run(check.env("CUDA_COMPUTE_CAP", CAPABILITY)).with_context(|| features)?;
    }
    Ok(())
}

/// Where foreign things are built, so that the builds for this machine stay as they are.
fn folder() -> PathBuf {
    target_dir().join("ports")
}

/// A call of cargo for the machine `target`, whose standard library rustup fetches.
fn foreign(target: &str, arguments: &str) -> Result<Command> {
    run(Command::new("rustup").args(["target", "add", target]))
        .with_context(|| format!("there is no standard library for {target}"))?;
    let mut command = cargo(arguments);
    command.args(["--target", target]).env("CARGO_TARGET_DIR", folder());
    Ok(command)
}

/// NVIDIA's compiler, in a Python environment of its own.
fn cuda() -> Result<PathBuf> {
    let environment = target_dir().join("cuda");
    let here = |path: &str| environment.join(path);
    if !here("bin/pip").exists() {
        or_with_packages("python3-venv", || {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        })?;
    }
    run(Command::new(here("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(CUDA))?;
    let versions = fs::read_dir(here("lib")).context("the environment has no packages")?;
    let homes = versions.filter_map(|version| {
        Some(version.ok()?.path().join("site-packages/nvidia/cu13")).filter(|home| home.is_dir())
    });
    let home = homes.last().context("the packages have no folder nvidia/cu13")?;
    // Build scripts look for the names that an installer would have made.
    link("lib", &home.join("lib64"))?;
    link("libcudart.so.13", &home.join("lib/libcudart.so"))?;
    Ok(home)
}

/// A link at `path`, if nothing is there.
#[cfg(unix)]
fn link(to: &str, path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    std::os::unix::fs::symlink(to, path).with_context(|| format!("no link {}", path.display()))
}

/// Only Linux has the packages.
#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> Result<()> {
    Ok(())
}
