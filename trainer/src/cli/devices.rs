//! `distill devices`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::exit::Ending;
use super::output::{print, print_json};
use crate::device::{DeviceChoice, cores};

/// Shows what can be computed on, and what would be chosen
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DevicesArgs {
    pub(super) fn run(self) -> Result<Ending> {
        let chosen = DeviceChoice::Auto.open()?.name;
        let (mut lines, mut list) = (Vec::new(), Vec::new());
        for (name, choice) in [
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda),
            ("metal", DeviceChoice::Metal),
        ] {
            let problem = choice.open().err().map(|error| format!("{error:#}"));
            let state = problem.clone().unwrap_or_else(|| match choice {
                DeviceChoice::Cpu => format!("ready, {} threads", cores()),
                _ => "ready".to_owned(),
            });
            let mark = if name == chosen { "  (chosen by --device auto)" } else { "" };
            lines.push(format!("{name:6} {state}{mark}"));
            list.push(json!({ "name": name, "available": problem.is_none(), "problem": problem }));
        }
        if self.json {
            print_json(&json!({ "devices": list, "auto": chosen, "threads": cores() }))?;
        } else {
            print(&lines.join("\n"))?;
        }
        Ok(Ending::Done)
    }
}
