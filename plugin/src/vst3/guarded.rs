//! ALL THREADS: one instance, between the host and the framework.
//!
//! Every call goes on to the framework, and an internal error in it becomes an answer that says so.
//! Beyond that:
//!
//! * Of the 2080 parameters by which the framework hears MIDI controllers, one per controller and
//!   channel, hosts see only those that are [heard](HEARD); some need a minute to load them all.
//! * A host that says that it renders to a file is believed at once; the framework tells the instrument
//!   one call too late.
//! * Blocks that cannot be played, because they are shorter than nothing or of another kind of numbers,
//!   are refused. Those without memory to write to are played to nobody: the framework would pass over
//!   their notes, and what is held would be for ever.
//! * States are read and written in one piece; see [`memory`](super::memory).
#![expect(unsafe_code, reason = "a host calls by pointers")]
#![allow(non_snake_case, reason = "the names are those of the interface")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::wrapper::vst3::Wrapper;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::ChannelContext::{
    IInfoListener, IInfoListenerTrait,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::*;
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IBStream, IPlugView, IPluginBaseTrait, TBool, TUID, int16, int32,
    kInternalError, kInvalidArgument, kResultFalse, kResultOk, tresult, uint32,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComRef, ComWrapper};

use super::memory::Memory;
use crate::Instrument;

/// The MIDI controllers that hosts may map (Steinberg, `ivstmidicontrollers.h`): the pedal, number 64,
/// what silences all sound, resets wheel and pedal, and lets go of all notes, 120, 121 and 123, and the
/// wheel, 129.
pub const HEARD: [i16; 5] = [64, 120, 121, 123, 129];
/// Controllers of a channel for which the framework has parameters: those of MIDI, pressure, wheel.
const CONTROLLERS: i32 = 130;
/// Channels of MIDI.
const CHANNELS: i32 = 16;
/// Samples of the longest block that can be played to nobody.
const LONGEST: usize = 1 << 20;

/// One instance as the host sees it.
pub struct Guarded {
    framework: Wrapper<Instrument>,
    /// Whether the host has said at which rate it plays.
    is_set_up: AtomicBool,
    /// Whether the host has activated it, without which the framework has no buffers.
    is_active: AtomicBool,
    /// Two channels as long as the longest block, to play to nobody. Only set up and played, never at the
    /// same time, so that nobody waits for it.
    spare: Mutex<[Vec<f32>; 2]>,
}

impl Class for Guarded {
    type Interfaces = (
        IComponent,
        IEditController,
        IAudioProcessor,
        IMidiMapping,
        INoteExpressionController,
        IProcessContextRequirements,
        IUnitInfo,
        IInfoListener,
    );
}

impl Guarded {
    /// A new instance, unless it cannot be made.
    pub(super) fn new() -> Option<Self> {
        let framework = catch_unwind(Wrapper::new).ok()?;
        Some(Self {
            framework,
            is_set_up: AtomicBool::new(false),
            is_active: AtomicBool::new(false),
            spare: Mutex::default(),
        })
    }

    /// What `call` answers, or `otherwise` if it panics.
    fn contained<T>(&self, otherwise: T, call: impl FnOnce(&Wrapper<Instrument>) -> T) -> T {
        catch_unwind(AssertUnwindSafe(|| call(&self.framework))).unwrap_or_else(|panic| {
            // Freeing it may be as forbidden here as the panic was.
            std::mem::forget(panic);
            otherwise
        })
    }

    /// What `call` answers to a stream in memory.
    fn with_stream(
        &self,
        memory: &ComWrapper<Memory>,
        call: impl FnOnce(&Wrapper<Instrument>, *mut IBStream) -> tresult,
    ) -> tresult {
        let Some(stream) = memory.as_com_ref::<IBStream>() else { return kInternalError };
        self.contained(kInternalError, |framework| call(framework, stream.as_ptr()))
    }

    /// The parameters of the instrument itself.
    fn own_parameters(&self) -> i32 {
        let count = self.contained(0, |framework| {
            // SAFETY: it only counts.
            unsafe { framework.getParameterCount() }
        });
        (count - CONTROLLERS * CHANNELS).max(0)
    }

    /// The framework's number of the host's parameter `index`, if there is one.
    fn parameter(&self, index: i32) -> Option<i32> {
        let own = self.own_parameters();
        if (0..own).contains(&index) {
            return Some(index);
        }
        let heard = usize::try_from(index.checked_sub(own)?).ok()?;
        let channel =
            i32::try_from(heard / HEARD.len()).ok().filter(|channel| *channel < CHANNELS)?;
        Some(own + channel * CONTROLLERS + i32::from(HEARD[heard % HEARD.len()]))
    }
}

