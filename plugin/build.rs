//! Embeds the factory bundle, and keeps the library in memory once it is loaded.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // The folder, not the file: watching a file that is missing would build anew every time.
    println!("cargo:rerun-if-changed=../assets");
    let bundle = fs::read("../assets/factory.distill").unwrap_or_default();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("factory.distill"), bundle)?;

    // A host that unloads the library while a thread still runs its destructors would crash.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    Ok(())
}
