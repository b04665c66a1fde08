//! The program `distill`: trains a codec and a prior on a folder of recordings, and plays them.

use std::process::ExitCode;

fn main() -> ExitCode {
    distill_trainer::environment::keep_tensor_library_on_one_thread();
    distill_trainer::cli::main()
}
