//! The native window, and what connects it: the host's side of it to `baseview`, which opens windows on
//! every system, and its inside to `egui`, which draws.
//!
//! There are crates that do this. The one for this framework hears nothing of files that are dropped,
//! is never told that a window has closed, and ends the process where a window cannot be focused.

mod handler;
mod input;
mod letters;
#[cfg(target_os = "linux")]
mod libraries;
mod opened;
mod painter;

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baseview::{HandlerError, WindowSettings, WindowSize};
use crossbeam::atomic::AtomicCell;
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize, Size};
use nice_plug::editor::{
    Editor, EditorHandle, HostCallbacks, HostMainThreadCaller, HostMethods, ParentWindowHandle,
    ResizeHint, SpawnedEditor,
};

use super::Window;
use handler::Handler;
use opened::Opened;

/// Size of the window in logical pixels, before anyone makes it larger.
pub(super) const SIZE: LogicalSize<f64> = LogicalSize::new(980.0, 640.0);
/// What a host may make of it: anything that everything fits into.
#[expect(clippy::cast_possible_truncation, reason = "whole pixels")]
const RESIZING: ResizeHint = ResizeHint::resizable()
    .with_min_logical_size(LogicalSize::new(SIZE.width as f32, SIZE.height as f32));

/// The editor, as the framework sees it.
pub struct DistillEditor {
    shared: Arc<Shared>,
}

/// What host and window share.
struct Shared {
    contents: Mutex<Window>,
    /// Size and scale of the open window, or of the one that opens next.
    size: AtomicCell<Extent>,
    /// How large it is to be. A window that opens where pixels are small is not, at first.
    wanted: AtomicCell<LogicalSize<f64>>,
}

/// How large a window is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Extent {
    logical: LogicalSize<f64>,
    /// Physical pixels for each logical one.
    scale: f64,
    /// How much larger everything is drawn than it would be, which is the person's choice.
    zoom: f32,
}

impl Extent {
    /// Of a window of that zoom, where pixels are as they usually are.
    fn zoomed(zoom: f32) -> Self {
        let [width, height] = [SIZE.width, SIZE.height].map(|length| length * f64::from(zoom));
        Self { logical: LogicalSize::new(width, height), scale: 1.0, zoom }
    }
}

impl Shared {
    /// What the window shows. A panic while it was drawn is its own affair.
    fn contents(&self) -> MutexGuard<'_, Window> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DistillEditor {
    pub(super) fn new(contents: Window) -> Self {
        let (contents, size) = (Mutex::new(contents), AtomicCell::new(Extent::zoomed(1.0)));
        let wanted = AtomicCell::new(SIZE);
        Self { shared: Arc::new(Shared { contents, size, wanted }) }
    }
}

impl Editor for DistillEditor {
    type Handle = Handle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        gui: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Handle>, Box<dyn Error>> {
        let shared = Arc::clone(&self.shared);
        let closing = Arc::default();
        let ending = Arc::clone(&closing);
        let settings = WindowSettings::new()
            .with_title("Distill")
            .with_size(shared.wanted.load())
            .with_resizable(true)
            .with_min_size::<Size>(Some(SIZE.into()))
            .with_parent(parent.as_ref())
            .with_wait_for_parent(wait_for_parent)
            .with_fallback_scale_factor(fallback_scale_factor)
            .with_gl_config(baseview::gl::GlConfig::default());
        let window = baseview::Window::create_with_host(
            settings,
            move |window| Handler::open(window, shared, gui, ending),
            host.map(host_of),
        )?;
        let window = Opened::new(window, closing);
        Ok(SpawnedEditor { handle: Handle { shared: Arc::clone(&self.shared) }, window })
    }

    fn size(&self) -> NativeSize<u32> {
        let Extent { logical, scale, .. } = self.shared.size.load();
        NativeSize::from_size(logical.into(), scale)
    }

    fn resize_hint(&self) -> ResizeHint {
        RESIZING
    }
}

/// The host's hold on an open window.
pub struct Handle {
    shared: Arc<Shared>,
}

impl EditorHandle for Handle {
    type Window = Opened;
    type Error = baseview::Error;

    // For instruments that are programs of their own, which this one is not.
    fn run_until_closed(_: Opened) -> Result<(), baseview::Error> {
        Ok(())
    }

    fn set_parent(
        &self,
        parent: ParentWindowHandle,
        window: &Opened,
    ) -> Result<(), baseview::Error> {
        window.set_parent(&parent)
    }

    fn show(&self, window: &Opened) -> Result<(), baseview::Error> {
        window.show()
    }

    fn hide(&self, window: &Opened) -> Result<(), baseview::Error> {
        window.hide()
    }

    fn set_size(&self, size: NativeSize<u32>, window: &Opened) -> Result<(), baseview::Error> {
        let scale = window.size().scale_factor;
        self.shared.wanted.store(Size::from(size).to_logical(scale));
        window.resize(size)
    }

    fn host_main_thread_callback(&self, window: &Opened) {
        window.host_main_thread_callback();
    }

    fn adjust_size(&self, wanted: NativeSize<u32>, window: &Opened) -> Option<NativeSize<u32>> {
        let WindowSize { logical, physical, scale_factor } = window.size();
        let current = NativeSize::from_logical_or_physical(logical, physical);
        Some(RESIZING.adjust_size(wanted, current, scale_factor))
    }

    fn set_fallback_scale_factor(
        &self,
        scale_factor: f64,
        window: &Opened,
    ) -> Result<(), baseview::Error> {
        window.suggest_fallback_scale_factor(scale_factor)?;
        window.resize(self.shared.wanted.load())
    }

    // The window looks at parameters whenever it draws, thirty times in a second.
    fn param_value_changed(&self, _: &str, _: f32) {}

    fn param_modulation_changed(&self, _: &str, _: f32) {}
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The next window may be on another display.
        let (logical, zoom) = (self.shared.wanted.load(), self.shared.size.load().zoom);
        self.shared.size.store(Extent { logical, scale: 1.0, zoom });
    }
}

/// The host, as `baseview` knows one: the framework has traits of its own for it.
fn host_of(host: HostMethods) -> baseview::host::Host {
    struct Callbacks(Box<dyn HostCallbacks>);
    impl baseview::host::HostCallbacks for Callbacks {
        fn request_resize(&mut self, size: WindowSize) -> Result<(), HandlerError> {
            let WindowSize { physical, scale_factor, .. } = size;
            self.0.request_resize(physical.into(), scale_factor).map_err(HandlerError::from_boxed)
        }

        fn destroyed(&mut self) {
            self.0.destroyed();
        }
    }
    struct MainThread(Box<dyn HostMainThreadCaller>);
    impl baseview::host::HostMainThreadCaller for MainThread {
        fn call_main_thread(&mut self) {
            self.0.call_main_thread();
        }
    }
    baseview::host::Host::new()
        .with_callbacks(Callbacks(host.callbacks))
        .with_main_thread(MainThread(host.main_thread_caller))
}
