//! `distill prepare`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::exit::Ending;
use super::interrupt::stop_flag;
use super::output::{print, print_json};
use crate::corpus::prepared::{self, Prepared};
use crate::corpus::{Before, OpenOptions, Outcome};
use crate::device::cores;
use crate::numbered::numbered;
use crate::progress::{Display, clock};
use crate::ranks::{self, Ranks};

/// What is put after the name of a folder for that of what is prepared of it.
pub(super) const ENDING: &str = "prepared";

/// Decodes a folder of recordings once and for all, so that `train` reads them from disk piece by piece:
/// for corpora that do not fit into memory, and to begin at once. Interrupted, or given more files, it goes
/// on where it was
#[derive(Debug, Args)]
pub(super) struct PrepareArgs {
    /// Folder of recordings; the folders in it are searched too
    folder: PathBuf,
    /// Folder to write; if not given, the name of the folder of recordings with .prepared, and with a
    /// number if that is of another folder
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Files to decode at a time; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PrepareArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let ranks = ranks::joined();
        let mut display = if ranks.is_first() { Display::new() } else { Display::quiet() };
        let bar = display.count("decoding");
        let on_file = |files: usize| {
            bar.set_length(files as u64);
            bar.inc(1);
        };
        let program = std::env::current_exe().ok();
        let options = OpenOptions {
            seed: 0,
            threads: self.threads.map_or_else(cores, usize::from),
            cancel: stop_flag("the same command goes on with what is decoded by then")?,
            program: program.as_deref(),
            before: &Before::default(),
            on_file: &on_file,
        };
        let output = self.output(ranks)?;
        let prepared = prepared::prepare(&self.folder, &output, &options, ranks)?;
        display.finish();
        prepared.iter().try_for_each(|prepared| self.tell(prepared, &output, &display))?;
        Ok(Ending::Done)
    }

    fn tell(&self, prepared: &Prepared, output: &Path, display: &Display) -> Result<()> {
        let Prepared { verdicts, seconds, channels, bytes } = prepared;
        let used = verdicts.iter().filter(|verdict| verdict.outcome.is_used()).count();
        if self.json {
            return print_json(&json!({
                "path": output.display().to_string(),
                "files": verdicts.len(),
                "used": used,
                "seconds": seconds,
                "channels": channels,
                "bytes": bytes,
            }));
        }
        for verdict in verdicts {
            if let Outcome::Skipped { reason } = &verdict.outcome {
                display.say(&format!("skipped {}: {reason}", verdict.name));
            }
        }
        display.say(&format!(
            "{used} of {} files are used: {} in {}, {} MB on disk",
            verdicts.len(),
            clock(*seconds),
            if *channels == 1 { "mono" } else { "stereo" },
            bytes.div_ceil(1_000_000),
        ));
        print(&output.display().to_string())
    }

    /// The folder to write, the same for all `ranks`.
    fn output(&self, ranks: &dyn Ranks) -> Result<PathBuf> {
        if let Some(output) = &self.output {
            return Ok(output.clone());
        }
        let folder = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let name = folder.file_name().unwrap_or("sounds".as_ref());
        let named = Path::new(name).with_added_extension(ENDING);
        let is_free = |output: PathBuf| !prepared::is_of_another(&output, &folder);
        let place = numbered(&named).position(is_free).unwrap_or_default();
        // The others may find the folder elsewhere.
        let first = ranks.gather(&place.to_le_bytes())?.swap_remove(0);
        let place = first.try_into().map_or(place, usize::from_le_bytes);
        let free = numbered(&named).nth(place).unwrap_or_else(|| named.clone());
        if place > 0 && ranks.is_first() {
            let (named, free) = (named.display(), free.display());
            eprintln!("{named} is of another folder and stays; this one is {free}");
        }
        Ok(free)
    }
}
