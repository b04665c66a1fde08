//! `cargo xtask mpi-test`: whether processes that train together come to what one comes to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::debian::or_with_packages;
use crate::gpu::{Trained, train};
use crate::program::{built_in, cargo, read, run as run_program, target_dir};

/// Numbers of ranks.
const RANKS: [usize; 2] = [2, 4];
/// Steps of the codec and of the prior.
const STEPS: [&str; 2] = ["200", "60"];
/// Crops and pieces of a batch that each rank has: as many as are computed in one go.
const CROPS: usize = 4;
const PIECES: usize = 2;
/// The network that is made to be slow.
const NETWORK: &str = "distill-slow";
/// How long ranks may live on when one is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prepares and trains the same with one process and with 2 and 4 ranks, to the bit; then kills a rank, and goes on
/// with another number of them.
///
/// # Errors
///
/// Fails if there can be no MPI, or ranks come to something else.
pub(crate) fn run() -> Result<()> {
    prepare_mpi()?;
    for what in ["--bin distill", "--example exchange"] {
        let mut build = cargo("build --release -p distill-trainer --features mpi");
        run_program(build.args(what.split(' ')).env("CARGO_TARGET_DIR", folder()))?;
    }
    println!("\n== the same corpus");
    prepare_together()?;
    println!("\n== the same steps");
    for ranks in RANKS {
        let (alone, together) = (few(1, ranks)?, few(ranks, 1)?);
        let seconds = |run: &Trained| run.seconds.iter().sum::<f64>();
        println!("{ranks} ranks: {:.1} s, alone {:.1} s", seconds(&together), seconds(&alone));
        let distance = together.distance(&alone)?;
        ensure!(distance == 0.0, "losses differ by {distance:.1e}, relative to them");
        ensure!(together.digest == alone.digest, "the weights are not the same");
    }
    println!("\n== twice as much, by two ranks with a core each");
    efficiency()?;
    println!("\n== what an exchange takes");
    exchange();
    println!("\n== a rank is lost");
    lose_a_rank()
}

/// Makes sure that there is an MPI to build with.
///
/// # Errors
///
/// Fails if there is none, and none can be installed.
pub(crate) fn prepare_mpi() -> Result<()> {
    let packages = "libopenmpi-dev openmpi-bin libclang-dev";
    or_with_packages(packages, || run_program(Command::new("mpirun").arg("--version")))
}

/// Prepares a corpus with three ranks; what is in it is what one process finds in the folder.
fn prepare_together() -> Result<()> {
    let sounds = "assets/demo";
    let prepared = folder().join("demo.prepared");
    if prepared.exists() {
        fs::remove_dir_all(&prepared)?;
    }
    let mut together = launcher(3);
    run_program(together.args(["prepare", sounds, "--threads", "1", "--output"]).arg(&prepared))?;
    let told = |folder: &Path| read(launcher(1).args(["check", "--json"]).arg(folder));
    ensure!(told(&prepared)? == told(Path::new(sounds))?, "three ranks prepared something else");
    println!("three ranks prepared what one process reads");
    Ok(())
}

fn folder() -> PathBuf {
    target_dir().join("mpi")
}

fn program() -> PathBuf {
    built_in(&folder(), "distill")
}

/// What starts so many ranks of the program, with a thread each.
fn launcher(ranks: usize) -> Command {
    let program = program();
    if ranks == 1 {
        return Command::new(program);
    }
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]);
    command.args(["-np", &ranks.to_string()]).arg(program);
    command
}

/// A few steps, by so many ranks, each of which has the shares of so many.
fn few(ranks: usize, shares: usize) -> Result<Trained> {
    let [crops, pieces] = [CROPS, PIECES].map(|one| (one * shares).to_string());
    let name = folder().join(format!("{ranks}-ranks"));
    let [codec, prior] = STEPS;
    let settings = ["--threads", "1", "--codec-steps", codec, "--prior-steps", prior];
    let batches = ["--codec-batch", &crops, "--prior-batch", &pieces];
    train(launcher(ranks), &program(), &name, &[settings.as_slice(), &batches].concat())
}

