//! A small VST3 host, on Linux: enough of one to play, and to ask what the validator of the format
//! asks.
//!
//! Calls answer as the interface does: with `kResultOk`, or why not.
#![expect(unsafe_code, reason = "a plugin is foreign code")]

mod block;
mod objects;
mod play;
mod rough;

use std::ffi::c_void;
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Context, Result, ensure};
use libloading::{Library, Symbol};
use vst3::Steinberg::Vst::ChannelContext::IInfoListener;
use vst3::Steinberg::Vst::{
    BusInfo, IAudioProcessor, IAudioProcessorTrait, IComponent, IComponentTrait, IEditController,
    IEditControllerTrait, IMidiMapping, IMidiMappingTrait, INoteExpressionController, IUnitInfo,
    IUnitInfoTrait, ParameterInfo, ProcessSetup, SpeakerArrangement, UnitInfo,
};
use vst3::Steinberg::{
    IBStream, IPluginBaseTrait, IPluginFactory, IPluginFactoryTrait, PClassInfo, TUID, kResultOk,
};
use vst3::{ComPtr, ComWrapper, Interface};

pub use block::{Block, Change};
use objects::Stream;

/// A loaded VST3.
pub struct Module {
    class: TUID,
    factory: ComPtr<IPluginFactory>,
    // Dropped last.
    library: Library,
}

impl Module {
    /// Loads a VST3 package and looks up the first class in it.
    ///
    /// # Errors
    ///
    /// Fails if the package is none, or holds no class.
    pub fn open(package: &Path) -> Result<Self> {
        let name = package.file_stem().unwrap_or_default();
        let folder = format!("Contents/{}-linux", std::env::consts::ARCH);
        let path = package.join(folder).join(name).with_extension("so");
        // SAFETY: the file is our own build of the instrument, and its symbols are those of VST3.
        unsafe {
            let library =
                Library::new(&path).with_context(|| format!("cannot load {}", path.display()))?;
            let enter: Symbol<unsafe extern "C" fn(*mut c_void) -> bool> =
                library.get(b"ModuleEntry")?;
            ensure!(enter(null_mut()), "{} refuses to be loaded", path.display());
            let get: Symbol<unsafe extern "system" fn() -> *mut c_void> =
                library.get(b"GetPluginFactory")?;
            let factory = ComPtr::from_raw(get().cast::<IPluginFactory>());
            let factory = factory.context("the file has no factory")?;
            ensure!(factory.countClasses() > 0, "{} holds no class", path.display());
            let mut class: PClassInfo = std::mem::zeroed();
            ensure!(factory.getClassInfo(0, &raw mut class) == kResultOk, "the class is not told");
            Ok(Self { class: class.cid, factory, library })
        }
    }

    /// Creates an instance of the plugin, with everything at its default.
    ///
    /// # Errors
    ///
    /// Fails if the plugin cannot be created, or lacks an interface.
    pub fn instrument(&self) -> Result<Instrument> {
        let mut object = null_mut();
        let (class, interface) = (self.class.as_ptr(), IComponent::IID.as_ptr());
        // SAFETY: both are identifiers of 16 bytes, and the factory is live.
        let answer =
            unsafe { self.factory.createInstance(class, interface.cast(), &raw mut object) };
        ensure!(answer == kResultOk, "the class refuses to be created: {answer}");
        // SAFETY: the factory gave a component, with a reference to it.
        let component = unsafe { ComPtr::from_raw(object.cast::<IComponent>()) };
        let component = component.context("the factory creates nothing")?;
        // SAFETY: as the interface wants it.
        ensure!(unsafe { component.initialize(null_mut()) } == kResultOk, "it does not begin");
        ensure!(component.cast::<INoteExpressionController>().is_some(), "it knows no expressions");
        ensure!(component.cast::<IInfoListener>().is_some(), "it does not listen to its track");
        Ok(Instrument {
            processor: component.cast().context("it plays nothing")?,
            controller: component.cast().context("it has no parameters")?,
            mapping: component.cast().context("it hears no controllers")?,
            units: component.cast().context("its parameters are in no groups")?,
            component,
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the symbol is that of VST3.
        unsafe {
            if let Ok(exit) = self.library.get::<unsafe extern "C" fn() -> bool>(b"ModuleExit") {
                exit();
            }
        }
    }
}

/// A parameter as the plugin describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// What automation is addressed to.
    pub id: u32,
    /// What a person reads.
    pub name: String,
    /// The value of a new instance, 0 to 1.
    pub default: f64,
    /// The group that it is in.
    pub unit: i32,
    /// Whether hosts show it.
    pub is_shown: bool,
}

/// One instance of the plugin.
pub struct Instrument {
    component: ComPtr<IComponent>,
    processor: ComPtr<IAudioProcessor>,
    controller: ComPtr<IEditController>,
    mapping: ComPtr<IMidiMapping>,
    units: ComPtr<IUnitInfo>,
}

impl Drop for Instrument {
    fn drop(&mut self) {
        // SAFETY: as the interface wants it, once.
        unsafe { self.component.terminate() };
    }
}

// SAFETY, of all calls below: the objects live as long as `self`, and pointers are to live values of
// the type that the interface names.
impl Instrument {
    /// How many parameters there are.
    #[must_use]
    pub fn parameter_count(&self) -> i32 {
        // SAFETY: see above.
        unsafe { self.controller.getParameterCount() }
    }

