//! A host for tests of what the window does: it takes every change as it comes, and counts.
#![expect(unsafe_code, reason = "the framework tells parameters by their addresses")]

use std::sync::{Mutex, PoisonError};

use nice_plug::context::PluginApi;
use nice_plug::context::gui::GuiContextInner;
use nice_plug::params::internals::ParamPtr;
use nice_plug::plugin::PluginState;

/// What a window did to parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Begin(ParamPtr),
    Set(ParamPtr),
    End(ParamPtr),
}

/// A host that does nothing by itself.
#[derive(Debug, Default)]
pub(crate) struct PretendHost(Mutex<Vec<Deed>>);

impl PretendHost {
    /// How often a parameter was set.
    pub(crate) fn changes(&self) -> usize {
        let deeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.iter().filter(|deed| matches!(deed, Deed::Set(_))).count()
    }

    /// Whether each change was begun and ended before the next: then it can be undone.
    pub(crate) fn has_only_whole_gestures(&self) -> bool {
        let deeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.chunks(3).all(|deeds| {
            matches!(deeds, [Deed::Begin(a), Deed::Set(b), Deed::End(c)] if a == b && b == c)
        })
    }

    fn note(&self, deed: Deed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
    }
}

impl GuiContextInner for PretendHost {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }

    unsafe fn raw_begin_set_parameter(&self, param: ParamPtr) {
        self.note(Deed::Begin(param));
    }

    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        self.note(Deed::Set(param));
        // SAFETY: whoever calls holds the parameters.
        unsafe { param._internal_set_normalized_value(normalized) };
    }

    unsafe fn raw_end_set_parameter(&self, param: ParamPtr) {
        self.note(Deed::End(param));
    }

    fn get_state(&self) -> PluginState {
        unimplemented!("no test asks for it")
    }

    fn set_state(&self, _: PluginState) {
        unimplemented!("no test asks for it")
    }

    fn request_restart(&self) {}
}