/// How long one rank takes on one core, and two on one each, every one with the batch of a usual run.
fn efficiency() -> Result<()> {
    let run = |ranks: usize| -> Result<Trained> {
        let mut command = Command::new("mpirun");
        command.args(["--allow-run-as-root", "--bind-to", "core"]);
        command.args(["-np", &ranks.to_string()]).arg(program());
        let [codec, prior] = STEPS;
        let settings = ["--threads", "1", "--codec-steps", codec, "--prior-steps", prior];
        let bundle = folder().join(format!("efficiency-{ranks}"));
        train(command, &program(), &bundle, &settings)
    };
    let (one, two) = (run(1)?, run(2)?);
    for (stage, (one, two)) in ["codec", "prior"].iter().zip(one.seconds.iter().zip(&two.seconds)) {
        println!("{stage}: {one:.1} s, {two:.1} s, an efficiency of {:.2}", one / two);
    }
    Ok(())
}

/// How long two ranks take to add up values: in one memory, and through networks of several speeds, where
/// such can be made.
fn exchange() {
    let program = folder().join("release/examples/exchange");
    let mpirun = ["mpirun", "--allow-run-as-root", "-np", "2"];
    let through_tcp = ["--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "lo"];
    let tell = |what: &str, words: &[&str]| {
        let told = read(Command::new(words[0]).args(&words[1..]).arg(&program));
        println!("{what}:\n{}", told.unwrap_or_else(|error| format!("not measured: {error:#}")));
    };
    tell("one memory", &mpirun);
    tell("loopback", &[&mpirun[..], &through_tcp].concat());
    for rate in ["10gbit", "1gbit"] {
        // A network of its own, of which this machine's is no part.
        let make = format!(
            "ip netns add {NETWORK} && ip -n {NETWORK} link set lo up && \
             tc -n {NETWORK} qdisc add dev lo root tbf rate {rate} burst 4mb latency 100ms"
        );
        let inside = ["ip", "netns", "exec", NETWORK];
        let words = [&inside[..], &mpirun, &through_tcp].concat();
        match run_program(Command::new("sh").args(["-c", &make])) {
            Ok(()) => tell(rate, &words),
            Err(error) => println!("{rate}: not measured: {error:#}"),
        }
        let _ = Command::new("ip").args(["netns", "del", NETWORK]).status();
    }
}

/// Kills a rank of two while they train, and one of three that go on; one process ends what they began.
fn lose_a_rank() -> Result<()> {
    let bundle = folder().join("lost.distill");
    let run_dir = bundle.with_added_extension("run");
    if run_dir.exists() {
        fs::remove_dir_all(&run_dir)?;
    }
    for ranks in [2, 3] {
        let before = newest_checkpoint(&run_dir);
        let mut training = training(ranks, "100000", &bundle).stderr(Stdio::null()).spawn()?;
        wait("there is a new checkpoint", || newest_checkpoint(&run_dir) > before)?;
        let mpirun = training.id().to_string();
        let victim = read(Command::new("pgrep").args(["--newest", "--parent", &mpirun]))?;
        run_program(Command::new("kill").args(["-9", victim.trim()]))?;
        let code = ended(&mut training)?;
        ensure!(code != Some(0), "mpirun says that all is well");
        ensure!(newest_checkpoint(&run_dir) > before, "the checkpoint is gone");
        println!("{ranks} ranks ended, exit code {code:?}; a checkpoint is there");
    }
    run_program(&mut training(1, "20", &bundle))?;
    ensure!(!run_dir.exists(), "the run that was complete has left something");
    println!("one process went on from there");
    Ok(())
}

/// A call that trains, with a checkpoint every second.
fn training(ranks: usize, steps: &str, bundle: &Path) -> Command {
    let mut command = launcher(ranks);
    let arguments = format!(
        "train assets/demo --no-report --seed 1 --stage codec --threads 1 --codec-steps {steps} \
         --codec-batch 4 --checkpoint-every 1s --accept-changes --output"
    );
    command.args(arguments.split_whitespace()).arg(bundle);
    command
}

fn newest_checkpoint(run_dir: &Path) -> Option<String> {
    let names =
        fs::read_dir(run_dir).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".checkpoint")).max()
}

fn wait(what: &str, mut there: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !there() {
        ensure!(start.elapsed() < Duration::from_secs(120), "it never came to pass that {what}");
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The exit code of a program that has to end soon.
fn ended(program: &mut Child) -> Result<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Some(status) = program.try_wait()? {
            return Ok(status.code());
        }
        if start.elapsed() > PATIENCE {
            program.kill()?;
            bail!("ranks lived on for {PATIENCE:?} without one of them");
        }
        sleep(Duration::from_millis(100));
    }
}