    /// The parameter of a number, if the plugin has one.
    #[must_use]
    pub fn parameter(&self, index: i32) -> Option<Parameter> {
        // SAFETY: see above; a description of zeros is one.
        let (answer, info) = unsafe {
            let mut info: ParameterInfo = std::mem::zeroed();
            (self.controller.getParameterInfo(index, &raw mut info), info)
        };
        (answer == kResultOk).then(|| Parameter {
            id: info.id,
            name: text(&info.title),
            default: info.defaultNormalizedValue,
            unit: info.unitId,
            is_shown: info.flags & (1 << 4) == 0,
        })
    }

    /// All parameters, in the plugin's order.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        (0..self.parameter_count()).filter_map(|index| self.parameter(index)).collect()
    }

    /// The value of a parameter, 0 to 1.
    #[must_use]
    pub fn value(&self, id: u32) -> f64 {
        // SAFETY: see above.
        unsafe { self.controller.getParamNormalized(id) }
    }

    /// Sets a parameter to a value, 0 to 1, and says whether the plugin took it.
    pub fn set(&mut self, id: u32, value: f64) -> i32 {
        // SAFETY: see above.
        unsafe { self.controller.setParamNormalized(id, value) }
    }

    /// What the plugin shows for a value, if it knows the parameter.
    #[must_use]
    pub fn show(&self, id: u32, value: f64) -> Option<String> {
        let mut shown = [0; 128];
        // SAFETY: see above.
        let answer = unsafe { self.controller.getParamStringByValue(id, value, &raw mut shown) };
        (answer == kResultOk).then(|| text(&shown))
    }

    /// The value that the plugin understands `typed` as.
    #[must_use]
    pub fn read(&self, id: u32, typed: &str) -> Option<f64> {
        let mut typed: Vec<u16> = typed.encode_utf16().chain([0]).collect();
        let mut value = 0.0;
        // SAFETY: see above; the text ends with 0.
        let answer = unsafe {
            self.controller.getParamValueByString(id, typed.as_mut_ptr(), &raw mut value)
        };
        (answer == kResultOk).then_some(value)
    }

    /// The parameter by which a MIDI controller of a channel is heard, if it is.
    #[must_use]
    pub fn controller(&self, number: i16, channel: i16) -> Option<u32> {
        let mut id = 0;
        // SAFETY: see above.
        let answer =
            unsafe { self.mapping.getMidiControllerAssignment(0, channel, number, &raw mut id) };
        (answer == kResultOk).then_some(id)
    }

    /// The groups of parameters, by their numbers.
    #[must_use]
    pub fn units(&self) -> Vec<(i32, String)> {
        // SAFETY: see above.
        let count = unsafe { self.units.getUnitCount() };
        (0..count).filter_map(|index| self.unit(index)).collect()
    }

    /// The group at `index`, if there is one.
    #[must_use]
    pub fn unit(&self, index: i32) -> Option<(i32, String)> {
        // SAFETY: see above; a description of zeros is one.
        let (answer, info) = unsafe {
            let mut info: UnitInfo = std::mem::zeroed();
            (self.units.getUnitInfo(index, &raw mut info), info)
        };
        (answer == kResultOk).then(|| (info.id, text(&info.name)))
    }

    /// Buses of a kind (0 sound, 1 events) and direction (0 in, 1 out).
    #[must_use]
    pub fn bus_count(&self, kind: i32, direction: i32) -> i32 {
        // SAFETY: see above.
        unsafe { self.component.getBusCount(kind, direction) }
    }

    /// Channels of a bus, if there is one.
    #[must_use]
    pub fn bus_channels(&self, kind: i32, direction: i32, index: i32) -> Option<i32> {
        // SAFETY: see above; a description of zeros is one.
        let (answer, info) = unsafe {
            let mut info: BusInfo = std::mem::zeroed();
            (self.component.getBusInfo(kind, direction, index, &raw mut info), info)
        };
        (answer == kResultOk).then_some(info.channelCount)
    }

