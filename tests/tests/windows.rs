//! Windows of two instances at the same time. Alone in its program, since it counts threads and files.
//!
//! Needs the display of the test of one window.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;
#[path = "window/opened.rs"]
mod opened;

use built::host;
use distill_tests::screen::Screen;
use opened::{CODES, cycles, drawn, kept, leave_nothing_behind, open, running, wait};

/// The lower one, or the upper one, closes; the other goes on.
#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_window_goes_on_when_that_of_another_instance_closes() {
    let screen = Screen::connect().unwrap();
    let host = host();
    let mut settled = [0; 4];
    for cycle in 0..cycles() {
        let mut instruments = [(); 2].map(|()| host.instrument().unwrap());
        let before = running();
        let opened = instruments.each_mut().map(|instrument| {
            let (parent, size) = open(&screen, instrument);
            drawn(&screen, size);
            (parent, size)
        });
        let closes = cycle % 2;
        let stays = 1 - closes;
        instruments[closes].close_window();
        screen.destroy(opened[closes].0).unwrap();
        let (_, earlier) = drawn(&screen, opened[stays].1);
        screen.click(CODES).unwrap();
        wait("it hears a click", || (drawn(&screen, opened[stays].1).1 != earlier).then_some(()));
        instruments[stays].close_window();
        assert!(running().is_subset(&before), "a closed window has a thread");
        screen.destroy(opened[stays].0).unwrap();
        drop(instruments);
        if cycle == 1 {
            settled = kept();
        }
    }
    leave_nothing_behind(settled);
}
