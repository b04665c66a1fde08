//! Trains.
fn main() {}
