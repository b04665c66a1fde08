//! How long ranks take to add up as many values as a model has weights, for `cargo xtask mpi-test`:
//! started by a launcher of MPI, the first rank writes a line for each number of values.
#![allow(clippy::print_stdout, reason = "a program that tells")]

use std::time::Instant;

use anyhow::{Context, Result};
use distill_trainer::ranks;

/// Numbers of values: a handful, a small prior, the usual codec, and more than any model has.
const VALUES: [usize; 4] = [64, 600_000, 7_000_000, 20_000_000];
/// Exchanges of each.
const TIMES: usize = 9;

fn main() -> Result<()> {
    let joined = ranks::join()?;
    let together = ranks::joined();
    for count in VALUES {
        let mut values = vec![1.0; count];
        let mut seconds = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            // All begin at once.
            together.gather(&[])?;
            let begun = Instant::now();
            together.add(&mut values)?;
            seconds.push(together.numbers(&[begun.elapsed().as_secs_f64()])?);
        }
        // The last to end is when all have.
        let mut slowest: Vec<f64> =
            seconds.iter().map(|all| all.iter().copied().fold(0.0, f64::max)).collect();
        slowest.sort_by(f64::total_cmp);
        let median = slowest.get(TIMES / 2).context("nothing was measured")?;
        if together.is_first() {
            println!("exchange_{count}_ms {:.4}", 1000.0 * median);
        }
    }
    drop(joined);
    Ok(())
}
