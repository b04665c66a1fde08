//! The host's hold on an open window.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use baseview::Window;

/// An open window, which is closed when this is dropped.
pub struct Opened {
    window: Window,
    /// Tells the handler to close it.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the framework closes it"))]
    closing: Arc<AtomicBool>,
}

impl Opened {
    pub(super) const fn new(window: Window, closing: Arc<AtomicBool>) -> Self {
        Self { window, closing }
    }
}

impl Deref for Opened {
    type Target = Window;

    fn deref(&self) -> &Window {
        &self.window
    }
}

/// Leaves no thread of the window behind.
///
/// `baseview` (0.4.2) asks the window's thread to end, then to show the window, and waits for it only if
/// it answers. One that has ended its loop by then no longer does. It was left to take down OpenGL beside
/// whatever the host did next: one process in fifteen that opened and closed four windows died of it. So
/// the thread has ended its loop, and dropped all it had, before `baseview` hears that it should; then it
/// asks for nothing and waits for the thread itself.
#[cfg(target_os = "linux")]
impl Drop for Opened {
    fn drop(&mut self) {
        self.closing.store(true, std::sync::atomic::Ordering::Release);
        while self.window.is_open() {
            // A thread that is gone needs no telling.
            let _ = self.window.request_poll();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        crate::allocator::give_back();
    }
}
