//! What a host gives a plugin to read from and write to.

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vst3::Steinberg::IBStream_::IStreamSeekMode_;
use vst3::Steinberg::Vst::{
    Event, IEventList, IEventListTrait, IParamValueQueue, IParamValueQueueTrait, IParameterChanges,
    IParameterChangesTrait, ParamID, ParamValue,
};
use vst3::Steinberg::{
    IBStream, IBStreamTrait, kInvalidArgument, kResultFalse, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComWrapper};

use super::Change;

/// A file in memory.
#[derive(Default)]
pub(super) struct Stream(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    at: usize,
    /// The most that is read or written at once, if anything.
    piece: Option<usize>,
    /// The most that it holds, if anything.
    room: Option<usize>,
}

impl Stream {
    pub(super) fn new(bytes: &[u8], piece: Option<usize>, room: Option<usize>) -> Self {
        Self(Mutex::new(Contents { bytes: bytes.to_vec(), at: 0, piece, room }))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.contents().bytes.clone()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Class for Stream {
    type Interfaces = (IBStream,);
}

/// Writes to where the plugin wants an answer, if anywhere.
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

impl IBStreamTrait for Stream {
    unsafe fn read(&self, to: *mut c_void, count: i32, done: *mut i32) -> tresult {
        let Ok(wanted) = usize::try_from(count) else { return kInvalidArgument };
        let mut contents = self.contents();
        let Contents { bytes, at, piece, .. } = &mut *contents;
        let from = &bytes[(*at).min(bytes.len())..];
        let len = wanted.min(from.len()).min(piece.unwrap_or(usize::MAX));
        // SAFETY: the plugin has room for what it wants.
        unsafe {
            std::ptr::copy_nonoverlapping(from.as_ptr(), to.cast::<u8>(), len);
            tell(done, i32::try_from(len).unwrap_or(0));
        }
        *at += len;
        kResultOk
    }

    unsafe fn write(&self, from: *mut c_void, count: i32, done: *mut i32) -> tresult {
        let Ok(len) = usize::try_from(count) else { return kInvalidArgument };
        let len = {
            let Contents { at, piece, room, .. } = *self.contents();
            let room = room.map_or(usize::MAX, |room| room.saturating_sub(at));
            len.min(room).min(piece.unwrap_or(usize::MAX))
        };
        // SAFETY: the plugin has what it writes.
        let from = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), len) };
        let mut contents = self.contents();
        let at = contents.at;
        contents.bytes.truncate(at);
        contents.bytes.extend(from);
        contents.at += len;
        // SAFETY: the plugin's promise.
        unsafe { tell(done, i32::try_from(len).unwrap_or(0)) };
        kResultOk
    }

    #[expect(clippy::cast_possible_wrap, reason = "states are small")]
    unsafe fn seek(&self, to: i64, mode: i32, done: *mut i64) -> tresult {
        let mut contents = self.contents();
        let from = match u32::try_from(mode) {
            Ok(mode) if mode == IStreamSeekMode_::kIBSeekSet => 0,
            Ok(mode) if mode == IStreamSeekMode_::kIBSeekCur => contents.at as i64,
            Ok(mode) if mode == IStreamSeekMode_::kIBSeekEnd => contents.bytes.len() as i64,
            _ => return kInvalidArgument,
        };
        let Ok(at) = usize::try_from(from + to) else { return kInvalidArgument };
        contents.at = at;
        // SAFETY: the plugin's promise.
        unsafe { tell(done, from + to) };
        kResultOk
    }

    #[expect(clippy::cast_possible_wrap, reason = "states are small")]
    unsafe fn tell(&self, to: *mut i64) -> tresult {
        // SAFETY: the plugin's promise.
        unsafe { tell(to, self.contents().at as i64) };
        kResultOk
    }
}

/// The changes of one parameter in a block.
struct Queue {
    id: u32,
    points: Vec<(i32, f64)>,
}

impl Class for Queue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for Queue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.id
    }

    unsafe fn getPointCount(&self) -> i32 {
        i32::try_from(self.points.len()).unwrap_or(0)
    }

    unsafe fn getPoint(&self, index: i32, at: *mut i32, value: *mut ParamValue) -> tresult {
        let point = usize::try_from(index).ok().and_then(|index| self.points.get(index));
        let Some(point) = point else { return kInvalidArgument };
        // SAFETY: the plugin's promise.
        unsafe {
            tell(at, point.0);
            tell(value, point.1);
        }
        kResultOk
    }

    unsafe fn addPoint(&self, _: i32, _: ParamValue, _: *mut i32) -> tresult {
        kResultFalse
    }
}

/// The changes of all parameters in a block.
pub(super) struct Changes(Vec<ComPtr<IParamValueQueue>>);

impl Changes {
    /// `changes` by their parameters, in the order of their times.
    pub(super) fn new(changes: &[Change]) -> Self {
        let mut ids: Vec<u32> = changes.iter().map(|change| change.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let of = |id| {
            let its = changes.iter().filter(|change| change.id == id);
            let points = its.map(|change| (change.at, change.value)).collect();
            ComWrapper::new(Queue { id, points }).to_com_ptr::<IParamValueQueue>()
        };
        Self(ids.into_iter().filter_map(of).collect())
    }
}

impl Class for Changes {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for Changes {
    unsafe fn getParameterCount(&self) -> i32 {
        i32::try_from(self.0.len()).unwrap_or(0)
    }

    unsafe fn getParameterData(&self, index: i32) -> *mut IParamValueQueue {
        let queue = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        queue.map_or(std::ptr::null_mut(), ComPtr::as_ptr)
    }

    unsafe fn addParameterData(&self, _: *const ParamID, _: *mut i32) -> *mut IParamValueQueue {
        std::ptr::null_mut()
    }
}

/// The notes of a block.
pub(super) struct Events(pub(super) Vec<Event>);

impl Class for Events {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for Events {
    unsafe fn getEventCount(&self) -> i32 {
        i32::try_from(self.0.len()).unwrap_or(0)
    }

    unsafe fn getEvent(&self, index: i32, to: *mut Event) -> tresult {
        let event = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        let Some(event) = event else { return kInvalidArgument };
        // SAFETY: the plugin's promise.
        unsafe { tell(to, *event) };
        kResultOk
    }

    unsafe fn addEvent(&self, _: *mut Event) -> tresult {
        kResultFalse
    }
}
