//! Names for files that are to replace nothing.

use std::path::{Path, PathBuf};

/// `path`, and then NAME-2, NAME-3 and so on.
pub(crate) fn numbered(path: &Path) -> impl Iterator<Item = PathBuf> {
    let with_number = move |number: u32| {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        let ending = path.extension().unwrap_or_default();
        path.with_file_name(PathBuf::from(name).with_added_extension(ending))
    };
    std::iter::once(path.to_owned()).chain((2..).map(with_number))
}
