//! What lies beside a run: a finished bundle, and what other runs have left, outlast it.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use distill_shared::bundle::Bundle;

use super::{ENDLESS, TINY, command, expect, home, signal, stderr, stop};

#[test]
fn a_finished_bundle_outlasts_a_run_that_is_stopped() {
    let home = home();
    let home = home.path();
    expect(
        home,
        &format!("train sounds -o x.distill {TINY} --codec-steps 4 --prior-steps 4"),
        0,
        "",
    );
    let whole = Bundle::open(&home.join("x.distill")).unwrap();
    let alone = "train-prior x.distill --steps 1000000 --prior-batch 2 --checkpoint-every 0s";
    let endless = format!("{ENDLESS} {TINY}");
    for (train, run_dir) in [(&*endless, "x.distill.run"), (alone, "x.distill.prior.run")] {
        let output = stop(home, train, run_dir, "-INT");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains("x.distill is finished and stays as it is"), "{told}");
        let now = Bundle::open(&home.join("x.distill")).unwrap();
        assert_eq!(now.digest(), whole.digest());
        let stopped = home.join("x.stopped.distill");
        assert_ne!(Bundle::open(&stopped).unwrap().digest(), whole.digest());
        fs::remove_file(stopped).unwrap();
    }
}

#[test]
fn what_another_run_left_beside_a_finished_bundle_stays() {
    let home = home();
    let home = home.path();
    fs::copy("../assets/factory.distill", home.join("x.distill")).unwrap();
    fs::write(home.join("x.stopped.distill"), "of another run").unwrap();
    let endless = format!("{ENDLESS} {TINY}");
    let own = home.join("x.stopped-2.distill");
    let mut digests = Vec::new();
    for _ in 0..2 {
        let output = stop(home, &endless, "x.distill.run", "-INT");
        assert!(stderr(&output).contains("x.stopped-2.distill"), "{}", stderr(&output));
        digests.push(Bundle::open(&own).unwrap().digest().to_owned());
    }
    assert_ne!(digests[0], digests[1], "its own it replaces");
    // Not if there is something else by now.
    let moved = home.join("moved.distill");
    fs::rename(&own, &moved).unwrap();
    fs::copy("../assets/factory.distill", &own).unwrap();
    let output = stop(home, &endless, "x.distill.run", "-INT");
    assert!(stderr(&output).contains("x.stopped-3.distill"), "{}", stderr(&output));
    assert_eq!(fs::read(&own).unwrap(), fs::read("../assets/factory.distill").unwrap());
    fs::remove_file(home.join("x.stopped-3.distill")).unwrap();
    fs::rename(&moved, &own).unwrap();
    // Repeated as it is, that command would drop what it came to.
    let output = stop(home, &format!("{endless} --fresh"), "x.distill.run", "-INT");
    let told = stderr(&output);
    assert!(told.contains("repeat the command without --fresh to go on"), "{told}");
    let report = fs::read_to_string(home.join("x.report.html")).unwrap();
    assert!(report.contains("train sounds") && !report.contains("--fresh"));
    assert!(home.join("x.stopped-3.distill").is_file());
    assert_eq!(Bundle::open(&own).unwrap().digest(), digests[1]);
    assert_eq!(fs::read(home.join("x.stopped.distill")).unwrap(), b"of another run");
    fs::remove_file(home.join("x.stopped-3.distill")).unwrap();
    expect(
        home,
        &format!("{endless} --fresh --codec-steps 2").replace(" --codec-steps 1000000", ""),
        0,
        "",
    );
    assert!(!home.join("x.distill.run").exists());
}

#[test]
fn a_prior_that_is_finished_outlasts_whatever_became_of_its_codec() {
    let home = home();
    let home = home.path();
    let codec = format!("{ENDLESS} {TINY}");
    assert_eq!(stop(home, &codec, "x.distill.run", "-INT").status.code(), Some(3));
    let alone = "train-prior x.distill --prior-batch 2 --checkpoint-every 0s";
    expect(home, &format!("{alone} --steps 3"), 0, "");
    let whole = fs::read(home.join("x.distill")).unwrap();
    let output = stop(home, &format!("{alone} --steps 1000000"), "x.distill.prior.run", "-INT");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(fs::read(home.join("x.distill")).unwrap() == whole);
    assert!(Bundle::open(&home.join("x.stopped.distill")).unwrap().has_prior());
}

#[test]
fn what_is_stopped_after_its_training_is_whole() {
    let home = home();
    let home = home.path();
    let train = format!("train sounds -o x.distill --log log {TINY}");
    let mut run = command(home, &format!("{train} --codec-steps 4 --prior-steps 4"));
    let run = run.stderr(Stdio::piped()).spawn().unwrap();
    let (begun, log) = (Instant::now(), home.join("log"));
    while !fs::read_to_string(&log).is_ok_and(|log| log.contains("\"prior_complete\"")) {
        assert!(begun.elapsed() < Duration::from_secs(120), "it never trained its prior");
        sleep(Duration::from_millis(2));
    }
    // What the prior follows is tried then, which takes longer than this.
    signal(&run, "-INT");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(Bundle::open(&home.join("x.distill")).unwrap().has_prior());
    assert!(!home.join("x.distill.run").exists(), "there is nothing to go on with");
}
