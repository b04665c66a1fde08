//! Recognizes the files that people mistake for bundles, to say so in a sentence.

use super::MAX_HEADER;

/// What `bytes` are, if they are no bundle and begin like something well known.
///
/// To be asked only when no header could be read.
pub(super) fn recognize(bytes: &[u8]) -> Option<&'static str> {
    if begins_like_a_bundle(bytes) {
        return None;
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match bytes {
        [b'P', b'K', ..] => Some("a zip or PyTorch file"),
        [0x80, 2..=5, ..] => Some("a Python pickle"),
        [0x08, 1..=32, 0x12, ..] => Some("an ONNX model"),
        [0x1f, 0x8b, ..] => Some("a gzip file"),
        [b'G', b'G', b'U', b'F', ..] => Some("a GGUF model"),
        [0x89, b'H', b'D', b'F', ..] => Some("an HDF5 file"),
        [b'R', b'I', b'F', b'F', ..] => Some("a WAV recording"),
        [b'F', b'O', b'R', b'M', ..] => Some("an AIFF recording"),
        [b'f', b'L', b'a', b'C', ..] => Some("a FLAC recording"),
        [b'O', b'g', b'g', b'S', ..] => Some("an Ogg recording"),
        [b'I', b'D', b'3', ..] => Some("an MP3 recording"),
        _ => match text {
            [b'<', ..] => Some("a web page"),
            [b'{' | b'[', ..] => Some("a JSON file"),
            _ => None,
        },
    }
}

/// Whether the first eight bytes could be the length of a header, as Distill writes it.
fn begins_like_a_bundle(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|&length| {
        let length = u64::from_le_bytes(length);
        length <= MAX_HEADER as u64 && length.is_multiple_of(8)
    })
}
