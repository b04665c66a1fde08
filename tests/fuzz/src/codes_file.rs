//! Files of codes, and whether a bundle can play them.

use std::sync::OnceLock;

use distill_shared::bundle::Bundle;
use distill_shared::codes::unflatten_codes;
use distill_trainer::codes_file::CodesFile;

use crate::bundle;

/// Codes that a bundle accepts are codes of its codec, as many as their sound needs.
pub fn check(bytes: &[u8]) -> bool {
    let Ok(file) = CodesFile::of_bytes(bytes, &"input") else { return false };
    let bundle = bundle();
    let codec = &bundle.config().codec;
    let Ok(codes) = file.codes_for(bundle) else { return false };
    assert!(codes.fit(codec.quantizers, codec.codebook_size));
    assert!(codes.as_slice().iter().all(|&code| (code as usize) < codec.codebook_size));
    assert!(codes.frames() * codec.hop() >= file.head.samples);
    true
}

/// The bundle that the codes are of.
fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| bundle::bundle(&bundle::config()))
}

/// Files of three frames and of none.
///
/// # Panics
///
/// Panics if there are no such codes.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let file = |codes: &[u32]| {
        let codes = unflatten_codes(codes, 2).expect("whole frames");
        let samples = codes.frames() * bundle().config().codec.hop();
        let CodesFile { head, codes } = CodesFile::new(bundle(), "a", samples, &codes);
        head.with_frames((0..codes.frames()).map(|t| codes.frame(t))).into_bytes()
    };
    vec![file(&[0, 1, 2, 3, 1, 0]), file(&[])]
}
