//! A CLAP host without a screen: what a DAW does to an instrument when it bounces a track.
//!
//! Playing runs on a thread of its own, as in a DAW; the thread that made the instrument answers
//! its calls to the main thread meanwhile.

mod entry;
mod performance;
mod play;
mod rough;
pub mod state;
#[cfg(target_os = "linux")]
mod window;

use std::ffi::CString;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use clack_extensions::latency::PluginLatency;
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamInfoBuffer,
    ParamRescanFlags, PluginParams,
};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::{HostState, HostStateImpl, PluginState};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;
use clack_host::utils::ClapId;

pub use performance::Performance;
#[cfg(target_os = "linux")]
pub(crate) use play::KeyEvent;
pub use play::Playback;

/// A loaded CLAP file.
pub struct Host {
    info: HostInfo,
    entry: PluginEntry,
    id: CString,
}

impl Host {
    /// Loads a CLAP file and looks up the first plugin in it.
    ///
    /// # Errors
    ///
    /// Fails if the file is no CLAP or holds no plugin.
    pub fn open(path: &Path) -> Result<Self> {
        let entry = entry::load(path)?;
        let factory = entry.get_plugin_factory().context("the file has no plugin factory")?;
        let first = factory.plugin_descriptors().next();
        let id = first.and_then(|plugin| Some(plugin.id()?.to_owned()));
        let id = id.with_context(|| format!("{} holds no plugin", path.display()))?;
        let info = HostInfo::new("distill-play", "Distill", "", env!("CARGO_PKG_VERSION"))?;
        Ok(Self { info, entry, id })
    }

    /// The identifier of the plugin.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.to_string_lossy().into_owned()
    }

    /// Creates an instance of the plugin, with everything at its default.
    ///
    /// # Errors
    ///
    /// Fails if the plugin cannot be created.
    pub fn instrument(&self) -> Result<Instrument> {
        let plugin = PluginInstance::new(
            |()| Shared::default(),
            |_| MainThread,
            &self.entry,
            &self.id,
            &self.info,
        )?;
        Ok(Instrument { plugin, may_sleep: false })
    }
}

/// A parameter as the plugin describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// What automation is addressed to.
    pub id: ClapId,
    /// What a person reads.
    pub name: String,
    /// Smallest plain value.
    pub min: f64,
    /// Largest plain value.
    pub max: f64,
    /// Plain value of a new instance.
    pub default: f64,
}

/// One instance of the plugin.
pub struct Instrument {
    plugin: PluginInstance<Handlers>,
    /// What it said last.
    may_sleep: bool,
}

impl Instrument {
    /// All parameters, in the plugin's order.
    pub fn parameters(&mut self) -> Vec<Parameter> {
        let handle = self.plugin.plugin_handle();
        let Some(params) = handle.get_extension::<PluginParams>() else { return Vec::new() };
        let describe = |index| {
            let mut buffer = ParamInfoBuffer::new();
            params.get_info(&handle, index, &mut buffer).map(|info| Parameter {
                id: info.id,
                name: String::from_utf8_lossy(info.name).into_owned(),
                min: info.min_value,
                max: info.max_value,
                default: info.default_value,
            })
        };
        (0..params.count(&handle)).filter_map(describe).collect()
    }

