//! Decoding in processes of their own, so that a file that breaks a decoder costs nothing but itself:
//! not the run, nor the memory, nor the time of the others.
//!
//! A process decodes a few files, one after the other, and writes each to its standard output: a line
//! of JSON, then the samples of every channel as 32-bit floats, lower bytes first. If it ends before it
//! has told of a file, another one tries that file again; if that ends, too, the file is to blame, and
//! another process goes on with the next.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decode::{Decoded, MOST_SAMPLES, decode};

/// The command of the program that decodes files for another process.
pub const COMMAND: &str = "decode-files";
/// Seconds that a file may take, and as many more as it has megabytes.
pub const PATIENCE_S: u64 = 60;
/// Memory that the process may ask for: what the longest recording takes, and as much again while its
/// buffers grow.
#[cfg(unix)]
const MOST_MEMORY: u64 = 16 << 30;
/// Exit code of a process that has lost its patience with a file.
const OUT_OF_PATIENCE: u8 = 9;
/// How often the time that a file takes is looked at.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_S: u64 = 10;
/// What is said of a file that has used up the patience.
const TOO_LONG: &str =
    "it takes too long to read; copy it to a disk of this machine, or convert it to WAV or FLAC";
/// Characters of a line that tells of a file, at most.
const LONGEST_LINE: u64 = 1 << 16;

/// What a process tells of a file before its samples.
#[derive(Serialize, Deserialize)]
enum Told {
    Sound { rate: u32, channels: usize, notes: Vec<String>, planes: usize, samples: usize },
    Problem(String),
}

/// Decodes files, in a process of their own where that can be had.
pub struct Decoding<'a> {
    program: Option<&'a Path>,
    files: &'a [PathBuf],
    process: Option<Process>,
}

impl<'a> Decoding<'a> {
    /// Prepares to decode `files`, in their order, by the command [`COMMAND`] of `program`; without
    /// one, in this process.
    #[must_use]
    pub fn new(program: Option<&'a Path>, files: &'a [PathBuf]) -> Self {
        Self { program, files, process: None }
    }

    /// Decodes the first of the files that are left; starts a process if there is none.
    fn decode_first(&mut self, file: &Path) -> Result<Decoded, String> {
        let here = || decode(file).map_err(|error| error.to_string());
        let Some(program) = self.program else { return here() };
        // A process may be ended by others, too, which is not the fault of the file: it has two tries.
        let mut why = String::new();
        for _ in 0..2 {
            if self.process.is_none() {
                self.process = Process::start(program, self.files).ok();
            }
            // A system that starts no process can still decode.
            let Some(process) = &mut self.process else { return here() };
            match process.read() {
                Ok(told) => return told,
                Err(_) => match self.process.take().map(Process::why_it_ended) {
                    Some(TOO_LONG) => return Err(TOO_LONG.to_owned()),
                    other => why = other.unwrap_or_default().to_owned(),
                },
            }
        }
        Err(why)
    }
}

impl Iterator for Decoding<'_> {
    /// The sound of the next file, or why there is none, as a clause that follows on its name.
    type Item = Result<Decoded, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoded = self.decode_first(self.files.first()?);
        self.files = &self.files[1..];
        Some(decoded)
    }
}

/// A process that decodes files, seen from the one that wants them. It ends with this.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(program: &Path, files: &[PathBuf]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg(COMMAND).arg("--").args(files);
        // What a decoder says as it dies is not for the musician.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        // Ctrl-C is for the run, which ends this after the file at hand.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    /// What it tells of the next file. Fails if it ends before.
    fn read(&mut self) -> io::Result<Result<Decoded, String>> {
        let mut line = String::new();
        self.output.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
        let (rate, channels, notes, planes, samples) = match serde_json::from_str(&line)? {
            Told::Problem(problem) => return Ok(Err(problem)),
            Told::Sound { rate, channels, notes, planes, samples } => {
                (rate, channels, notes, planes, samples)
            }
        };
        if !(1..=2).contains(&planes) || samples > MOST_SAMPLES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let audio = (0..planes).map(|_| self.read_plane(samples)).collect::<io::Result<_>>()?;
        Ok(Ok(Decoded { audio, rate, channels, notes }))
    }

    fn read_plane(&mut self, samples: usize) -> io::Result<Vec<f32>> {
        let (mut plane, mut bytes) = (Vec::with_capacity(samples), [0; 4096]);
        while plane.len() < samples {
            let part = &mut bytes[..(4 * (samples - plane.len())).min(4096)];
            self.output.read_exact(part)?;
            let values = part.chunks_exact(4).filter_map(|b| b.try_into().ok());
            plane.extend(values.map(f32::from_le_bytes));
        }
        Ok(plane)
    }

    /// Why it ended before it had told of a file.
    fn why_it_ended(mut self) -> &'static str {
        let _ = self.child.kill();
        let code = self.child.wait().ok().and_then(|status| status.code());
        if code == Some(i32::from(OUT_OF_PATIENCE)) {
            return TOO_LONG;
        }
        "it is damaged: the decoder died of it; convert it to WAV or FLAC"
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Decodes `files` for the process that started this one: what [`COMMAND`] does. Ends the process if a
/// file takes longer than `patience_s` seconds and one more for each of its megabytes. Time in which the
/// process is stopped does not count, nor does what the other end takes.
///
/// # Errors
///
/// Fails if the other end has gone.
pub fn decode_for_another(files: &[PathBuf], patience_s: u64) -> io::Result<()> {
    keep_memory_limited();
    let patience = Patience::start();
    let mut output = io::stdout().lock();
    for file in files {
        let megabytes = file.metadata().map_or(0, |metadata| metadata.len() >> 20);
        patience.last(patience_s + megabytes);
        let decoded = decode(file);
        patience.rest();
        let (told, audio) = match decoded {
            Err(error) => (Told::Problem(error.to_string()), Vec::new()),
            Ok(Decoded { audio, rate, channels, notes }) => {
                let (planes, samples) = (audio.len(), audio.first().map_or(0, Vec::len));
                (Told::Sound { rate, channels, notes, planes, samples }, audio)
            }
        };
        serde_json::to_writer(&mut output, &told)?;
        output.write_all(b"\n")?;
        for part in audio.iter().flat_map(|plane| plane.chunks(4096)) {
            let bytes: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            output.write_all(&bytes)?;
        }
        output.flush()?;
    }
    Ok(())
}

/// A file whose header lies about its length gets no memory for it.
fn keep_memory_limited() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::As);
        let most = Some(current.map_or(MOST_MEMORY, |current| current.min(MOST_MEMORY)));
        // Where it cannot be set, it stays what it was.
        let _ = setrlimit(Resource::As, Rlimit { current: most, maximum });
    }
}

/// Ends the process when a file takes too long. It counts ticks, which stop while the process is.
struct Patience(Arc<AtomicU64>);

impl Patience {
    fn start() -> Self {
        let ticks = Arc::new(AtomicU64::new(u64::MAX));
        let left = Arc::clone(&ticks);
        // Without this thread a file may take as long as it likes.
        let _ = thread::Builder::new().name("patience".to_owned()).spawn(move || {
            loop {
                thread::sleep(TICK);
                if left.fetch_sub(1, Ordering::Relaxed) == 0 {
                    std::process::exit(i32::from(OUT_OF_PATIENCE));
                }
            }
        });
        Self(ticks)
    }

    fn last(&self, seconds: u64) {
        self.0.store(seconds.saturating_mul(TICKS_PER_S), Ordering::Relaxed);
    }

    fn rest(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}
