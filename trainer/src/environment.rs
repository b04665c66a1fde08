//! The one setting of the tensor library that only the environment can change.
#![expect(unsafe_code, reason = "the environment of a process is shared by all its threads")]

/// Keeps the tensor library from starting threads of its own.
///
/// Training runs the parts of a batch side by side, one thread each ([`crate::train`]). The
/// library would split every element-wise operation once more among threads that spin while they
/// wait for each other; with parts on all cores, most of the time would go into that.
///
/// Call it first thing in `main`.
pub fn keep_tensor_library_on_one_thread() {
    for name in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: `main` has just begun, so no other thread reads the environment.
            unsafe { std::env::set_var(name, "1") };
        }
    }
}
