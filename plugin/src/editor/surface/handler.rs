//! The inside of an open window: hears what happens to it, and draws.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use baseview::dpi::LogicalSize;
use baseview::{
    DropData, DropEffect, Event, EventStatus, HandlerError, MouseCursor, MouseEvent, WindowContext,
    WindowEvent, WindowHandler, WindowSize,
};
use egui::{Rect, ViewportId};
use nice_plug::context::gui::GuiContext;

use super::Shared;
use super::input::{Clipboard, Input};
use super::letters::letters;
use super::painter::Painter;

/// An open window. It lives on the thread that draws.
pub(super) struct Handler {
    window: WindowContext,
    shared: Arc<Shared>,
    /// Whether the host closes it.
    closing: Arc<AtomicBool>,
    state: RefCell<State>,
}

struct State {
    context: egui::Context,
    input: Input,
    painter: Painter,
    clipboard: Option<arboard::Clipboard>,
    cursor: MouseCursor,
    opened: Instant,
}

impl Handler {
    /// Prepares to draw in a window that has been made.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be drawn in.
    pub(super) fn open(
        window: WindowContext,
        shared: Arc<Shared>,
        gui: GuiContext,
        closing: Arc<AtomicBool>,
    ) -> Result<Self, HandlerError> {
        let painter = Painter::new(&window)?;
        let context = egui::Context::default();
        context.set_zoom_factor(shared.size.load().zoom);
        // Whoever drags over the grid types no name any more.
        let leaves = egui::SurrenderFocusOn::Presses;
        context.options_mut(|options| options.input_options.surrender_focus_on = leaves);
        let mut input = Input::new(letters());
        input.raw.max_texture_side = Some(painter.largest_texture());
        shared.contents().opened(&context, gui);
        // Not before: what is asked for before a window is mapped is never drawn, nor is anything after.
        let waker = window.waker();
        context.set_request_repaint_callback(move |asked| waker.request_redraw_after(asked.delay));
        let state = State {
            context,
            input,
            painter,
            // A display may have none.
            clipboard: arboard::Clipboard::new().ok(),
            cursor: MouseCursor::Default,
            opened: Instant::now(),
        };
        let handler = Self { window, shared, closing, state: RefCell::new(state) };
        handler.remember(handler.window.size());
        Ok(handler)
    }

    /// Tells the host how large the window is now.
    fn remember(&self, size: WindowSize) {
        let zoom = self.shared.size.load().zoom;
        let (logical, scale) = (size.logical, size.scale_factor);
        self.shared.size.store(super::Extent { logical, scale, zoom });
    }

    /// Lets egui make a picture and paints it; the cursor that it wants, and how large everything is to
    /// be if that has changed.
    fn picture(&self) -> Result<(Option<MouseCursor>, Option<f32>), HandlerError> {
        let mut state = self.state.borrow_mut();
        let State { context, input, painter, clipboard, cursor, opened } = &mut *state;
        let size = self.window.size();
        let before = context.zoom_factor();
        let points: LogicalSize<f32> =
            size.physical.to_logical(size.scale_factor * f64::from(before));
        let viewport = input.raw.viewports.entry(ViewportId::ROOT).or_default();
        #[expect(clippy::cast_possible_truncation, reason = "a scale is a small number")]
        let scale = size.scale_factor as f32;
        viewport.native_pixels_per_point = Some(scale);
        input.raw.screen_rect =
            Some(Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(points.width, points.height)));
        input.raw.time = Some(opened.elapsed().as_secs_f64());
        let mut output = context.run_ui(input.raw.take(), |ui| self.shared.contents().draw(ui));
        let pixels_per_point = output.pixels_per_point;
        let primitives = context.tessellate(output.shapes, pixels_per_point);
        let pixels = [size.physical.width, size.physical.height];
        painter.paint(pixels, pixels_per_point, &primitives, &mut output.textures_delta)?;
        for command in output.platform_output.commands {
            if let (egui::OutputCommand::CopyText(text), Some(clipboard)) =
                (command, &mut *clipboard)
            {
                // Where another program holds it, copying again is all that helps.
                let _ = clipboard.set_text(text);
            }
        }
        let wanted = cursor_of(output.platform_output.cursor_icon);
        let changed = std::mem::replace(cursor, wanted) != wanted;
        let zoom = context.zoom_factor();
        Ok((changed.then_some(wanted), (zoom.to_bits() != before.to_bits()).then_some(zoom)))
    }
}

