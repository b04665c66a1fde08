//! Ranks that train together end with the weights of one process that has all of the batch. Threads stand
//! for the processes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod threads;
mod tiny;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use candle_core::Device;
use distill_shared::bundle::Tensors;
use distill_trainer::corpus::{Corpus, Recording, Sound};
use distill_trainer::train::{
    Beginning, CodecPlan, KnownCodec, Length, PriorPlan, Run, train_codec, train_prior,
};
use threads::{Table, Thread};

/// What each of `count` ranks comes to; `cancelled` of them is stopped before it begins.
fn trained(
    count: usize,
    cancelled: Option<usize>,
    train: impl Fn(&mut Run) -> Tensors + Sync,
) -> Vec<Tensors> {
    let table = &Table::new(count);
    let train = &train;
    let one = |rank| {
        move || {
            let cancel = AtomicBool::new(cancelled == Some(rank));
            let ranks = &Thread { rank, count, table };
            let (device, events) = (&Device::Cpu, &mut |_| ());
            let keeper = None;
            let run = &mut Run { device, threads: 1, ranks, cancel: &cancel, keeper, events };
            let tensors = train(run);
            assert_eq!(cancel.load(Ordering::Relaxed), cancelled.is_some(), "all of them stop");
            tensors
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|rank| scope.spawn(one(rank))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn train_tones(run: &mut Run, length: Length) -> Tensors {
    let tone = |hz: f32| (0..9000_u16).map(|t| 0.3 * (f32::from(t) * hz / 7600.0).sin()).collect();
    let recording = |(i, hz): (usize, f32)| Recording {
        name: format!("{i}.wav"),
        class: String::new(),
        sound: Sound::new(vec![tone(hz)]),
        held_out: false,
    };
    let tones = [200.0, 333.0, 777.0, 2000.0].into_iter().enumerate().map(recording);
    let corpus = Corpus::new(tones.collect(), 0).unwrap();
    let (config, beginning) = (tiny::codec_config(), Beginning::Nothing);
    let plan = CodecPlan { config, length, learning_rate: 2e-3, batch: 16, seed: 5, beginning };
    train_codec(&corpus, &plan, run).unwrap().tensors
}

fn train_codes(run: &mut Run) -> Tensors {
    let (config, quantizer, codes) = tiny::codes();
    let plan = PriorPlan {
        config: tiny::prior_config(),
        length: Length::Steps(12),
        learning_rate: 5e-3,
        batch: 8,
        seed: 5,
        from: None,
    };
    let known = KnownCodec { config: &config, quantizer: &quantizer };
    train_prior(known, &codes, &[], &plan, run).unwrap().tensors
}

#[test]
fn ranks_end_with_the_weights_of_one_process() {
    let codec = |run: &mut Run| train_tones(run, Length::Steps(24));
    for train in [&codec as &(dyn Fn(&mut Run) -> Tensors + Sync), &train_codes] {
        let alone = trained(1, None, train).remove(0);
        for count in [2, 3, 4] {
            let all = trained(count, None, train);
            assert!(all.iter().all(|one| *one == alone), "{count} ranks, to the bit");
        }
    }
}

#[test]
fn ranks_agree_on_the_time_and_stop_together() {
    // Clocks are read at other moments, and would plan other numbers of steps.
    let timed = trained(3, None, |run| train_tones(run, Length::Seconds(1.5)));
    assert!(timed.iter().all(|one| *one == timed[0]));
    let stopped = trained(3, Some(2), |run| train_tones(run, Length::Steps(1000)));
    assert!(stopped.iter().all(|one| *one == stopped[0]));
}
