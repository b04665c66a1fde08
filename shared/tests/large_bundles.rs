//! Bundles of the size that musicians have.

use std::path::Path;

use distill_shared::bundle::Bundle;

#[test]
fn a_bundle_of_megabytes_cut_off_anywhere_is_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/factory.distill");
    let bytes = std::fs::read(path).unwrap();
    for len in (0..bytes.len()).step_by(64 << 10).chain([bytes.len() - 1]) {
        assert!(Bundle::read(&bytes[..len]).is_err(), "accepted {len} of {} bytes", bytes.len());
    }
    assert!(Bundle::read(&bytes).is_ok());
}
