//! Paths as they come out of file managers.

use percent_encoding::percent_decode_str;

/// The path that `text` stands for: without the quotes that "Copy as path" puts around one, and out of
/// the address (`file:`, RFC 8089) that other file managers copy.
pub(super) fn pasted_path(text: &str) -> String {
    let text = text.trim();
    let quoted = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark);
    let text = quoted('"').or_else(|| quoted('\'')).unwrap_or(text);
    let Some(address) = text.strip_prefix("file://") else { return text.to_owned() };
    let address = address.strip_prefix("localhost").unwrap_or(address);
    let path = percent_decode_str(address).decode_utf8_lossy();
    // Before the letter of a drive stands the slash that every address has.
    let drive = path.strip_prefix('/').filter(|rest| rest.as_bytes().get(1) == Some(&b':'));
    drive.unwrap_or(&path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_file_managers_copy_is_a_path() {
        for (text, path) in [
            (" /a/b c.wav\n", "/a/b c.wav"),
            ("\"C:\\a\\b c.wav\"", "C:\\a\\b c.wav"),
            ("'/a/b c.wav'", "/a/b c.wav"),
            ("file:///a/b%20c%C3%A4.wav", "/a/b cä.wav"),
            ("file://localhost/a/b.wav", "/a/b.wav"),
            ("file:///C:/a/b.wav", "C:/a/b.wav"),
            ("it's.wav", "it's.wav"),
            ("\"", "\""),
            ("100%25.wav", "100%25.wav"),
            ("", ""),
        ] {
            assert_eq!(pasted_path(text), path, "{text:?}");
        }
    }
}
