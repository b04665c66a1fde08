//! The player allocates nothing once a take has been prepared.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use distill_shared::codes::Codes;
use distill_shared::model::conditioning::{Conditioning, Controls, Distribution, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::model::copying::Kept;
use distill_shared::player::{
    GivenCodes, Model, NextStep, Sampling, Take, TakeKey, random_weights,
};

/// Counts what each thread allocates and frees.
struct Counting;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more, and nothing to prove.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature")]
// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocates or frees on this thread.
fn allocations(work: impl FnOnce()) -> u32 {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

fn model() -> Arc<Model> {
    let codec = CodecConfig {
        sample_rate: 48_000,
        channels: 2,
        fft_size: 2048,
        stft_hop: 512,
        stride: 2,
        width: 16,
        encoder_blocks: 1,
        decoder_blocks: 2,
        kernel: 7,
        expansion: 2,
        latent_dim: 8,
        quantizers: 4,
        codebook_size: 256,
        memory: None,
        coherence: 0.5,
        power_bands: 64,
        power: 1.0,
        gain: 1.0,
    };
    let prior = PriorConfig {
        hidden_size: 32,
        layers: 2,
        heads: 2,
        window: 8,
        depth_size: 16,
        depth_layers: 1,
        depth_heads: 2,
        ends: true,
        longest: None,
        kept: Some(Kept { frames: 300, near: 0.02 }),
        conditioning: Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32))),
            pitch: Pitches::new(60..=72),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Conditioning::default()
        },
    };
    let config = ModelConfig { codec, prior: Some(prior) };
    let model = Model::new(&config, &random_weights(&config, 1), "").expect("the weights fit");
    let frame = |t: u16| [0, 1, 2, 3].map(|level| (7 + t * level) % 23);
    let recording: Vec<u16> = (0..500).flat_map(frame).collect();
    Arc::new(model.with_recordings([&recording[..]].into_iter()).expect("there is room"))
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 2);
}

#[test]
fn a_take_allocates_nothing_while_it_plays() {
    let new = || Take::new(model(), TakeKey::default()).expect("there is a prior");
    let mut take = new();
    let mut out = vec![0.0; 2 * 1024];
    let controls =
        Controls { loudness: Some(0.3), pitch: Some(64.5), class: Some(1), ..Controls::default() };
    let settings = [
        Sampling::default(),
        Sampling { temperature: 0.0, levels: 2, ..Sampling::default() },
        Sampling {
            temperature: 1.2,
            factors: [0.0, 1.5, 0.5],
            top_k: 20,
            top_p: 0.9,
            levels: 0,
            once: false,
            frozen: false,
            novelty: 0.7,
            recall: 0.4,
            controls,
        },
    ];
    let calls = allocations(|| {
        for sampling in settings.iter().cycle().take(12) {
            take.step(sampling, &mut out);
        }
        take.restart(TakeKey { seed: 1, take: 2 });
        take.step(&settings[0], &mut out);
    });
    assert_eq!(calls, 0);
}

#[test]
fn a_take_through_given_codes_allocates_nothing() {
    let mut clip = Codes::new(4);
    (0..16).for_each(|t| clip.push(&[t, 1, 2, 3]));
    let mut given = GivenCodes::new(&clip);
    given.open(4..8, 1..3);
    let mut take =
        Take::through(model(), TakeKey::default(), Arc::new(given)).expect("there is a prior");
    let mut out = vec![0.0; 2 * 1024];
    let calls = allocations(|| (0..20).for_each(|_| take.step(&Sampling::default(), &mut out)));
    assert_eq!(calls, 0);
}

#[test]
fn takes_made_together_allocate_nothing() {
    let model = model();
    let mut takes: [_; 3] = std::array::from_fn(|_| {
        Take::new(Arc::clone(&model), TakeKey::default()).expect("there is a prior")
    });
    let mut outs = [[0.0; 2 * 1024]; 3];
    let [a, b, c] = &mut takes;
    let [to_a, to_b, to_c] = &mut outs;
    let calls = allocations(|| {
        for levels in [0, 1, 3] {
            let next = |take, out| NextStep {
                take,
                sampling: Sampling { levels, ..Sampling::default() },
                out,
            };
            Take::step_together(&mut [
                next(&mut *a, &mut to_a[..]),
                next(&mut *b, &mut to_b[..]),
                next(&mut *c, &mut to_c[..]),
            ]);
        }
    });
    assert_eq!(calls, 0);
}