/// Functions of an interface that go on to the framework; what fails there answers something else.
macro_rules! forward {
    ($interface:ident: $($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty, or $otherwise:expr;)*) => {$(
        unsafe fn $name(&self, $($argument: $kind),*) -> $answer {
            self.contained($otherwise, |framework| {
                // SAFETY: the host's promises are passed on as they are.
                unsafe { $interface::$name(framework, $($argument),*) }
            })
        }
    )*};
}

impl IPluginBaseTrait for Guarded {
    forward! { IPluginBaseTrait:
        initialize(context: *mut FUnknown) -> tresult, or kInternalError;
        terminate() -> tresult, or kInternalError;
    }
}

impl IComponentTrait for Guarded {
    forward! { IComponentTrait:
        getControllerClassId(class: *mut TUID) -> tresult, or kInternalError;
        setIoMode(mode: IoMode) -> tresult, or kInternalError;
        getBusCount(kind: MediaType, direction: BusDirection) -> int32, or 0;
        getBusInfo(kind: MediaType, direction: BusDirection, index: int32, info: *mut BusInfo)
            -> tresult, or kInternalError;
        getRoutingInfo(from: *mut RoutingInfo, to: *mut RoutingInfo) -> tresult, or kInternalError;
        activateBus(kind: MediaType, direction: BusDirection, index: int32, state: TBool)
            -> tresult, or kInternalError;
    }

    unsafe fn setState(&self, state: *mut IBStream) -> tresult {
        // SAFETY: the host's promise.
        let Some(state) = (unsafe { ComRef::from_raw(state) }) else { return kInvalidArgument };
        let Some(all) = Memory::read(state) else { return kResultFalse };
        self.with_stream(&ComWrapper::new(all), |framework, stream| {
            // SAFETY: it is a live stream.
            unsafe { IComponentTrait::setState(framework, stream) }
        })
    }

    unsafe fn getState(&self, state: *mut IBStream) -> tresult {
        // SAFETY: the host's promise.
        let Some(state) = (unsafe { ComRef::from_raw(state) }) else { return kInvalidArgument };
        let all = ComWrapper::new(Memory::default());
        let answer = self.with_stream(&all, |framework, stream| {
            // SAFETY: it is a live stream.
            unsafe { IComponentTrait::getState(framework, stream) }
        });
        if answer == kResultOk && !all.write(state) { kResultFalse } else { answer }
    }

    unsafe fn setActive(&self, state: TBool) -> tresult {
        self.is_active.store(false, Ordering::Release);
        let answer = self.contained(kInternalError, |framework| {
            // SAFETY: there are no pointers in it.
            unsafe { framework.setActive(state) }
        });
        self.is_active.store(state != 0 && answer == kResultOk, Ordering::Release);
        answer
    }
}

impl IEditControllerTrait for Guarded {
    forward! { IEditControllerTrait:
        setComponentState(state: *mut IBStream) -> tresult, or kInternalError;
        setState(state: *mut IBStream) -> tresult, or kInternalError;
        getState(state: *mut IBStream) -> tresult, or kInternalError;
        getParamStringByValue(id: ParamID, value: ParamValue, text: *mut String128)
            -> tresult, or kInternalError;
        getParamValueByString(id: ParamID, text: *mut TChar, value: *mut ParamValue)
            -> tresult, or kInternalError;
        normalizedParamToPlain(id: ParamID, value: ParamValue) -> ParamValue, or value;
        plainParamToNormalized(id: ParamID, value: ParamValue) -> ParamValue, or value;
        getParamNormalized(id: ParamID) -> ParamValue, or 0.0;
        setComponentHandler(handler: *mut IComponentHandler) -> tresult, or kInternalError;
        createView(name: FIDString) -> *mut IPlugView, or std::ptr::null_mut();
    }

    unsafe fn getParameterCount(&self) -> int32 {
        self.own_parameters() + CHANNELS * i32::try_from(HEARD.len()).unwrap_or(0)
    }

    unsafe fn getParameterInfo(&self, index: int32, info: *mut ParameterInfo) -> tresult {
        let Some(index) = self.parameter(index) else { return kInvalidArgument };
        self.contained(kInternalError, |framework| {
            // SAFETY: the host's promise; the framework refuses null.
            unsafe { framework.getParameterInfo(index, info) }
        })
    }

    unsafe fn setParamNormalized(&self, id: ParamID, value: ParamValue) -> tresult {
        if !value.is_finite() {
            return kInvalidArgument;
        }
        self.contained(kInternalError, |framework| {
            // SAFETY: there are no pointers in it.
            unsafe { framework.setParamNormalized(id, value.clamp(0.0, 1.0)) }
        })
    }
}

