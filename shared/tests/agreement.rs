//! The player computes what the trainable model computes.
#![cfg(feature = "candle")]

use std::collections::HashSet;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use distill_shared::bundle::{Tensor as Tensor32, Tensors};
use distill_shared::codes::Codes;
use distill_shared::model::codec::Codec;
use distill_shared::model::conditioning::{Conditioning, Distribution, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::model::prior::CodePrior;
use distill_shared::model::weights::Weights;
use distill_shared::player::{
    Decoder, Encoder, Model, PriorPlayer, Sampling, TakeKey, encode, instruction_sets, philox,
    random_weights,
};
use distill_shared::quantizer::{Codebooks, Memory, Quantizer};
use distill_shared::stft::Analysis;
use pulp::Arch;

const FRAMES: usize = 21;

fn config(channels: usize) -> ModelConfig {
    let codec = CodecConfig {
        sample_rate: 48_000,
        channels,
        fft_size: 256,
        stft_hop: 64,
        stride: 2,
        width: 24,
        encoder_blocks: 1,
        decoder_blocks: 2,
        kernel: 7,
        expansion: 3,
        latent_dim: 8,
        quantizers: 3,
        codebook_size: 16,
        memory: None,
        coherence: 0.5,
        power_bands: 4,
        power: 1.0,
        gain: 0.5,
    };
    let prior = PriorConfig {
        hidden_size: 32,
        layers: 2,
        heads: 4,
        window: 6,
        depth_size: 16,
        depth_layers: 2,
        depth_heads: 2,
        ends: true,
        longest: None,
        kept: None,
        conditioning: Conditioning {
            loudness: Some(Distribution(std::array::from_fn(|knot| knot as f32))),
            pitch: Pitches::new(60..=72),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Conditioning::default()
        },
    };
    ModelConfig { codec, prior: Some(prior) }
}

fn some_codes(config: &ModelConfig) -> Codes {
    let mut codes = Codes::new(config.codec.quantizers);
    for t in 0..21 {
        let code = |level| philox([t, level, 0, 0], [5, 0])[0] % 16;
        codes.push(&[code(0), code(1), code(2)]);
    }
    codes
}

/// Asserts that `a` is within 1e-4 of `b`, relative to the largest value of `b`.
fn assert_agree(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-9_f32, |m, v| m.max(v.abs()));
    let error = a.iter().zip(b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale;
    assert!(error < 1e-4, "{what}: off by {error} of the largest value");
}

/// The quantizer that the tensors hold.
fn quantizer_of(codec: &CodecConfig, tensors: &Tensors) -> Quantizer {
    let entries = tensors["codec.quantizer.codebooks"].to_f32();
    let memory = Memory::of(codec, || tensors["codec.memory"].to_f32());
    Quantizer::new(Codebooks::of(codec, entries), memory)
}

/// The latents that `codes` stand for, `[T, D]`: of each what is left of the one before it, and the
/// entries of its codes.
fn latents(config: &ModelConfig, tensors: &Tensors, codes: &Codes) -> Result<Tensor> {
    let codec = &config.codec;
    let quantizer = quantizer_of(codec, tensors);
    let shares = tensors["codec.memory"].to_f32();
    let mut latents = vec![vec![0.0; codec.latent_dim]];
    for t in 0..FRAMES {
        let mut latent = latents[t].to_vec();
        latent.iter_mut().zip(&shares).for_each(|(last, share)| *last *= share);
        for (level, &code) in codes.frame(t).iter().enumerate() {
            let entry = quantizer.books().entry(level, code);
            latent.iter_mut().zip(entry).for_each(|(l, e)| *l += e);
        }
        latents.push(latent);
    }
    Tensor::from_vec(latents[1..].concat(), (FRAMES, codec.latent_dim), &Device::Cpu)
}

fn decoded_by_the_model(
    config: &ModelConfig,
    tensors: &Tensors,
    codes: &Codes,
) -> Result<Vec<f32>> {
    let codec = &config.codec;
    let latents = latents(config, tensors, codes)?;
    let weights = Weights::from_tensors(tensors, "codec.", &Device::Cpu)?;
    Codec::new(codec, &weights)?.decode(&latents.unsqueeze(0)?)?.flatten_all()?.to_vec1()
}

/// A model that plays with the instructions of `arch`.
fn model(config: &ModelConfig, tensors: &Tensors, arch: Arch) -> Arc<Model> {
    Arc::new(Model::for_instructions(arch, config, tensors, "").expect("the weights fit"))
}

#[test]
fn decoded_features_agree_mono_and_stereo() -> Result<()> {
    for channels in [1, 2] {
        let config = config(channels);
        let tensors = random_weights(&config, 3);
        let codes = some_codes(&config);
        let expected = decoded_by_the_model(&config, &tensors, &codes)?;
        for arch in instruction_sets() {
            let played =
                Decoder::new(model(&config, &tensors, arch)).decode_features(codes.as_slice());
            assert_agree(&played, &expected, &format!("{channels} channels, {arch:?}"));
        }
    }
    Ok(())
}

/// The trainable prior of `tensors`.
fn prior(config: &ModelConfig, tensors: &Tensors) -> Result<CodePrior> {
    let weights = Weights::from_tensors(tensors, "prior.", &Device::Cpu)?;
    let sizes = config.prior.clone().expect("there is a prior");
    let books = tensors["codec.quantizer.codebooks"].to_f32();
    let CodecConfig { quantizers, codebook_size, latent_dim, .. } = config.codec;
    let shape = (quantizers, codebook_size, latent_dim);
    let books = Tensor::from_vec(books, shape, &Device::Cpu)?;
    CodePrior::new(&sizes, &config.codec, &weights, &books)
}

/// The likeliest codes of a take of which every frame, or none, is the last of what began.
fn likeliest(config: &ModelConfig, tensors: &Tensors, ends: bool) -> Codes {
    let mut tensors = tensors.clone();
    let bias = Tensor32::f32(&[1], vec![if ends { 100.0 } else { -100.0 }]).expect("one number");
    tensors.insert("prior.end.bias".to_owned(), bias);
    let model = model(config, &tensors, Arch::new());
    let mut player = PriorPlayer::new(model).expect("has a prior");
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let (mut codes, mut frame) = (Codes::new(config.codec.quantizers), vec![0; 3]);
    for _ in 0..FRAMES {
        player.step(TakeKey { seed: 1, take: 0 }, &sampling, &mut frame);
        codes.push(&frame);
    }
    codes
}

#[test]
fn a_take_begins_anew_after_the_last_frame_of_what_began() -> Result<()> {
    let config = config(1);
    let tensors = random_weights(&config, 4);
    let prior = prior(&config, &tensors)?;
    let anew = likeliest(&config, &tensors, true);
    assert_ne!(anew.as_slice(), likeliest(&config, &tensors, false).as_slice());
    // Every frame reads the start, and nothing before it.
    let hidden = prior.hidden(&prior.start()?.unsqueeze(0)?)?.squeeze(0)?.repeat((FRAMES, 1))?;
    let nothing = Tensor::zeros((FRAMES, config.codec.latent_dim), DType::F32, &Device::Cpu)?;
    let logits = prior.logits(&hidden, &nothing, anew.as_slice())?;
    let likeliest = logits.argmax(2)?.transpose(0, 1)?.flatten_all()?.to_vec1::<u32>()?;
    assert_eq!(likeliest, anew.as_slice());
    Ok(())
}

#[test]
fn the_logits_of_the_prior_agree_past_its_window() -> Result<()> {
    let config = config(1);
    let tensors = random_weights(&config, 4);
    let codes = some_codes(&config);
    let prior = prior(&config, &tensors)?;
    let latent_dim = config.codec.latent_dim;
    let read = &codes.as_slice()[..(FRAMES - 1) * config.codec.quantizers];
    let latents = latents(&config, &tensors, &codes)?.narrow(0, 0, FRAMES - 1)?;
    let inputs = Tensor::cat(&[prior.start()?, prior.embed(read, &latents)?], 0)?.unsqueeze(0)?;
    let nothing = Tensor::zeros((1, latent_dim), DType::F32, &Device::Cpu)?;
    let before = Tensor::cat(&[nothing, latents], 0)?;
    let logits = prior.logits(&prior.hidden(&inputs)?.squeeze(0)?, &before, codes.as_slice())?;
    let expected = logits.transpose(0, 1)?.to_vec3::<f32>()?; // [T, N, K]

    for arch in instruction_sets() {
        let mut player = PriorPlayer::new(model(&config, &tensors, arch)).expect("has a prior");
        let mut frame = vec![0; config.codec.quantizers];
        for (t, expected) in expected.iter().enumerate() {
            player.step_with(&mut frame, |level, logits| {
                let what = format!("frame {t}, level {level}, {arch:?}");
                assert_agree(logits, &expected[level], &what);
                codes.frame(t)[level]
            });
        }
    }
    Ok(())
}

/// Two seconds of a sound that glides and turns from side to side, `[C][S]`.
fn glide(channels: usize) -> Vec<Vec<f32>> {
    let channel = |c: f32| {
        let sample = |t: f32| {
            let swell = (t * 1e-3 + c).sin();
            0.3 * swell * (t * t * 1e-6 + t * 0.05).sin()
        };
        (0_u16..20_000).map(f32::from).map(sample).collect()
    };
    [0.0, 1.0][..channels].iter().map(|&c| channel(c)).collect()
}

#[test]
fn the_encoder_finds_the_codes_of_the_model() -> Result<()> {
    for channels in [1, 2] {
        let config = config(channels);
        let codec = &config.codec;
        let tensors = random_weights(&config, 4);
        let sound = glide(channels);
        let frames = codec.frames_for(sound[0].len());

        let scaled: Vec<Vec<f32>> =
            sound.iter().map(|c| c.iter().map(|s| s * codec.gain).collect()).collect();
        let scaled: Vec<&[f32]> = scaled.iter().map(Vec::as_slice).collect();
        let mut features = vec![0.0; frames * codec.frame_features()];
        Analysis::new(codec).features(&scaled, 0, frames * codec.stride, &mut features);
        let input =
            Tensor::from_slice(&features, (1, frames, codec.frame_features()), &Device::Cpu)?;
        let weights = Weights::from_tensors(&tensors, "codec.", &Device::Cpu)?;
        let latents =
            Codec::new(codec, &weights)?.encode(&input)?.flatten_all()?.to_vec1::<f32>()?;
        let quantizer = quantizer_of(codec, &tensors);
        let (mut state, mut row) = (vec![0.0; codec.latent_dim], vec![0; codec.quantizers]);
        let mut expected = Codes::new(codec.quantizers);
        for latent in latents.chunks_exact(codec.latent_dim) {
            quantizer.encode(latent, &mut state, &mut row);
            expected.push(&row);
        }

        for arch in instruction_sets() {
            let model = model(&config, &tensors, arch);
            let sound: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
            let whole = encode(&model, &sound);
            assert_eq!(whole.frames(), frames);
            let found = distill_shared::player::latents(&model, &sound);
            assert_eq!(found.len(), latents.len());
            let off = found.iter().zip(&latents).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-3, "latents are off by {off}, {arch:?}");
            // Rounding may choose another of two entries that are as near, once in a while.
            let same = (0..frames).filter(|&t| whole.frame(t) == expected.frame(t)).count();
            assert!(same * 100 >= 98 * frames, "{same} of {frames} frames, {arch:?}");
            let kinds: HashSet<_> = (0..frames).map(|t| whole.frame(t)).collect();
            assert!(kinds.len() > 9, "the sound is told by {} frames", kinds.len());

            let mut encoder = Encoder::new(model);
            let mut cut = Codes::new(codec.quantizers);
            for features in features.chunks(3 * codec.frame_features()) {
                encoder.encode_frames(features, &mut cut);
            }
            assert_eq!(cut, whole, "a stream cut anyhow gives the same codes");
        }
    }
    Ok(())
}
