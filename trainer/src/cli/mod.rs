//! The command line: one file per command.
//!
//! stdout gets the result and nothing else; everything told on the way goes to stderr.

mod check;
mod decode;
mod decode_files;
mod devices;
mod duration;
mod encode;
mod evaluate;
mod exit;
mod generate;
mod inspect;
mod interrupt;
mod library;
mod output;
mod prepare;
mod result;
mod run;
mod set;
mod sound_file;
mod train;
mod train_prior;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::ranks;
use exit::Ending;
pub use generate::Recipe;

/// Learns the sound of a folder of recordings, and makes new sound in its voice
#[derive(Debug, Parser)]
#[command(name = "distill", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Prepare(prepare::PrepareArgs),
    Train(Box<train::TrainArgs>),
    TrainPrior(Box<train_prior::TrainPriorArgs>),
    Generate(generate::GenerateArgs),
    Encode(encode::EncodeArgs),
    Decode(decode::DecodeArgs),
    Evaluate(evaluate::EvaluateArgs),
    Inspect(inspect::InspectArgs),
    Library(library::LibraryArgs),
    Devices(devices::DevicesArgs),
    #[command(hide = true)]
    DecodeFiles(decode_files::DecodeFilesArgs),
}

impl Command {
    /// Whether several processes can do it together.
    fn is_shared(&self) -> bool {
        matches!(self, Self::Prepare(_) | Self::Train(_) | Self::TrainPrior(_))
    }

    fn run(self) -> Result<Ending> {
        match self {
            Self::Check(args) => args.run(),
            Self::Prepare(args) => args.run(),
            Self::Train(args) => args.run(),
            Self::TrainPrior(args) => args.run(),
            Self::Generate(args) => args.run(),
            Self::Encode(args) => args.run(),
            Self::Decode(args) => args.run(),
            Self::Evaluate(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Library(args) => args.run(),
            Self::Devices(args) => args.run(),
            Self::DecodeFiles(args) => args.run(),
        }
    }
}

/// Runs the command that the arguments of this process ask for.
///
/// The exit code is 0 when it is done, 1 if it failed, 2 for a wrong command line, 3 if it was
/// stopped (what could be saved is saved), 4 if training diverged and 5 if the disk is full.
#[must_use]
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let joined = match command.is_shared().then(ranks::join).transpose() {
        Ok(joined) => joined,
        Err(error) => return failed(&error),
    };
    let code = match command.run() {
        Ok(ending) => ending.code(),
        Err(error) => failed(&error),
    };
    drop(joined);
    code
}

/// Says what went wrong, and ends all ranks, which would wait for this one.
fn failed(error: &anyhow::Error) -> ExitCode {
    let ranks = ranks::joined();
    let rank = if ranks.count() > 1 { format!(" on rank {}", ranks.rank()) } else { String::new() };
    eprintln!("error{rank}: {error:#}");
    ranks::abort(exit::number_of(error));
    exit::code_of(error)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
