//! What a window is told, as egui hears it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use baseview::dpi::PhysicalPosition;
use baseview::{DropData, MouseButton, MouseEvent, ScrollDelta};
use egui::{Event, PointerButton, Pos2, RawInput, Vec2};
use keyboard_types::{Code, Key, KeyState, KeyboardEvent};

use super::letters::Letters;

/// What happened since the last picture.
#[derive(Default)]
pub(super) struct Input {
    /// What egui is given.
    pub(super) raw: RawInput,
    /// Where the pointer is, if that is in the window.
    pointer: Option<Pos2>,
    /// Keys that are held to change what others do.
    modifiers: egui::Modifiers,
    /// What is on the keys, where the window is not told.
    letters: Letters,
}

/// What a key does beyond being pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clipboard {
    Cut,
    Copy,
    Paste,
}

impl Input {
    /// Nothing happened yet.
    pub(super) fn new(letters: Letters) -> Self {
        Self { letters, ..Self::default() }
    }

    /// Takes an event of the mouse; `pixels` are those of a point of egui. Whether there is anything to
    /// draw.
    pub(super) fn mouse(&mut self, event: MouseEvent, pixels: f64) -> bool {
        match event {
            MouseEvent::CursorMoved { position, modifiers } => {
                self.hold(modifiers);
                self.point(position, pixels);
                // While something is dragged the pointer is another program's, which may have ended.
                self.raw.hovered_files.clear();
            }
            MouseEvent::ButtonPressed { button, modifiers } => {
                self.hold(modifiers);
                self.button(button, true);
            }
            MouseEvent::ButtonReleased { button, modifiers } => {
                self.hold(modifiers);
                self.button(button, false);
            }
            MouseEvent::WheelScrolled { delta, modifiers } => {
                self.hold(modifiers);
                self.wheel(delta);
            }
            MouseEvent::CursorLeft => self.leave(),
            MouseEvent::DragEntered { position, modifiers, data }
            | MouseEvent::DragMoved { position, modifiers, data } => {
                self.hold(modifiers);
                self.point(position, pixels);
                self.raw.hovered_files = files(data).into_iter().map(hovered).collect();
            }
            MouseEvent::DragLeft => {
                self.raw.hovered_files.clear();
                self.leave();
            }
            MouseEvent::DragDropped { position, modifiers, data } => {
                self.hold(modifiers);
                self.point(position, pixels);
                self.raw.hovered_files.clear();
                self.raw.dropped_files.extend(files(data).into_iter().map(dropped));
            }
            _ => return false,
        }
        true
    }

    /// Takes an event of the keyboard; what it asks of the clipboard.
    pub(super) fn keyboard(&mut self, event: &KeyboardEvent) -> Option<Clipboard> {
        self.hold(event.modifiers);
        let (pressed, modifiers) = (event.state == KeyState::Down, self.modifiers);
        let on_it = self.letters.get(&event.code).copied().filter(|_| modifiers.ctrl);
        let key = on_it.or_else(|| key_of(&event.key)).or_else(|| letter_at(event.code));
        if let Some(key) = key {
            let repeat = event.repeat;
            self.raw.events.push(Event::Key {
                key,
                physical_key: None,
                pressed,
                repeat,
                modifiers,
            });
        }
        if !pressed {
            return None;
        }
        let asked = clipboard_of(key, event.code, modifiers);
        match (&event.key, asked) {
            (_, Some(Clipboard::Cut)) => self.raw.events.push(Event::Cut),
            (_, Some(Clipboard::Copy)) => self.raw.events.push(Event::Copy),
            (_, Some(Clipboard::Paste)) => {}
            (Key::Character(text), None) if !modifiers.ctrl && !modifiers.command => {
                self.raw.events.push(Event::Text(text.clone()));
            }
            _ => {}
        }
        asked
    }

    /// Whether the keyboard is the window's.
    pub(super) fn focus(&mut self, focused: bool) {
        self.raw.focused = focused;
        self.raw.events.push(Event::WindowFocused(focused));
    }

    fn hold(&mut self, now: keyboard_types::Modifiers) {
        let mac = cfg!(target_os = "macos");
        let modifiers = egui::Modifiers {
            alt: now.alt(),
            ctrl: now.ctrl(),
            shift: now.shift(),
            mac_cmd: mac && now.meta(),
            command: if mac { now.meta() } else { now.ctrl() },
        };
        if self.modifiers != modifiers {
            self.modifiers = modifiers;
            self.raw.events.push(Event::ModifiersChanged(modifiers));
        }
    }

