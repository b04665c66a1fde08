//! A browser without a window, to look at a report with.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Looks at the page as a browser has it: what it shows, whether sounds play, and what it has fetched.
const EXAMINATION: &str = r#"<script>
(async () => {
  const players = [...document.querySelectorAll("audio")];
  const ready = player => player.readyState > 0 || player.error ? null
    : new Promise(done => { player.onloadedmetadata = player.onerror = done; });
  await Promise.all(players.map(ready));
  const fetched = performance.getEntriesByType("resource").map(one => one.name);
  document.documentElement.dataset.found = JSON.stringify({
    seconds: players.map(player => player.duration),
    widths: [...document.images].map(image => image.naturalWidth),
    curves: [...document.querySelectorAll("svg path")].map(path => path.getTotalLength()),
    scripts: document.scripts.length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    fetched: fetched.filter(name => !name.startsWith("data:")),
  });
})();
</script></body>"#;

/// What Chromium is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What a browser finds in a report, in a window of this width, and what it complains about; none if there
/// is no browser. Beside the policy of the page, the script that looks at it is allowed.
pub(crate) fn found_in(report: &str, width: u32, folder: &Path) -> Option<(Value, Vec<String>)> {
    let name = NAMES.into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    })?;
    let page = report.replace("default-src &#39;none&#39;", "script-src 'unsafe-inline'");
    let page = page.replace("</body>", EXAMINATION);
    let path = folder.join("examined.html");
    fs::write(&path, page).unwrap();
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let output = Command::new(name)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        .args(["--no-first-run", "--disable-extensions", "--enable-logging=stderr", &profile])
        .args(["--virtual-time-budget=30000", &format!("--window-size={width},900"), "--dump-dom"])
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let (page, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let found = page.split_once("data-found=\"").and_then(|(_, rest)| rest.split_once('"'));
    let found = found.unwrap_or_else(|| panic!("the browser found nothing: {told}")).0;
    let complaints = told.lines().filter(|line| line.contains("CONSOLE"));
    let found = serde_json::from_str(&found.replace("&quot;", "\"")).unwrap();
    Some((found, complaints.map(str::to_owned).collect()))
}
