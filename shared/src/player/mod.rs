//! The player: the model one frame at a time, on one thread, without allocation per frame.
