//! MAIN THREAD: states, read and written as hosts like it.
//!
//! A stream of a host may give or take fewer bytes than it was asked to. The framework asks once, and
//! takes what is missing for damage; so it gets streams in memory, and the host is asked until all is
//! there.
#![expect(unsafe_code, reason = "a host calls by pointers")]
#![allow(non_snake_case, reason = "the names are those of the interface")]

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nice_plug::wrapper::vst3::vst3::Steinberg::IBStream_::{IStreamSeekMode, IStreamSeekMode_};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    IBStream, IBStreamTrait, kInvalidArgument, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComRef};

/// The most that a state is, in bytes: far more than one with everything in it.
const LIMIT: usize = 64 << 20;
/// Bytes that a host is asked for at a time.
const PIECE: usize = 4096;

/// A stream in memory.
#[derive(Default)]
pub struct Memory(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    at: usize,
}

impl Memory {
    /// What is left of the stream of a host, if that is no more than [`LIMIT`].
    pub(super) fn read(host: ComRef<'_, IBStream>) -> Option<Self> {
        let (mut bytes, mut piece) = (Vec::new(), [0_u8; PIECE]);
        loop {
            let (to, mut read) = (piece.as_mut_ptr().cast(), 0);
            // SAFETY: there is room for as many bytes as it is asked for. Some hosts answer that they
            // failed when they have read what there was; only the number counts.
            unsafe { host.read(to, i32::try_from(PIECE).ok()?, &raw mut read) };
            let read = usize::try_from(read).ok().filter(|read| *read <= PIECE)?;
            bytes.extend(&piece[..read]);
            if read == 0 || bytes.len() > LIMIT {
                break;
            }
        }
        (bytes.len() <= LIMIT).then(|| Self(Mutex::new(Contents { bytes, at: 0 })))
    }

    /// Writes all of it to the stream of a host; says whether that took it.
    pub(super) fn write(&self, host: ComRef<'_, IBStream>) -> bool {
        let mut contents = self.contents();
        let mut left = contents.bytes.as_mut_slice();
        while !left.is_empty() {
            let (from, mut written) = (left.as_mut_ptr().cast(), 0);
            let len = i32::try_from(left.len()).unwrap_or(i32::MAX);
            // SAFETY: there are as many bytes.
            let answer = unsafe { host.write(from, len, &raw mut written) };
            let written = usize::try_from(written).unwrap_or(0).min(left.len());
            if answer != kResultOk || written == 0 {
                return false;
            }
            left = &mut left[written..];
        }
        true
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Class for Memory {
    type Interfaces = (IBStream,);
}

/// Tells the framework a number, if it wants to know.
///
/// # Safety
///
/// `to` is null or can be written to.
unsafe fn tell<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: the caller's promise.
        unsafe { to.write(value) };
    }
}

impl IBStreamTrait for Memory {
    unsafe fn read(&self, to: *mut c_void, count: i32, read: *mut i32) -> tresult {
        let Ok(wanted) = usize::try_from(count) else { return kInvalidArgument };
        let mut contents = self.contents();
        let Contents { bytes, at } = &mut *contents;
        let left = bytes.get(*at..).unwrap_or_default();
        let len = wanted.min(left.len());
        // SAFETY: the framework has room for what it wants.
        unsafe {
            std::ptr::copy_nonoverlapping(left.as_ptr(), to.cast::<u8>(), len);
            tell(read, i32::try_from(len).unwrap_or(0));
        }
        *at += len;
        kResultOk
    }

    unsafe fn write(&self, from: *mut c_void, count: i32, written: *mut i32) -> tresult {
        let Ok(len) = usize::try_from(count) else { return kInvalidArgument };
        // SAFETY: the framework has what it writes.
        self.contents().bytes.extend(unsafe { std::slice::from_raw_parts(from.cast::<u8>(), len) });
        // SAFETY: the framework's promise.
        unsafe { tell(written, count) };
        kResultOk
    }

    unsafe fn seek(&self, to: i64, mode: i32, now: *mut i64) -> tresult {
        let mut contents = self.contents();
        // The constants have a sign on Windows alone.
        let is = |constant: IStreamSeekMode| i64::from(mode) == i64::from(constant);
        let from = if is(IStreamSeekMode_::kIBSeekSet) {
            0
        } else if is(IStreamSeekMode_::kIBSeekCur) {
            contents.at
        } else if is(IStreamSeekMode_::kIBSeekEnd) {
            contents.bytes.len()
        } else {
            return kInvalidArgument;
        };
        let at = i64::try_from(from).ok().and_then(|from| from.checked_add(to));
        let Some(at) = at.and_then(|at| usize::try_from(at).ok()) else { return kInvalidArgument };
        contents.at = at;
        // SAFETY: the framework's promise.
        unsafe { tell(now, i64::try_from(at).unwrap_or(i64::MAX)) };
        kResultOk
    }

    unsafe fn tell(&self, to: *mut i64) -> tresult {
        // SAFETY: the framework's promise.
        unsafe { tell(to, i64::try_from(self.contents().at).unwrap_or(i64::MAX)) };
        kResultOk
    }
}
