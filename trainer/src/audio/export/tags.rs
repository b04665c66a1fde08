//! What a sound file says about itself.

/// Words that a player shows beside a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// What it is called.
    pub title: String,
    /// The program that made it.
    pub software: String,
    /// How it was made: names, of ASCII letters, and values.
    pub facts: Vec<(&'static str, String)>,
}

impl Tags {
    /// A LIST chunk of type INFO (Multimedia Programming Interface and Data Specifications 1.0,
    /// "LIST Chunk"): title `INAM`, software `ISFT`, and all facts in one comment, `ICMT`.
    pub(super) fn list_chunk(&self) -> Vec<u8> {
        let facts: Vec<String> =
            self.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let mut info = b"INFO".to_vec();
        for (id, text) in
            [(b"INAM", &self.title), (b"ISFT", &self.software), (b"ICMT", &facts.join(", "))]
        {
            // Texts end with a zero; chunks begin at even places.
            let text = [text.as_bytes(), b"\0"].concat();
            info.extend(chunk(id, &text));
        }
        chunk(b"LIST", &info)
    }

    /// The content of a block of comments (RFC 9639, section 8.6): lengths in little-endian order,
    /// and each fact a field of its own.
    pub(super) fn comment_block(&self) -> Vec<u8> {
        let own = [("TITLE", &self.title), ("ENCODER", &self.software)];
        let facts = self.facts.iter().map(|(name, value)| (*name, value));
        let fields: Vec<String> = own
            .into_iter()
            .chain(facts)
            .map(|(name, value)| format!("{}={value}", name.to_uppercase()))
            .collect();
        let mut block = sized(self.software.as_bytes());
        block.extend(length(fields.len()));
        fields.iter().for_each(|field| block.extend(sized(field.as_bytes())));
        block
    }
}

/// A RIFF chunk: its name, its length, its content, and a zero if that is of odd length.
fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let padding = &[0][..content.len() % 2];
    [&id[..], &sized(content), padding].concat()
}

/// `bytes` after their number.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes.len()), bytes].concat()
}

/// A length as both formats write it. Names of files and digests are short.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}
