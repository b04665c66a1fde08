//! libFuzzer around the targets of `distill-fuzz`, one program each: it makes inputs, sees what code they
//! reach, and goes on from those that reach more. `cargo xtask fuzz` builds and runs them.
//!
//! Outside the workspace, since libFuzzer needs a C++ compiler and the compiler flags that count what
//! code is reached.

pub use distill_fuzz;
pub use libfuzzer_sys;

/// Makes a program of the target of this name, of which `$init` is done first.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        $crate::target!($name, {});
    };
    ($name:ident, $init:expr) => {
        // The framework of the instrument brings an allocator of its own; there libFuzzer alone
        // watches over the room.
        #[cfg(not(feature = "plugin"))]
        #[global_allocator]
        static ALLOCATOR: $crate::distill_fuzz::Limited = $crate::distill_fuzz::Limited;

        $crate::libfuzzer_sys::fuzz_target!(
            init: {
                $init;
                $crate::distill_fuzz::write_seeds($crate::distill_fuzz::$name::seeds)
                    .expect("the folder of seeds can be written to")
            },
            |bytes: &[u8]| {
                $crate::distill_fuzz::run($crate::distill_fuzz::$name::check, bytes);
            }
        );
    };
}