    fn point(&mut self, position: PhysicalPosition<f64>, pixels: f64) {
        let position = position.to_logical::<f32>(pixels);
        let position = Pos2::new(position.x, position.y);
        self.pointer = Some(position);
        self.raw.events.push(Event::PointerMoved(position));
    }

    fn leave(&mut self) {
        self.pointer = None;
        self.raw.events.push(Event::PointerGone);
    }

    fn button(&mut self, button: MouseButton, pressed: bool) {
        let button = match button {
            MouseButton::Left => PointerButton::Primary,
            MouseButton::Middle => PointerButton::Middle,
            MouseButton::Right => PointerButton::Secondary,
            MouseButton::Back => PointerButton::Extra1,
            MouseButton::Forward => PointerButton::Extra2,
            _ => return,
        };
        if let Some(pos) = self.pointer {
            let modifiers = self.modifiers;
            self.raw.events.push(Event::PointerButton { pos, button, pressed, modifiers });
        }
    }

    fn wheel(&mut self, delta: ScrollDelta) {
        let (unit, mut delta) = match delta {
            ScrollDelta::Lines { x, y } => (egui::MouseWheelUnit::Line, Vec2::new(x, y)),
            ScrollDelta::Pixels { x, y } => (egui::MouseWheelUnit::Point, Vec2::new(x, y)),
        };
        if cfg!(target_os = "macos") {
            // There, what lies to the left is scrolled to with a positive number.
            delta.x = -delta.x;
        }
        self.raw.events.push(Event::MouseWheel {
            unit,
            delta,
            phase: egui::TouchPhase::Move,
            modifiers: self.modifiers,
            source: egui::MouseWheelSource::Unknown,
        });
    }
}

/// A key, as egui names it: by what is written on it, if it has a name there.
fn key_of(key: &Key) -> Option<egui::Key> {
    match key {
        Key::Named(key) => egui::Key::from_name(&key.to_string()),
        Key::Character(text) => egui::Key::from_name(&text.to_uppercase()),
    }
}

/// The letter that a key has on most keyboards, for those whose letters are others.
fn letter_at(code: Code) -> Option<egui::Key> {
    egui::Key::from_name(code.to_string().strip_prefix("Key")?)
}

/// What a key asks of the clipboard, with the modifiers that are held.
fn clipboard_of(key: Option<egui::Key>, code: Code, held: egui::Modifiers) -> Option<Clipboard> {
    match key {
        Some(egui::Key::X) if held.command => return Some(Clipboard::Cut),
        Some(egui::Key::C) if held.command => return Some(Clipboard::Copy),
        Some(egui::Key::V) if held.command => return Some(Clipboard::Paste),
        _ => {}
    }
    let windows = cfg!(target_os = "windows");
    match code {
        Code::Delete if windows && held.shift => Some(Clipboard::Cut),
        Code::Insert if windows && held.ctrl => Some(Clipboard::Copy),
        Code::Insert if windows && held.shift => Some(Clipboard::Paste),
        _ => None,
    }
}

/// The files among what is dragged.
fn files(data: DropData) -> Vec<PathBuf> {
    match data {
        DropData::Files(files) => files,
        _ => Vec::new(),
    }
}

fn hovered(path: PathBuf) -> egui::HoveredFile {
    egui::HoveredFile { path: Some(path), mime: String::new() }
}

/// A file that was dropped, for egui.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