impl IAudioProcessorTrait for Guarded {
    forward! { IAudioProcessorTrait:
        setBusArrangements(
            inputs: *mut SpeakerArrangement, input_count: int32,
            outputs: *mut SpeakerArrangement, output_count: int32
        ) -> tresult, or kInternalError;
        getBusArrangement(direction: BusDirection, index: int32, to: *mut SpeakerArrangement)
            -> tresult, or kInternalError;
        canProcessSampleSize(size: int32) -> tresult, or kInternalError;
        getLatencySamples() -> uint32, or 0;
        setProcessing(state: TBool) -> tresult, or kInternalError;
        getTailSamples() -> uint32, or 0;
    }

    unsafe fn setupProcessing(&self, setup: *mut ProcessSetup) -> tresult {
        // SAFETY: the host's promise.
        let Some(promised) = (unsafe { setup.as_ref() }) else { return kInvalidArgument };
        let ProcessSetup { sampleRate, maxSamplesPerBlock, symbolicSampleSize, .. } = *promised;
        let plays = sampleRate.is_finite() && sampleRate > 0.0 && maxSamplesPerBlock > 0;
        if !plays || !is_single(symbolicSampleSize) {
            return kInvalidArgument;
        }
        self.is_set_up.store(true, Ordering::Release);
        let longest = usize::try_from(maxSamplesPerBlock).unwrap_or(0).min(LONGEST);
        if let Ok(mut spare) = self.spare.try_lock() {
            spare.iter_mut().for_each(|channel| channel.resize(longest, 0.0));
        }
        self.contained(kInternalError, |framework| {
            // The first time the framework notes the mode of the time before, the second time this one.
            // SAFETY: it is not null.
            unsafe {
                framework.setupProcessing(setup);
                framework.setupProcessing(setup)
            }
        })
    }

    unsafe fn process(&self, data: *mut ProcessData) -> tresult {
        // SAFETY: the host's promise.
        let Some(given) = (unsafe { data.as_ref() }) else { return kInvalidArgument };
        let is_playable = given.numSamples >= 0 && is_single(given.symbolicSampleSize);
        if !is_playable || !self.is_set_up.load(Ordering::Acquire) {
            return kInvalidArgument;
        }
        // Parameters may change without sound, and so without being active.
        if given.numSamples > 0 && !self.is_active.load(Ordering::Acquire) {
            return kResultFalse;
        }
        let mut output = None;
        if given.numOutputs > 0 {
            // SAFETY: the host's promise: there is one of each that it counts.
            output = unsafe { given.outputs.as_ref() }.map(|bus| AudioBusBuffers {
                // SAFETY: the host's promise.
                numChannels: unsafe { channels(bus) },
                ..*bus
            });
        }
        let mut spare = self.spare.try_lock();
        let mut pointers;
        if output.is_none_or(|bus| bus.numChannels == 0)
            && let Ok(spare) = &mut spare
            && usize::try_from(given.numSamples)
                .is_ok_and(|len| (1..=spare[0].len()).contains(&len))
        {
            pointers = spare.each_mut().map(|channel| channel.as_mut_ptr());
            output = Some(AudioBusBuffers {
                numChannels: 2,
                silenceFlags: 0,
                __field0: AudioBusBuffers__type0 { channelBuffers32: pointers.as_mut_ptr() },
            });
        }
        let outputs = output.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
        let mut data = ProcessData {
            numInputs: 0,
            inputs: std::ptr::null_mut(),
            numOutputs: i32::from(!outputs.is_null()),
            outputs,
            ..*given
        };
        self.contained(kInternalError, |framework| {
            // SAFETY: `data` is the host's, but for buses without memory: those are `spare`, which is
            // long enough, and locked until the end.
            unsafe { framework.process(&raw mut data) }
        })
    }
}

/// Whether samples are 32-bit floats, the only ones that are played.
fn is_single(size: i32) -> bool {
    u32::try_from(size).is_ok_and(|size| i64::from(size) == SymbolicSampleSizes_::kSample32 as i64)
}

/// Channels of `bus` that can be played: two, or none if either has no memory.
///
/// # Safety
///
/// There are as many pointers to channels as the bus counts, unless there is none.
unsafe fn channels(bus: &AudioBusBuffers) -> i32 {
    // SAFETY: all kinds of the union are pointers.
    let pointers = unsafe { bus.__field0.channelBuffers32 };
    // SAFETY: the caller's promise.
    let has = |index: usize| unsafe { !(*pointers.add(index)).is_null() };
    if bus.numChannels >= 2 && !pointers.is_null() && has(0) && has(1) { 2 } else { 0 }
}

