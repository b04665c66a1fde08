//! Subnormal numbers cost a hundred times the time of others: threads that compute sound treat
//! them as zero.

#![expect(unsafe_code, reason = "the mode of the floating-point unit is set in assembly")]

/// Makes this thread treat subnormal results as zero, for as long as it lives.
///
/// The framework does the same around `process`, so both halves of a sound are computed alike.
pub fn flush_to_zero() {
    #[cfg(target_arch = "x86_64")]
    {
        /// Bit 15 of MXCSR, "flush to zero" (Intel SDM volume 1, 10.2.3.3).
        const FLUSH_TO_ZERO: u32 = 1 << 15;
        let mut mode = 0_u32;
        // SAFETY: both instructions only move the mode register of this thread to and from `mode`.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack));
            mode |= FLUSH_TO_ZERO;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack, readonly));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        /// Bit 24 of FPCR, "FZ" (Arm ARM, C5.2.8).
        const FLUSH_TO_ZERO: u64 = 1 << 24;
        // SAFETY: both instructions only move the mode register of this thread.
        unsafe {
            let mut mode: u64;
            std::arch::asm!("mrs {}, fpcr", out(reg) mode, options(nomem, nostack));
            mode |= FLUSH_TO_ZERO;
            std::arch::asm!("msr fpcr, {}", in(reg) mode, options(nomem, nostack));
        }
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::hint::black_box;

    #[test]
    fn subnormal_results_become_zero() {
        let half = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        let (before, after) = std::thread::spawn(move || {
            let before = half();
            super::flush_to_zero();
            (before, half())
        })
        .join()
        .unwrap();
        assert!(before > 0.0);
        assert_eq!(after, 0.0);
    }
}
