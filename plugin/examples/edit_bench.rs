//! Prints after how long an edit is heard: a line per figure. It plays the factory bundle in blocks of 128
//! samples at 48 kHz, at their pace, with the worker that a host has.

#![allow(clippy::unwrap_used, reason = "a measurement that fails is none")]

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use distill_plugin::auditions::Audition;
use distill_plugin::engine::{Block, Engine};
use distill_plugin::params::DistillParams;
use distill_plugin::selection::Selection;
use distill_shared::codes::Codes;

const RATE: f32 = 48_000.0;
const BLOCK: usize = 128;
/// Edits that are heard.
const EDITS: usize = 100;

fn main() {
    let (selection, end) = Selection::new();
    let instance = Arc::clone(selection.instance());
    let params = DistillParams::new(selection);
    let settings = params.settings();
    let mut engine = Engine::new(end, Arc::clone(&instance), settings);
    params.selection.attach();
    engine.activate(RATE, false);
    engine.reset(&settings);
    while !engine.is_prepared() {
        sleep(Duration::from_millis(5));
    }
    let levels = instance.texts().playing.model.upgrade().unwrap().config().codec.quantizers;
    let mut codes = Codes::new(levels);
    (0..64).for_each(|t| codes.push(&vec![t % 16; levels]));
    let codes = Arc::new(codes);
    let block = Duration::from_secs_f64(BLOCK as f64 / f64::from(RATE));
    let (mut left, mut right) = ([0.0; BLOCK], [0.0; BLOCK]);
    let mut late: Vec<Duration> = Vec::new();
    for edit in 0..EDITS {
        // Long enough that the worker rests, every other time.
        let silent = if edit % 2 == 0 { 20 } else { 800 };
        let mut asked = None;
        let mut due = Instant::now();
        for n in 0.. {
            if n == silent {
                let (codes, frames) = (Arc::clone(&codes), 8..40);
                asked = Some(Instant::now());
                params.selection.audition(Audition { frames, ..Audition::whole(codes) });
            }
            let now = Instant::now();
            engine.begin(&Block { settings, len: BLOCK, now, playing: true, meter: None });
            engine.render(&mut left, &mut right);
            engine.finish();
            due += block;
            sleep(due.saturating_duration_since(Instant::now()));
            let heard = left.iter().any(|sample| *sample != 0.0);
            if let Some(asked) = asked.filter(|_| heard) {
                late.push(asked.elapsed());
                break;
            }
        }
        instance.auditions().end();
    }
    late.sort();
    let ms =
        |share: usize| late[(late.len() * share / 100).min(late.len() - 1)].as_secs_f64() * 1e3;
    println!("edit_heard_median_ms {:.1}", ms(50));
    println!("edit_heard_p99_ms {:.1}", ms(99));
}