    /// Looks a parameter up by its name, ignoring case.
    ///
    /// # Errors
    ///
    /// Fails if there is none, and says which there are.
    pub fn parameter(&mut self, name: &str) -> Result<Parameter> {
        let all = self.parameters();
        all.iter().find(|p| p.name.eq_ignore_ascii_case(name)).cloned().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|p| p.name.as_str()).collect();
            anyhow!("the plugin has no parameter “{name}”; it has {}", names.join(", "))
        })
    }

    /// The plain value of a parameter.
    ///
    /// # Errors
    ///
    /// Fails if the plugin does not know the parameter.
    pub fn value(&mut self, parameter: &Parameter) -> Result<f64> {
        let handle = self.plugin.plugin_handle();
        let params: PluginParams =
            handle.get_extension().context("the plugin has no parameters")?;
        let value = params.get_value(&handle, parameter.id);
        value.with_context(|| format!("the plugin gives no value for “{}”", parameter.name))
    }

    /// What a plain value is called, with its unit.
    ///
    /// # Errors
    ///
    /// Fails if the plugin does not say.
    pub fn show(&mut self, parameter: &Parameter, value: f64) -> Result<String> {
        let handle = self.plugin.plugin_handle();
        let params: PluginParams =
            handle.get_extension().context("the plugin has no parameters")?;
        let mut buffer = [0; 256];
        let text = params.value_to_text(&handle, parameter.id, value, &mut buffer);
        let text = text.with_context(|| format!("the plugin does not show {}", parameter.name))?;
        Ok(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
    }

    /// The plain value that the plugin understands `text` as, such as `-6 dB`: what a musician
    /// types. Plain values of continuous parameters are shares of their range in this plugin.
    ///
    /// # Errors
    ///
    /// Fails if the plugin does not understand the text.
    pub fn read(&mut self, parameter: &Parameter, text: &str) -> Result<f64> {
        let handle = self.plugin.plugin_handle();
        let params: PluginParams =
            handle.get_extension().context("the plugin has no parameters")?;
        let value = params.text_to_value(&handle, parameter.id, &CString::new(text)?);
        value.with_context(|| format!("the plugin does not read “{text}” as {}", parameter.name))
    }

    /// Sets a parameter to a plain value while nothing is playing.
    ///
    /// # Errors
    ///
    /// Fails if the value is out of the parameter's range, or the plugin takes no parameters.
    pub fn set(&mut self, parameter: &Parameter, value: f64) -> Result<()> {
        let Parameter { name, min, max, .. } = parameter;
        ensure!((*min..=*max).contains(&value), "{name} cannot be {value}: it is {min} to {max}");
        self.send(parameter, value)
    }

    /// Sends any value to a parameter while nothing is playing, as automation may.
    ///
    /// # Errors
    ///
    /// Fails if the plugin takes no parameters.
    pub fn send(&mut self, parameter: &Parameter, value: f64) -> Result<()> {
        let mut handle = self.plugin.inactive_plugin_handle().context("the plugin is playing")?;
        let params: PluginParams =
            handle.get_extension().context("the plugin has no parameters")?;
        let event = ParamValueEvent::new(0, parameter.id, Pckn::match_all(), value);
        let events = [event];
        params.flush(&mut handle, &InputEvents::from_buffer(&events), &mut OutputEvents::void());
        self.answer_calls();
        Ok(())
    }

    /// What a project file would hold for this instance.
    ///
    /// # Errors
    ///
    /// Fails if the plugin cannot save its state.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        self.answer_calls();
        let handle = self.plugin.plugin_handle();
        let state: PluginState = handle.get_extension().context("the plugin has no state")?;
        let mut bytes = Vec::new();
        state.save(&handle, &mut bytes)?;
        Ok(bytes)
    }

    /// Restores what [`Self::save`] gave.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses the state.
    pub fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let handle = self.plugin.plugin_handle();
        let state: PluginState = handle.get_extension().context("the plugin has no state")?;
        state.load(&handle, &mut Cursor::new(bytes))?;
        self.answer_calls();
        Ok(())
    }

    /// Restores what [`Self::save`] gave, from a stream that gives at most `piece` bytes at once.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses the state.
    pub fn load_in_pieces(&mut self, bytes: &[u8], piece: usize) -> Result<()> {
        let handle = self.plugin.plugin_handle();
        let state: PluginState = handle.get_extension().context("the plugin has no state")?;
        state.load(&handle, &mut Pieces { left: bytes, piece })?;
        self.answer_calls();
        Ok(())
    }

    /// Samples by which the plugin says its sound is late.
    pub fn latency(&mut self) -> u32 {
        let handle = self.plugin.plugin_handle();
        handle.get_extension::<PluginLatency>().map_or(0, |latency| latency.get(&handle))
    }

    fn set_render_mode(&mut self, mode: RenderMode) -> Result<()> {
        let handle = self.plugin.plugin_handle();
        if let Some(render) = handle.get_extension::<PluginRender>() {
            render.set(&handle, mode)?;
        }
        Ok(())
    }

    /// Gives the plugin the main thread if it has asked for it.
    fn answer_calls(&mut self) {
        let asked =
            self.plugin.access_shared_handler(|shared| shared.asked.swap(false, Ordering::AcqRel));
        if asked {
            self.plugin.call_on_main_thread_callback();
        }
    }
}

/// A stream that gives little at once.
struct Pieces<'a> {
    left: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let len = to.len().min(self.piece);
        self.left.read(&mut to[..len])
    }
}

/// What the plugin may ask of the host.
struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Shared) {
        builder.register::<HostParams>().register::<HostState>();
        #[cfg(target_os = "linux")]
        builder.register::<clack_extensions::gui::HostGui>();
    }
}

/// Calls from any thread.
#[derive(Default)]
struct Shared {
    /// The plugin wants its main-thread callback.
    asked: AtomicBool,
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {
        self.asked.store(true, Ordering::Release);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {}
}

/// Calls from the main thread.
struct MainThread;

impl MainThreadHandler<'_> for MainThread {}

impl HostStateImpl for MainThread {
    fn mark_dirty(&self) {}
}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _: ParamRescanFlags) {}
    fn clear(&self, _: ClapId, _: ParamClearFlags) {}
}