impl IMidiMappingTrait for Guarded {
    unsafe fn getMidiControllerAssignment(
        &self,
        bus: int32,
        channel: int16,
        controller: CtrlNumber,
        to: *mut ParamID,
    ) -> tresult {
        if !HEARD.contains(&controller) {
            return kResultFalse;
        }
        self.contained(kResultFalse, |framework| {
            // SAFETY: the host's promise; the framework refuses null.
            unsafe { framework.getMidiControllerAssignment(bus, channel, controller, to) }
        })
    }
}

impl INoteExpressionControllerTrait for Guarded {
    forward! { INoteExpressionControllerTrait:
        getNoteExpressionCount(bus: int32, channel: int16) -> int32, or 0;
        getNoteExpressionInfo(bus: int32, channel: int16, index: int32, to: *mut NoteExpressionTypeInfo)
            -> tresult, or kInternalError;
        getNoteExpressionStringByValue(
            bus: int32, channel: int16, id: NoteExpressionTypeID, value: NoteExpressionValue,
            to: *mut String128
        ) -> tresult, or kInternalError;
        getNoteExpressionValueByString(
            bus: int32, channel: int16, id: NoteExpressionTypeID, text: *const TChar,
            to: *mut NoteExpressionValue
        ) -> tresult, or kInternalError;
    }
}

impl IProcessContextRequirementsTrait for Guarded {
    forward! { IProcessContextRequirementsTrait:
        getProcessContextRequirements() -> uint32, or 0;
    }
}

impl IUnitInfoTrait for Guarded {
    forward! { IUnitInfoTrait:
        getUnitCount() -> int32, or 0;
        getUnitInfo(index: int32, info: *mut UnitInfo) -> tresult, or kInternalError;
        getProgramListCount() -> int32, or 0;
        getProgramListInfo(index: int32, info: *mut ProgramListInfo) -> tresult, or kInternalError;
        getProgramName(list: ProgramListID, index: int32, name: *mut String128)
            -> tresult, or kInternalError;
        getProgramInfo(list: ProgramListID, index: int32, id: CString, value: *mut String128)
            -> tresult, or kInternalError;
        hasProgramPitchNames(list: ProgramListID, index: int32) -> tresult, or kInternalError;
        getProgramPitchName(list: ProgramListID, index: int32, pitch: int16, name: *mut String128)
            -> tresult, or kInternalError;
        getSelectedUnit() -> UnitID, or 0;
        selectUnit(id: UnitID) -> tresult, or kInternalError;
        getUnitByBus(
            kind: MediaType, direction: BusDirection, index: int32, channel: int32, to: *mut UnitID
        ) -> tresult, or kInternalError;
        setUnitProgramData(list: int32, index: int32, data: *mut IBStream) -> tresult, or kInternalError;
    }
}

impl IInfoListenerTrait for Guarded {
    forward! { IInfoListenerTrait:
        setChannelContextInfos(list: *mut IAttributeList) -> tresult, or kInternalError;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_is_an_answer() {
        let instance = Guarded::new().expect("it can be made");
        assert_eq!(instance.contained(7, |_| panic!("as a test")), 7);
        assert_eq!(instance.contained(7, |_| 8), 8);
    }
    #[test]
    fn hosts_may_map_every_controller_that_is_heard_to_a_parameter_that_they_see_and_no_other() {
        let instance = Guarded::new().expect("it can be made");
        let own = instance.own_parameters();
        // SAFETY: zeros are a parameter without a name, and all pointers are to what lives on.
        let seen: Vec<_> = unsafe {
            let count = instance.getParameterCount();
            assert_eq!(count - own, 80);
            let ids = (own..count).map(|index| {
                let mut info: ParameterInfo = std::mem::zeroed();
                assert_eq!(instance.getParameterInfo(index, &raw mut info), kResultOk);
                info.id
            });
            ids.collect()
        };
        let mapped = |controller, channel| {
            let mut id = 0;
            // SAFETY: it is written to while it lives.
            let answer = unsafe {
                instance.getMidiControllerAssignment(0, channel, controller, &raw mut id)
            };
            (answer == kResultOk).then_some(id)
        };
        let heard = (0..16).flat_map(|channel| (0..130).map(move |number| (number, channel)));
        let mapped: Vec<_> =
            heard.filter_map(|(number, channel)| mapped(number, channel)).collect();
        assert_eq!(mapped, seen);
    }
}
