//! Drawing with OpenGL.
#![expect(unsafe_code, reason = "a context of OpenGL is current by the caller's word")]

use std::sync::Arc;

use baseview::gl::GlContext;
use baseview::{HandlerError, WindowContext};
use egui_glow::glow;

/// Draws what egui made, into the window that it was made for.
pub(super) struct Painter {
    context: GlContext,
    painter: egui_glow::Painter,
}

impl Painter {
    /// # Errors
    ///
    /// Fails if the window has no context of OpenGL, or one that is too old.
    pub(super) fn new(window: &WindowContext) -> Result<Self, HandlerError> {
        let none = || HandlerError::from_boxed("the window has no OpenGL".into());
        let context = window.gl_context().ok_or_else(none)?;
        #[cfg(target_os = "linux")]
        super::libraries::keep();
        let painter = current(&context, || {
            // SAFETY: the functions are those of the context, which is current now and whenever they
            // are called: all that calls them is in this file, inside of `current`.
            let functions = unsafe {
                glow::Context::from_loader_function_cstr(|name| context.get_proc_address(name))
            };
            egui_glow::Painter::new(Arc::new(functions), "", None, true)
        })?;
        Ok(Self { painter: painter?, context })
    }

    /// The largest width and height of a texture.
    pub(super) fn largest_texture(&self) -> usize {
        self.painter.max_texture_side()
    }

    /// Draws, `size` pixels large.
    ///
    /// # Errors
    ///
    /// Fails if the context cannot be used any more.
    pub(super) fn paint(
        &mut self,
        size: [u32; 2],
        pixels_per_point: f32,
        primitives: &[egui::ClippedPrimitive],
        textures: &mut egui::TexturesDelta,
    ) -> Result<(), HandlerError> {
        let Self { context, painter } = self;
        current(context, || {
            painter.clear(size, [0.0, 0.0, 0.0, 1.0]);
            painter.paint_and_update_textures(size, pixels_per_point, primitives, textures);
            context.swap_buffers()
        })??;
        Ok(())
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        let Self { context, painter } = self;
        // Without its context, what it had there is gone already.
        let _ = current(context, || painter.destroy());
    }
}

/// Does `f` while `context` is current on this thread, and none after it: a host may have its own.
fn current<T>(context: &GlContext, f: impl FnOnce() -> T) -> Result<T, baseview::Error> {
    // SAFETY: windows are drawn on the thread that they were made on, and nothing in `f` changes what is
    // current.
    unsafe { context.make_current()? };
    let done = f();
    // SAFETY: it was made current above, on this thread.
    unsafe { context.make_not_current()? };
    Ok(done)
}
