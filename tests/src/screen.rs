//! An X display, as a host and a person in front of it see it.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, CreateWindowAux, ImageFormat, WindowClass};
use x11rb::rust_connection::RustConnection;

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
