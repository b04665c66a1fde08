//! ALL THREADS: the instrument as VST3 hosts find it.
//!
//! The framework speaks VST3; what is here stands between it and the host. The framework has a
//! function that exports a plugin as it is, but then an internal error in it ends the host, and so
//! do some calls that a host may make; see [`guarded`].
#![expect(unsafe_code, reason = "a host calls by pointers")]
#![allow(non_snake_case, reason = "the names are those of the interface")]

pub mod guarded;
pub mod memory;

use std::ffi::c_void;

use nice_plug::wrapper::vst3::PluginInfo;
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IPluginFactory, IPluginFactory2, IPluginFactory2Trait, IPluginFactory3,
    IPluginFactory3Trait, IPluginFactoryTrait, PClassInfo, PClassInfo2, PClassInfoW, PFactoryInfo,
    TUID, int32, kInvalidArgument, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComWrapper};

use crate::Instrument;
use guarded::Guarded;

/// What a host asks for instruments: there is one.
struct Factory(PluginInfo);

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

/// Writes what `make` makes to where the host wants it, if it asks for the one class that there is.
///
/// # Safety
///
/// `to` is null or can be written to.
unsafe fn describe<T>(index: int32, to: *mut T, make: impl FnOnce() -> T) -> tresult {
    if index != 0 || to.is_null() {
        return kInvalidArgument;
    }
    // SAFETY: the caller's promise; it is not null.
    unsafe { to.write(make()) };
    kResultOk
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        // SAFETY: the host's promise.
        unsafe { describe(0, info, || self.0.create_factory_info()) }
    }

    unsafe fn countClasses(&self) -> int32 {
        1
    }

    unsafe fn getClassInfo(&self, index: int32, info: *mut PClassInfo) -> tresult {
        // SAFETY: the host's promise.
        unsafe { describe(index, info, || self.0.create_class_info()) }
    }

    unsafe fn createInstance(
        &self,
        class: FIDString,
        interface: FIDString,
        to: *mut *mut c_void,
    ) -> tresult {
        if class.is_null() || interface.is_null() || to.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: identifiers have 16 bytes.
        if unsafe { *class.cast::<[u8; 16]>() } != *self.0.cid {
            return kInvalidArgument;
        }
        let Some(instance) = Guarded::new().map(ComWrapper::new) else { return kInvalidArgument };
        let Some(unknown) = instance.as_com_ref::<FUnknown>() else { return kInvalidArgument };
        let unknown = unknown.as_ptr();
        // SAFETY: it is the live object above, to which the interface that is found adds a reference.
        unsafe { ((*(*unknown).vtbl).queryInterface)(unknown, interface.cast::<TUID>(), to) }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: int32, info: *mut PClassInfo2) -> tresult {
        // SAFETY: the host's promise.
        unsafe { describe(index, info, || self.0.create_class_info_2()) }
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: int32, info: *mut PClassInfoW) -> tresult {
        // SAFETY: the host's promise.
        unsafe { describe(index, info, || self.0.create_class_info_unicode()) }
    }

    unsafe fn setHostContext(&self, _: *mut FUnknown) -> tresult {
        kResultOk
    }
}

/// The factory, of which the caller owns one reference. Main thread.
#[unsafe(no_mangle)]
pub extern "system" fn GetPluginFactory() -> *mut c_void {
    let factory = ComWrapper::new(Factory(PluginInfo::for_plugin::<Instrument>()));
    let pointer = factory.to_com_ptr::<IPluginFactory>();
    pointer.map_or(std::ptr::null_mut(), |pointer| pointer.into_raw().cast())
}

/// Called when the library is loaded on Linux; there is nothing to prepare. Main thread.
#[cfg(all(target_family = "unix", not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleEntry(_: *mut c_void) -> bool {
    true
}

/// Called before the library is unloaded on Linux. Main thread.
#[cfg(all(target_family = "unix", not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleExit() -> bool {
    true
}

/// Called when the library is loaded on macOS; there is nothing to prepare. Main thread.
#[cfg(target_os = "macos")]
#[unsafe(no_mangle)]
pub extern "C" fn bundleEntry(_: *mut c_void) -> bool {
    true
}

/// Called before the library is unloaded on macOS. Main thread.
#[cfg(target_os = "macos")]
#[unsafe(no_mangle)]
pub extern "C" fn bundleExit() -> bool {
    true
}

/// Called when the library is loaded on Windows; there is nothing to prepare. Main thread.
#[cfg(target_os = "windows")]
#[unsafe(no_mangle)]
pub extern "system" fn InitDll() -> bool {
    true
}

/// Called before the library is unloaded on Windows. Main thread.
#[cfg(target_os = "windows")]
#[unsafe(no_mangle)]
pub extern "system" fn ExitDll() -> bool {
    true
}
