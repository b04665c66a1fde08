//! Builds, packages, tests and measures Distill: `cargo xtask COMMAND`.

mod base;
mod bench;
mod browser;
mod bundle;
mod debian;
mod demo;
mod display;
mod fuzz;
mod gpu;
mod notices;
mod port;
mod program;
mod python;
mod ranks;
mod reproducible;
mod soak;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds the instrument and packages it as VST3 and CLAP
    Bundle(bundle::Options),
    /// Goes the whole way once: trains on the demo sounds, plays the result in a host, shows it
    Demo(demo::Options),
    /// Checks everything that continuous integration checks
    Test,
    /// Takes the pictures of the window and of a report in docs/images
    Pictures,
    /// Makes a base for `distill train --base`, from sounds that it makes itself
    Base(base::Options),
    /// Measures training, playing and sizes
    Bench(bench::Options),
    /// Gives every parser files that were made to harm it
    Fuzz(fuzz::Options),
    /// Checks that everything compiles for macOS and Windows
    PortCheck,
    /// Checks that the trainer compiles for CUDA and Metal
    GpuCheck,
    /// Compares a GPU with the processor, and measures it
    GpuTest(gpu::Options),
    /// Checks that processes that train together come to what one comes to
    MpiTest,
    /// Checks for hours what `test` checks for moments
    Soak(soak::Options),
}

fn main() -> Result<()> {
    std::env::set_current_dir(program::root())?;
    match Arguments::parse().command {
        Task::Bundle(options) => bundle::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Test => test::run(),
        Task::Pictures => display::take_pictures().and_then(|()| browser::take_picture()),
        Task::Base(options) => base::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::PortCheck => port::check(),
        Task::GpuCheck => port::check_gpu(),
        Task::GpuTest(options) => gpu::run(&options),
        Task::MpiTest => ranks::run(),
        Task::Soak(options) => soak::run(&options),
    }
}
