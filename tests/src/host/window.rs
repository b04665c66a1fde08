//! The window of an instance, inside one of the host's on an X display.
#![expect(unsafe_code, reason = "a window is given away by its number")]

use anyhow::{Context, Result, ensure};
use clack_extensions::gui::{
    GuiApiType, GuiConfiguration, GuiSize, HostGuiImpl, PluginGui, Window,
};
use clack_host::prelude::HostError;

use super::{Instrument, Shared};

impl Instrument {
    /// Opens the plugin's window inside window `parent`, which has to outlive it, drawn `scale` times as
    /// large as usual, and tells how wide and high it wants to be in pixels.
    ///
    /// # Errors
    ///
    /// Fails if the plugin has no window, or not inside another on X.
    pub fn open_window(&mut self, parent: u32, scale: f64) -> Result<(u32, u32)> {
        let handle = self.plugin.plugin_handle();
        let gui: PluginGui = handle.get_extension().context("the plugin has no window")?;
        let inside = GuiConfiguration { api_type: GuiApiType::X11, is_floating: false };
        ensure!(gui.is_api_supported(&handle, inside), "the plugin opens no window inside ours");
        gui.create(&handle, inside)?;
        // As hosts do on displays with small pixels; the plugin may go by the display alone.
        let _ = gui.set_scale(&handle, scale);
        let GuiSize { width, height } = gui.get_size(&handle).context("it has no size")?;
        // SAFETY: the caller's promise.
        unsafe { gui.set_parent(&handle, Window::from_x11_handle(parent.into()))? };
        // The framework shows it at once, and says that it cannot.
        let _ = gui.show(&handle);
        self.answer_calls();
        Ok((width, height))
    }

    /// Makes it as large as it can be that is nearest to a size in pixels, and tells how large it is.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or its size is its own affair.
    pub fn resize_window(&mut self, (width, height): (u32, u32)) -> Result<(u32, u32)> {
        let handle = self.plugin.plugin_handle();
        let gui: PluginGui = handle.get_extension().context("the plugin has no window")?;
        ensure!(gui.can_resize(&handle), "the window keeps its size");
        let wanted = GuiSize { width, height };
        let possible = gui.adjust_size(&handle, wanted).context("the window takes no size")?;
        gui.set_size(&handle, possible)?;
        self.answer_calls();
        Ok((possible.width, possible.height))
    }

    /// Closes it.
    pub fn close_window(&mut self) {
        let handle = self.plugin.plugin_handle();
        if let Some(gui) = handle.get_extension::<PluginGui>() {
            gui.destroy(&handle);
        }
        self.answer_calls();
    }
}

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}
    fn request_resize(&self, _: GuiSize) -> Result<(), HostError> {
        Ok(())
    }
    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn closed(&self, _: bool) {}
}
