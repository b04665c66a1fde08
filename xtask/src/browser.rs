//! A browser without a window, for the report of a run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::or_with_packages;
use crate::program::{cargo, root, run, target_dir};

/// Size of the picture in the documents, in pixels.
const PICTURE: &str = "--window-size=1100,1500";

/// Looks at a report with Chromium, where there is one or it can be installed.
///
/// # Errors
///
/// Fails if the browser does not show what it should.
pub(crate) fn test_report() -> Result<()> {
    if let Err(error) = find() {
        println!("skipped: there is no Chromium to look at a report with ({error:#})");
        return Ok(());
    }
    run(&mut cargo("test --workspace --test report -- --ignored"))
}

/// Makes the picture of a report that the documents show, of a model of the demo sounds.
///
/// # Errors
///
/// Fails if there is no Chromium, or a program fails.
pub(crate) fn take_picture() -> Result<()> {
    find()?;
    let home = target_dir().join("tmp/report");
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let file = format!("distill{}", std::env::consts::EXE_SUFFIX);
    let mut train = Command::new(target_dir().join("debug").join(file));
    train.args(["train", "assets/demo", "--fresh", "--codec-steps", "400", "--prior-steps", "400"]);
    run(train.arg("--output").arg(home.join("demo.distill")))?;
    let to = root().join("docs/images/report.png");
    photograph(&home.join("demo.report.html"), &to)?;
    println!("{}", to.display());
    Ok(())
}

fn photograph(page: &Path, to: &Path) -> Result<()> {
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    chromium.args(["--disable-background-networking", "--no-first-run", PICTURE]);
    chromium.arg(format!("--user-data-dir={}", target_dir().join("tmp/chromium").display()));
    chromium.arg(format!("--screenshot={}", to.display()));
    run(chromium.arg(format!("file://{}", page.display())))
}

fn find() -> Result<()> {
    or_with_packages("chromium", || run(Command::new("chromium").arg("--version")))
}
