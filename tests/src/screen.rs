//! An X display, as a host and a person in front of it see it.

mod files;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt, CreateWindowAux,
    GetKeyboardMappingReply, ImageFormat, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT,
    WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// Time in which a window has drawn what it was told: a few pictures.
const PICTURES: Duration = Duration::from_millis(120);
/// The symbol of the left control key.
const CONTROL: u32 = 0xffe3;

/// The display that the environment names.
pub struct Screen {
    connection: RustConnection,
    root: u32,
}

impl Screen {
    /// Connects to it.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn connect() -> Result<Self> {
        let (connection, number) = x11rb::connect(None).context("there is no X display")?;
        let root = connection.setup().roots[number].root;
        Ok(Self { connection, root })
    }

    /// A new window in the upper left corner, `width` and `height` pixels large.
    ///
    /// # Errors
    ///
    /// Fails if the display refuses it.
    pub fn window(&self, width: u16, height: u16) -> Result<u32> {
        let window = self.connection.generate_id()?;
        let class = WindowClass::INPUT_OUTPUT;
        // Black, so that nothing of an older window is taken for one.
        let aux = CreateWindowAux::new().background_pixel(0);
        self.connection
            .create_window(0, window, self.root, 0, 0, width, height, 0, class, 0, &aux)?
            .check()?;
        self.connection.map_window(window)?.check()?;
        Ok(window)
    }

    /// Takes a window away, whatever is inside.
    ///
    /// # Errors
    ///
    /// Fails if there is no such window.
    pub fn destroy(&self, window: u32) -> Result<()> {
        Ok(self.connection.destroy_window(window)?.check()?)
    }

    /// The upper left corner of the display: `width` times `height` pixels of red, green and blue.
    ///
    /// # Errors
    ///
    /// Fails if it is not that large.
    pub fn picture(&self, width: u16, height: u16) -> Result<Vec<[u8; 3]>> {
        let format = ImageFormat::Z_PIXMAP;
        let image = self.connection.get_image(format, self.root, 0, 0, width, height, u32::MAX)?;
        let pixels = image.reply()?.data;
        Ok(pixels.chunks_exact(4).map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect())
    }
}

/// A person at the display: what they point at and press.
impl Screen {
    /// Points at a pixel.
    ///
    /// # Errors
    ///
    /// Fails if the display takes no such events.
    pub fn point(&self, (x, y): (i16, i16)) -> Result<()> {
        self.input(MOTION_NOTIFY_EVENT, 0, (x, y))
    }

    /// Presses the first button of the mouse at a pixel, and lets it go.
    ///
    /// # Errors
    ///
    /// As [`Self::point`].
    pub fn click(&self, at: (i16, i16)) -> Result<()> {
        self.drag(at, at)
    }

    /// Presses the first button of the mouse at one pixel, and lets it go at another.
    ///
    /// # Errors
    ///
    /// As [`Self::point`].
    pub fn drag(&self, from: (i16, i16), to: (i16, i16)) -> Result<()> {
        self.point(from)?;
        sleep(PICTURES);
        self.input(BUTTON_PRESS_EVENT, 1, from)?;
        sleep(PICTURES);
        if from != to {
            for n in 1..=4 {
                let part = |from: i16, to: i16| from + (to - from) / 4 * n;
                self.point((part(from.0, to.0), part(from.1, to.1)))?;
                sleep(PICTURES);
            }
            self.point(to)?;
            sleep(PICTURES);
        }
        self.input(BUTTON_RELEASE_EVENT, 1, to)?;
        sleep(PICTURES);
        Ok(())
    }

    /// Presses a key, by its symbol (X11 protocol, appendix A: of Latin letters, their code in ASCII),
    /// with the control key or without, and lets it go.
    ///
    /// # Errors
    ///
    /// Fails if the keyboard has no such key, or as [`Self::point`].
    pub fn press(&self, symbol: u32, control: bool) -> Result<()> {
        let held = [(CONTROL, true), (symbol, false)];
        let held = || held.iter().filter(|(_, is_control)| control || !is_control);
        for (symbol, _) in held() {
            self.input(KEY_PRESS_EVENT, self.key(*symbol)?, (0, 0))?;
            sleep(PICTURES);
        }
        for (symbol, _) in held().rev() {
            self.input(KEY_RELEASE_EVENT, self.key(*symbol)?, (0, 0))?;
        }
        sleep(PICTURES);
        Ok(())
    }

    /// Exchanges what is on the keys that give two symbols, as keyboards of other countries have it.
    ///
    /// # Errors
    ///
    /// Fails if the keyboard has no such keys, or the display does not change them.
    pub fn exchange(&self, symbols: [u32; 2]) -> Result<()> {
        let [one, other] = symbols.map(|symbol| self.key(symbol));
        let (one, other) = (one?, other?);
        let on = |key: u8| anyhow::Ok(self.connection.get_keyboard_mapping(key, 1)?.reply()?);
        let both: [GetKeyboardMappingReply; 2] = [on(one)?, on(other)?];
        for (key, now) in [other, one].into_iter().zip(both) {
            let per_key = now.keysyms_per_keycode;
            self.connection.change_keyboard_mapping(1, key, per_key, &now.keysyms)?.check()?;
        }
        Ok(())
    }

    fn input(&self, what: u8, detail: u8, (x, y): (i16, i16)) -> Result<()> {
        self.connection.xtest_fake_input(what, detail, 0, self.root, x, y, 0)?.check()?;
        Ok(())
    }

    /// The key that gives a symbol.
    fn key(&self, symbol: u32) -> Result<u8> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let keys = self.connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let per_key = usize::from(keys.keysyms_per_keycode.max(1));
        let at = keys.keysyms.chunks(per_key).position(|symbols| symbols.contains(&symbol));
        let at = at.with_context(|| format!("no key gives symbol {symbol:#x}"))?;
        Ok(first + u8::try_from(at)?)
    }
}

/// Writes a picture of [`Screen::picture`] as PNG.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_png(path: &Path, width: u16, pixels: &[[u8; 3]]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let height = u32::try_from(pixels.len() / usize::from(width.max(1)))?;
    let mut png = png::Encoder::new(BufWriter::new(file), width.into(), height);
    png.set_color(png::ColorType::Rgb);
    png.set_depth(png::BitDepth::Eight);
    png.write_header()?.write_image_data(pixels.as_flattened())?;
    Ok(())
}