impl WindowHandler for Handler {
    fn draw(&self) -> Result<(), HandlerError> {
        let (cursor, zoom) = self.picture()?;
        if let Some(cursor) = cursor {
            self.window.set_mouse_cursor(cursor)?;
        }
        if let Some(zoom) = zoom {
            let size = super::Extent::zoomed(zoom);
            self.shared.size.store(super::Extent { scale: self.window.scale_factor(), ..size });
            self.shared.wanted.store(size.logical);
            // A host may refuse; then there is less room.
            let _ = self.window.resize(size.logical);
            self.window.request_redraw();
        }
        Ok(())
    }

    fn poll(&self) {
        if self.closing.load(Ordering::Acquire) {
            self.window.request_close();
        }
    }

    fn resized(&self, size: WindowSize) -> Result<(), HandlerError> {
        // It is drawn anyway.
        self.remember(size);
        Ok(())
    }

    fn on_event(&self, event: Event) -> EventStatus {
        if matches!(event, Event::Mouse(MouseEvent::ButtonPressed { .. }))
            && !self.window.has_focus()
        {
            // A window inside another one is not given the keyboard by itself. Without it, the mouse
            // does what it does.
            let _ = self.window.focus();
        }
        // What comes while it draws, in answer to that, tells nothing new.
        let Ok(mut state) = self.state.try_borrow_mut() else { return EventStatus::Ignored };
        let State { context, input, clipboard, .. } = &mut *state;
        match event {
            Event::Mouse(event) => {
                let accepted = match &event {
                    MouseEvent::DragEntered { data, .. }
                    | MouseEvent::DragMoved { data, .. }
                    | MouseEvent::DragDropped { data, .. } => matches!(data, DropData::Files(_)),
                    _ => false,
                };
                let pixels = self.window.scale_factor() * f64::from(context.zoom_factor());
                if input.mouse(event, pixels) {
                    self.window.request_redraw();
                }
                if accepted {
                    return EventStatus::AcceptDrop(DropEffect::Copy);
                }
                captured(context.egui_wants_pointer_input())
            }
            Event::Keyboard(event) => {
                if let Some(Clipboard::Paste) = input.keyboard(&event)
                    && let Some(text) = clipboard.as_mut().and_then(|it| it.get_text().ok())
                {
                    input.raw.events.push(egui::Event::Paste(text));
                }
                self.window.request_redraw();
                // What nobody types into leaves keys to the host.
                captured(context.egui_wants_keyboard_input())
            }
            Event::Window(event) => {
                match event {
                    WindowEvent::Focused => input.focus(true),
                    WindowEvent::Unfocused => input.focus(false),
                    _ => {}
                }
                self.window.request_redraw();
                EventStatus::Captured
            }
            _ => EventStatus::Ignored,
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.shared.contents().closed();
    }
}

fn captured(captured: bool) -> EventStatus {
    if captured { EventStatus::Captured } else { EventStatus::Ignored }
}

/// What egui calls a cursor, as far as it asks for one.
fn cursor_of(icon: egui::CursorIcon) -> MouseCursor {
    use egui::CursorIcon;
    match icon {
        CursorIcon::None => MouseCursor::Hidden,
        CursorIcon::Help => MouseCursor::Help,
        CursorIcon::PointingHand | CursorIcon::Grab => MouseCursor::Hand,
        CursorIcon::Grabbing => MouseCursor::HandGrabbing,
        CursorIcon::Progress => MouseCursor::PtrWorking,
        CursorIcon::Wait => MouseCursor::Working,
        CursorIcon::Crosshair => MouseCursor::Crosshair,
        CursorIcon::Text => MouseCursor::Text,
        CursorIcon::Copy => MouseCursor::Copy,
        CursorIcon::Move => MouseCursor::Move,
        CursorIcon::NoDrop | CursorIcon::NotAllowed => MouseCursor::NotAllowed,
        CursorIcon::ResizeHorizontal | CursorIcon::ResizeColumn => MouseCursor::EwResize,
        CursorIcon::ResizeVertical | CursorIcon::ResizeRow => MouseCursor::NsResize,
        _ => MouseCursor::Default,
    }
}