    /// Turns a bus on or off.
    pub fn activate_bus(&mut self, kind: i32, direction: i32, index: i32, on: bool) -> i32 {
        // SAFETY: see above.
        unsafe { self.component.activateBus(kind, direction, index, on.into()) }
    }

    /// Asks for these speakers of the buses that come out, and none that go in.
    pub fn arrange(&mut self, outputs: &mut [SpeakerArrangement]) -> i32 {
        let count = i32::try_from(outputs.len()).unwrap_or(i32::MAX);
        let mut none = [0];
        // SAFETY: see above; there are `count` of them.
        unsafe {
            self.processor.setBusArrangements(none.as_mut_ptr(), 0, outputs.as_mut_ptr(), count)
        }
    }

    /// Says how it will be played: samples per second, the longest block, 0 live or 2 to a file, 0 for
    /// samples of 32 bits.
    pub fn set_up(&mut self, rate: f64, block: i32, mode: i32, size: i32) -> i32 {
        let mut setup = ProcessSetup {
            processMode: mode,
            symbolicSampleSize: size,
            maxSamplesPerBlock: block,
            sampleRate: rate,
        };
        // SAFETY: see above.
        unsafe { self.processor.setupProcessing(&raw mut setup) }
    }

    /// Activates the instance, or ends that.
    pub fn set_active(&mut self, on: bool) -> i32 {
        // SAFETY: see above.
        unsafe { self.component.setActive(on.into()) }
    }

    /// Starts or stops processing.
    pub fn set_processing(&mut self, on: bool) -> i32 {
        // SAFETY: see above.
        unsafe { self.processor.setProcessing(on.into()) }
    }

    /// Samples by which the plugin is late.
    #[must_use]
    pub fn latency(&self) -> u32 {
        // SAFETY: see above.
        unsafe { self.processor.getLatencySamples() }
    }

    /// Whether it plays samples of this size: 0 for 32 bits, 1 for 64.
    #[must_use]
    pub fn plays(&self, size: i32) -> bool {
        // SAFETY: see above.
        unsafe { self.processor.canProcessSampleSize(size) == kResultOk }
    }

    /// What saves and loads its state, for any thread: hosts do that on their main thread while
    /// another one plays.
    #[must_use]
    pub fn project(&self) -> Project {
        Project(self.component.clone())
    }

    /// Whether it refuses null in place of each thing that it could be given.
    #[must_use]
    pub fn refuses_null(&mut self) -> bool {
        // SAFETY: null is what is tried.
        let answers = unsafe {
            [
                self.component.setState(null_mut()),
                self.component.getState(null_mut()),
                self.processor.setupProcessing(null_mut()),
                self.processor.process(null_mut()),
                self.processor.setBusArrangements(null_mut(), 0, null_mut(), 1),
                self.controller.getParameterInfo(0, null_mut()),
                self.controller.getParamStringByValue(0, 0.0, null_mut()),
                self.controller.getParamValueByString(0, null_mut(), null_mut()),
                self.units.getUnitInfo(0, null_mut()),
            ]
        };
        answers.iter().all(|answer| *answer != kResultOk)
    }
}

/// The state of an instance.
pub struct Project(ComPtr<IComponent>);

// SAFETY, of both: as of the instance.
impl Project {
    /// What a project file would hold for this instance.
    ///
    /// # Errors
    ///
    /// Fails if the plugin cannot save its state.
    pub fn save(&self) -> Result<Vec<u8>> {
        self.save_to(None, None)
    }

    /// The same, to a stream that takes at most `piece` bytes at once, and `room` in all.
    ///
    /// # Errors
    ///
    /// Fails if the plugin cannot save its state, or says so.
    pub fn save_to(&self, piece: Option<usize>, room: Option<usize>) -> Result<Vec<u8>> {
        let stream = ComWrapper::new(Stream::new(&[], piece, room));
        let pointer = stream.as_com_ref::<IBStream>().context("a stream is a stream")?;
        // SAFETY: see above.
        let answer = unsafe { self.0.getState(pointer.as_ptr()) };
        ensure!(answer == kResultOk, "the state cannot be saved: {answer}");
        Ok(stream.bytes())
    }

    /// Restores what [`Self::save`] gave; says whether the plugin took it.
    #[must_use]
    pub fn load(&self, state: &[u8]) -> i32 {
        self.load_from(state, None)
    }

    /// The same, from a stream that gives at most `piece` bytes at once.
    #[must_use]
    pub fn load_from(&self, state: &[u8], piece: Option<usize>) -> i32 {
        let stream = ComWrapper::new(Stream::new(state, piece, None));
        let pointer = stream.as_com_ref::<IBStream>().map_or(null_mut(), |stream| stream.as_ptr());
        // SAFETY: see above.
        unsafe { self.0.setState(pointer) }
    }
}

/// Text up to its end.
fn text(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}
