//! The built CLAP.
#![allow(dead_code, unreachable_pub, reason = "every test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};

use distill_tests::host::{Host, Instrument};
use distill_tests::phrase::Note;
use distill_tests::sound::Sound;

/// Four notes; the first second is silent, in which a host in a hurry shows that it is.
pub const PHRASE: [Note; 4] = [
    Note { start: 1.0, end: 1.4, key: 60, velocity: 0.8 },
    Note { start: 1.5, end: 1.9, key: 64, velocity: 0.6 },
    Note { start: 2.0, end: 2.4, key: 67, velocity: 1.0 },
    Note { start: 2.5, end: 3.2, key: 72, velocity: 0.8 },
];

/// The package that is tested: that of the dev profile, unless `DISTILL_PACKAGE` names another.
pub fn package() -> PathBuf {
    if let Some(named) = std::env::var_os("DISTILL_PACKAGE") {
        return named.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let package = target.join("test/bundled/Distill.clap");
    assert!(package.exists(), "run `cargo xtask bundle --debug` first: no {}", package.display());
    package
}

pub fn host() -> Host {
    Host::open(&package()).unwrap()
}

pub fn instrument() -> Instrument {
    host().instrument().unwrap()
}

/// Sets a parameter to what a musician types.
pub fn enter(instrument: &mut Instrument, name: &str, text: &str) {
    let parameter = instrument.parameter(name).unwrap();
    let value = instrument.read(&parameter, text).unwrap();
    instrument.set(&parameter, value).unwrap();
}

/// The value of a parameter that counts. The framework tells it as a share of its range in single
/// precision, so that it comes out a hair beside the whole number.
pub fn count(instrument: &mut Instrument, name: &str) -> f64 {
    let parameter = instrument.parameter(name).unwrap();
    let value = instrument.value(&parameter).unwrap();
    assert!((value - value.round()).abs() < 1e-3, "{name} is {value}");
    value.round()
}

/// The first sample at which two sounds differ.
pub fn difference(a: &Sound, b: &Sound) -> Option<usize> {
    assert_eq!(a.len(), b.len());
    (0..a.len()).find(|&i| a.channels.iter().zip(&b.channels).any(|(a, b)| a[i] != b[i]))
}
