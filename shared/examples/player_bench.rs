//! Prints how much of one thread the player needs, as a share of real time: a line per figure.
//!
//! Weights are random: speed does not depend on them.

use std::sync::Arc;
use std::time::Instant;

use distill_shared::model::conditioning::{Conditioning, Distribution, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::model::copying::Kept;
use distill_shared::player::{
    Decoder, Model, NextSound, NextStep, PriorPlayer, Sampling, Take, TakeKey, VOICES,
    instruction_sets, random_weights,
};
use pulp::Arch;

/// Each figure is the best of so many rounds: what else the machine does only ever adds time.
const ROUNDS: usize = 100;
/// Frames in a round.
const FRAMES: usize = 4;

fn main() {
    for (name, config) in
        [("mono", config(1)), ("stereo", config(2)), ("stereo_large", large(config(2)))]
    {
        let tensors = random_weights(&config, 1);
        let pack =
            || Model::new(&config, &tensors, "").expect("the weights are those of the config");
        println!("load_{name}_ms {:.1}", best_of(10, || drop(pack())) * 1000.0);
        measure(name, &Arc::new(pack()));
        measure_voices(name, &Arc::new(pack()));
        if name == "stereo" {
            for arch in instruction_sets() {
                let name = format!("{name}_{}", set_name(arch));
                let model = Model::for_instructions(arch, &config, &tensors, "")
                    .expect("the weights are those of the config");
                measure_decoder(&name, &Arc::new(model));
            }
        }
    }
}

/// The first word of what a set of instructions is called in debug output, in small letters.
fn set_name(arch: Arch) -> String {
    let name = format!("{arch:?}");
    let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
    name[..end].to_lowercase()
}

/// The sizes that suit recordings of 3 to 15 minutes.
fn config(channels: usize) -> ModelConfig {
    let codec = CodecConfig {
        sample_rate: 48_000,
        channels,
        fft_size: 2048,
        stft_hop: 512,
        stride: 2,
        width: 256,
        encoder_blocks: 3,
        decoder_blocks: 6,
        kernel: 7,
        expansion: 3,
        latent_dim: 256,
        quantizers: 24,
        codebook_size: 256,
        memory: Some(0.8),
        coherence: 0.3,
        power_bands: 64,
        power: 1.5,
        gain: 1.0,
    };
    let prior = PriorConfig {
        hidden_size: 128,
        layers: 3,
        heads: 4,
        window: 256,
        depth_size: 128,
        depth_layers: 1,
        depth_heads: 4,
        ends: true,
        longest: None,
        kept: Some(Kept { frames: 28_125, near: 0.01 }),
        conditioning: Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32))),
            pitch: Pitches::new(60..=72),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Conditioning::default()
        },
    };
    ModelConfig { codec, prior: Some(prior) }
}

/// The sizes that suit recordings of more than an hour.
fn large(mut config: ModelConfig) -> ModelConfig {
    config.codec.decoder_blocks = 8;
    config.codec.codebook_size = 512;
    if let Some(prior) = &mut config.prior {
        (prior.hidden_size, prior.layers, prior.heads) = (192, 4, 4);
    }
    config
}

/// Measures a decoder.
fn measure_decoder(name: &str, model: &Arc<Model>) {
    let codec = &model.config().codec;
    let (n, sound) = (codec.quantizers, codec.channels * codec.hop());
    let mut decoder = Decoder::new(Arc::clone(model));
    let (codes, mut out) = (vec![7; n * FRAMES], vec![0.0; sound * FRAMES]);
    for (way, at_once) in [("", 1), ("_by_two", 2), ("_batched", FRAMES)] {
        report(model, &format!("decode_{name}{way}"), || {
            let frames = codes.chunks(at_once * n).zip(out.chunks_mut(at_once * sound));
            frames.for_each(|(codes, out)| decoder.decode_frames(codes, out));
        });
    }
}

/// Measures all that plays one model.
fn measure(name: &str, model: &Arc<Model>) {
    let codec = &model.config().codec;
    let (n, sound) = (codec.quantizers, codec.channels * codec.hop());

    measure_decoder(name, model);

    let key = TakeKey { seed: 1, take: 1 };
    let no_prior = "the config has a prior";
    let mut prior = PriorPlayer::new(Arc::clone(model)).expect(no_prior);
    let mut codes = vec![0; n];
    let mut step = |sampling: Sampling, frames: usize| {
        (0..frames).for_each(|_| prior.step(key, &sampling, &mut codes));
    };
    step(Sampling::default(), 500); // the window is full
    report(model, &format!("prior_{name}"), || step(Sampling::default(), FRAMES));
    let picky = Sampling { top_k: 100, top_p: 0.9, ..Sampling::default() };
    report(model, &format!("prior_{name}_top_k_top_p"), || step(picky, FRAMES));

    let mut out = vec![0.0; sound];
    let mut take = Take::new(Arc::clone(model), key).expect(no_prior);
    report(model, &format!("take_{name}"), || {
        (0..FRAMES).for_each(|_| take.step(&Sampling::default(), &mut out));
    });
}

/// Measures takes that are made together, and takes of fewer levels.
fn measure_voices(name: &str, model: &Arc<Model>) {
    let codec = &model.config().codec;
    let (n, sound) = (codec.quantizers, codec.channels * codec.hop());
    let new = |take| Take::new(Arc::clone(model), TakeKey { seed: 1, take }).expect("has a prior");
    for voices in [2, 4, VOICES] {
        let mut decoders: Vec<_> = (0..voices).map(|_| Decoder::new(Arc::clone(model))).collect();
        let (codes, mut outs) = (vec![7; n], vec![vec![0.0; sound]; voices]);
        report(model, &format!("decode_{name}_{voices}_voices"), || {
            for _ in 0..FRAMES {
                let next = decoders.iter_mut().zip(&mut outs);
                let next = next.map(|(decoder, out)| NextSound {
                    decoder,
                    codes: &codes,
                    out,
                    check: None,
                });
                Decoder::decode_together(&mut next.collect::<Vec<_>>());
            }
        });
        let mut takes: Vec<_> = (0_u64..).take(voices).map(new).collect();
        report(model, &format!("take_{name}_{voices}_voices"), || {
            for _ in 0..FRAMES {
                let sampling = Sampling::default();
                let next = takes.iter_mut().zip(&mut outs);
                let next = next.map(|(take, out)| NextStep { take, sampling, out });
                Take::step_together(&mut next.collect::<Vec<_>>());
            }
        });
    }
    for levels in [1, 4, 8, 12] {
        let (mut take, mut out) = (new(1), vec![0.0; sound]);
        let sampling = Sampling { levels, ..Sampling::default() };
        report(model, &format!("take_{name}_{levels}_levels"), || {
            (0..FRAMES).for_each(|_| take.step(&sampling, &mut out));
        });
    }
}

/// Prints the share of real time that `work` on [`FRAMES`] frames takes.
fn report(model: &Model, name: &str, work: impl FnMut()) {
    let best = best_of(ROUNDS, work);
    let seconds = FRAMES as f64 / model.config().codec.frame_rate();
    println!("{name} {:.4}", best / seconds);
}

/// The shortest time in seconds that `work` takes in so many rounds.
fn best_of(rounds: usize, mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..rounds).map(time).fold(f64::INFINITY, f64::min)
}