fn dropped(path: PathBuf) -> egui::DroppedFileHandle {
    Arc::new(Dropped(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyboard_types::{Modifiers, NamedKey};

    const AT: PhysicalPosition<f64> = PhysicalPosition::new(200.0, 100.0);

    fn key(key: Key, code: Code, modifiers: Modifiers) -> KeyboardEvent {
        KeyboardEvent { key, code, modifiers, state: KeyState::Down, ..Default::default() }
    }

    #[test]
    fn pixels_are_points_by_the_scale() {
        let mut input = Input::default();
        let modifiers = Modifiers::SHIFT;
        assert!(input.mouse(MouseEvent::CursorMoved { position: AT, modifiers }, 2.0));
        let button = MouseButton::Left;
        assert!(input.mouse(MouseEvent::ButtonPressed { button, modifiers }, 2.0));
        let pos = Pos2::new(100.0, 50.0);
        let held = egui::Modifiers::SHIFT;
        let pressed = Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed: true,
            modifiers: held,
        };
        let expected = [Event::ModifiersChanged(held), Event::PointerMoved(pos), pressed];
        assert_eq!(input.raw.events, expected);
        assert!(input.mouse(MouseEvent::CursorLeft, 2.0));
        input.raw.events.clear();
        input.mouse(MouseEvent::ButtonReleased { button, modifiers }, 2.0);
        assert_eq!(input.raw.events, [], "it is not in the window");
    }

    #[test]
    fn keys_write_what_they_say_unless_they_are_commands() {
        let mut input = Input::default();
        let typed = key(Key::Character("r".into()), Code::KeyR, Modifiers::empty());
        assert_eq!(input.keyboard(&typed), None);
        assert!(input.raw.events.contains(&Event::Text("r".into())));
        let names = |input: &Input| -> Vec<egui::Key> {
            let events = input.raw.events.iter();
            events
                .filter_map(|event| match event {
                    Event::Key { key, .. } => Some(*key),
                    _ => None,
                })
                .collect()
        };
        assert_eq!(names(&input), [egui::Key::R]);
        input.raw.events.clear();
        let command = if cfg!(target_os = "macos") { Modifiers::META } else { Modifiers::CONTROL };
        for (letter, code, asked) in [
            ("x", Code::KeyX, Some(Clipboard::Cut)),
            ("c", Code::KeyC, Some(Clipboard::Copy)),
            ("v", Code::KeyV, Some(Clipboard::Paste)),
            ("z", Code::KeyZ, None),
        ] {
            assert_eq!(input.keyboard(&key(Key::Character(letter.into()), code, command)), asked);
        }
        assert!(!input.raw.events.iter().any(|event| matches!(event, Event::Text(_))));
        input.raw.events.clear();
        input.keyboard(&key(Key::Character("\u{43a}".into()), Code::KeyR, Modifiers::empty()));
        assert_eq!(names(&input), [egui::Key::R], "where the letters are Cyrillic");
        let page = key(Key::Named(NamedKey::PageDown), Code::PageDown, Modifiers::empty());
        input.raw.events.clear();
        input.keyboard(&page);
        assert_eq!(names(&input), [egui::Key::PageDown]);
    }

    #[test]
    fn a_command_goes_by_the_letter_that_is_on_the_key() {
        // Of a German keyboard, of which a window on X hears what a US keyboard has there.
        let mut input = Input::new(Letters::from([(Code::KeyY, egui::Key::Z)]));
        let pressed = key(Key::Character("y".into()), Code::KeyY, Modifiers::CONTROL);
        input.keyboard(&pressed);
        let is = |event: &Event, wanted: egui::Key| matches!(event, Event::Key { key, .. } if *key == wanted);
        assert!(input.raw.events.iter().any(|event| is(event, egui::Key::Z)));
        // Without Ctrl it is told.
        input.keyboard(&key(Key::Character("z".into()), Code::KeyY, Modifiers::empty()));
        assert!(input.raw.events.contains(&Event::Text("z".into())));
        assert!(!input.raw.events.iter().any(|event| is(event, egui::Key::Y)));
    }

    #[test]
    fn files_hover_until_they_are_dropped_or_leave() {
        let mut input = Input::default();
        let modifiers = Modifiers::empty();
        let data = || DropData::Files(vec!["/a/bell.wav".into()]);
        let entered = || MouseEvent::DragEntered { position: AT, modifiers, data: data() };
        input.mouse(entered(), 1.0);
        assert_eq!(input.raw.hovered_files.len(), 1);
        input.mouse(MouseEvent::DragLeft, 1.0);
        assert!(input.raw.hovered_files.is_empty() && input.raw.dropped_files.is_empty());
        input.mouse(entered(), 1.0);
        input.mouse(MouseEvent::CursorMoved { position: AT, modifiers }, 1.0);
        assert!(input.raw.hovered_files.is_empty(), "nobody drags them any more");
        input.mouse(entered(), 1.0);
        input.mouse(MouseEvent::DragDropped { position: AT, modifiers, data: data() }, 1.0);
        assert!(input.raw.hovered_files.is_empty());
        let dropped: Vec<&Path> = input.raw.dropped_files.iter().map(|file| file.path()).collect();
        assert_eq!(dropped, [Path::new("/a/bell.wav")]);
    }
}
