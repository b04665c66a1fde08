//! Whether there is memory for what is about to be made of a file.
//!
//! An allocation that fails ends the process, which may be a host with an evening's work in it. So what
//! takes megabytes asks for all of them at once, in a way that can fail, before it begins. Nothing keeps
//! another thread from taking them in between.

/// There is not as much memory as something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it takes {} MB of memory, and so much is not free; close something else first", .0.div_ceil(1_000_000))]
pub struct NoRoom(pub usize);

/// Asks for `bytes` of memory, and gives them back to be used.
///
/// # Errors
///
/// Fails if the system does not give them.
pub fn ask(bytes: usize) -> Result<(), NoRoom> {
    let mut room: Vec<u8> = Vec::new();
    room.try_reserve_exact(bytes).map_err(|_| NoRoom(bytes))?;
    // Memory that is never looked at would not be asked for.
    std::hint::black_box(&mut room);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_holds_is_an_error() {
        assert_eq!(ask(1 << 20), Ok(()));
        let error = ask(usize::MAX / 4).unwrap_err();
        assert_eq!(error, NoRoom(usize::MAX / 4));
        assert!(NoRoom(12_345_678).to_string().starts_with("it takes 13 MB of memory"));
    }
}
