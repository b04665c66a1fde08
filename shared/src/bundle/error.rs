//! What can be wrong with a bundle: one variant per kind of damage.

use super::{FORMAT, MAX_BYTES, MAX_HEADER, MAX_WEIGHT, VERSION};
use crate::model::config::ConfigError;
use crate::room::NoRoom;

/// Why bytes are not a bundle, or why parts do not make one.
///
/// Each message says what is wrong and, where something can be done, what to do. It does not name
/// the file, which [`OpenError`](super::OpenError) does.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// The bytes are of a well-known other kind of file.
    #[error(
        "this is {0}; Distill plays bundles that `distill train` made and never runs code from \
         model files"
    )]
    Foreign(&'static str),
    /// There are more bytes than any bundle has.
    #[error("it has {0} bytes, and a bundle has at most {MAX_BYTES}")]
    TooLarge(usize),
    /// There is no memory for what is in it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The bytes end before the header does.
    #[error("it ends too early: the file is cut off; copy it again from where it came")]
    CutOff,
    /// The header is larger than any header is.
    #[error("its header has {0} bytes, and a bundle's has at most {MAX_HEADER}")]
    HeaderTooLarge(u64),
    /// The header is not the JSON that it should be.
    #[error("its header cannot be read ({0}); it is damaged or not a bundle")]
    Header(String),
    /// A safetensors file of some other program.
    #[error("it holds tensors of another program (format {0:?}, not {FORMAT:?})")]
    Format(String),
    /// A newer Distill wrote it.
    #[error(
        "it has bundle version {0:?} and this Distill reads up to {VERSION}; update Distill to open it"
    )]
    Version(String),
    /// A required key of the metadata is missing.
    #[error("its header lacks the key {0:?}; the file is damaged")]
    MissingKey(&'static str),
    /// The metadata is not what was written.
    #[error("its header was altered; copy the file again from where it came")]
    Checksum,
    /// The config is not JSON, or not the JSON of a config.
    #[error("its config cannot be read ({0})")]
    ConfigSyntax(String),
    /// A size in the config is out of range.
    #[error("its config is not of a model that can exist: {0}")]
    Config(#[from] ConfigError),
    /// The card is not JSON, or not the JSON of a card.
    #[error("its card cannot be read ({0})")]
    Card(String),
    /// The list of recordings is not JSON, or does not agree with the codes.
    #[error("its list of recordings cannot be read ({0})")]
    Corpus(String),
    /// A tensor that the config implies is not there.
    #[error("the tensor {0:?} is missing")]
    MissingTensor(String),
    /// A tensor is there that the config does not imply.
    #[error("the tensor {0:?} does not belong to this model")]
    UnexpectedTensor(String),
    /// A tensor has another shape than the config implies.
    #[error("the tensor {name:?} has the shape {found:?} and should have {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the config implies.
        expected: Vec<usize>,
    },
    /// A tensor has values of a type that it cannot have.
    #[error("the tensor {name:?} holds values of type {found:?}, which it cannot")]
    Dtype {
        /// Its name.
        name: String,
        /// The type of its values.
        found: String,
    },
    /// The tensors do not lie one after the other from the first byte of the data to the last.
    #[error(
        "the bytes of {0:?} are not where they should be: the file is cut off, has something \
         appended, or is damaged; copy it again from where it came"
    )]
    Layout(String),
    /// The data is not what was written.
    #[error(
        "its contents do not match their digest: the file was damaged; copy it again from where it came"
    )]
    Digest,
    /// A weight is NaN, infinite or absurdly large.
    #[error("the tensor {0:?} holds a number that is not finite or beyond {MAX_WEIGHT}")]
    Weight(String),
    /// A code of the corpus is outside its codebook.
    #[error("the recordings hold the code {0}, which the codebooks do not have")]
    Code(u32),
}
