//! A tiny model with random weights, and a stage to play it on without threads.
#![allow(dead_code, unreachable_pub, reason = "every test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub mod rough;

use std::sync::Arc;
use std::time::Instant;

use distill_plugin::clips::Clip;
use distill_plugin::desk::Desk;
use distill_plugin::engine::{Block, Engine, Playing, Settings, Trigger, Voicing};
use distill_plugin::envelope::Shape;
use distill_plugin::instance::{Instance, ModelRef};
use distill_plugin::locks::Locks;
use distill_plugin::meter::Meter;
use distill_plugin::source::Source;
use distill_plugin::state::BundleRef;
use distill_plugin::stream::{Hold, connect};
use distill_plugin::voice::Note;
use distill_plugin::voices::Which;
pub use distill_plugin::zones::Keys;
use distill_plugin::zones::Zones;
use distill_shared::bundle::{Bundle, Card, Tensor, Tensors};
use distill_shared::codes::Codes;
use distill_shared::companding::stretch;
use distill_shared::model::conditioning::{Conditioning, Pitches};
use distill_shared::model::config::{CodecConfig, ModelConfig, PriorConfig};
use distill_shared::player::{Model, Sampling, Take, TakeKey, VOICES, uniform};

/// A byte of the digest of the codec of every toy.
pub const CODEC: &str = "0c";
/// Samples per frame of the toy.
pub const HOP: usize = 256;
/// The toy's sample rate.
pub const RATE: f32 = 48_000.0;

pub fn config() -> ModelConfig {
    let codec = CodecConfig {
        sample_rate: 48_000,
        channels: 2,
        fft_size: 512,
        stft_hop: 128,
        stride: 2,
        width: 8,
        encoder_blocks: 1,
        decoder_blocks: 1,
        kernel: 3,
        expansion: 2,
        latent_dim: 4,
        quantizers: 2,
        codebook_size: 16,
        memory: Some(0.8),
        coherence: 0.5,
        power_bands: 4,
        power: 1.0,
        // Random weights are loud: this brings the toy well below full scale.
        gain: 3000.0,
    };
    let prior = PriorConfig {
        hidden_size: 8,
        layers: 1,
        heads: 2,
        window: 16,
        depth_size: 8,
        depth_layers: 1,
        depth_heads: 2,
        conditioning: Conditioning::default(),
        ends: true,
        longest: None,
        kept: None,
    };
    ModelConfig { codec, prior: Some(prior) }
}

/// A bundle whose random weights are those of `seed`.
pub fn bundle(seed: u64) -> Bundle {
    bundle_of(config(), seed)
}

fn bundle_of(config: ModelConfig, seed: u64) -> Bundle {
    let weight = |tensor: usize, i: usize| {
        let key = TakeKey { seed, take: tensor as u64 };
        uniform(key, u32::try_from(i).unwrap(), 0) - 0.5
    };
    let tensors: Tensors = config
        .tensors()
        .into_iter()
        .enumerate()
        .map(|(n, (name, shape))| {
            let len = shape.iter().product();
            // Nothing is bounded but by what any bundle is.
            let value = |i| match name.as_str() {
                "codec.ceiling" | "codec.peaks" => 1e4,
                // Log-magnitudes about 0, stretched.
                "codec.origin" => stretch(weight(n, i)),
                _ => weight(n, i),
            };
            let values = (0..len).map(value).collect();
            (name, Tensor::f32(&shape, values).unwrap())
        })
        .collect();
    Bundle::new(config, Card { name: format!("Toy {seed}"), ..Card::default() }, tensors).unwrap()
}

pub fn model(seed: u64) -> Arc<Model> {
    let bundle = bundle(seed);
    Arc::new(Model::new(bundle.config(), bundle.tensors(), bundle.digest()).unwrap())
}

/// The model of `seed`, which can be asked for `pitches`.
pub fn pitched_model(seed: u64, pitches: Pitches) -> Arc<Model> {
    asked_model(seed, Conditioning { pitch: pitches, ..Conditioning::default() })
}

/// The model of `seed`, which can be asked for what `offered` says.
pub fn asked_model(seed: u64, offered: Conditioning) -> Arc<Model> {
    let mut config = config();
    config.prior.as_mut().unwrap().conditioning = offered;
    let bundle = bundle_of(config, seed);
    Arc::new(Model::new(bundle.config(), bundle.tensors(), bundle.digest()).unwrap())
}

/// Settings at which a voice at full velocity is the take itself.
pub fn settings() -> Settings {
    Settings {
        seed: 1,
        sampling: Sampling::default(),
        gain: 1.0,
        shape: Shape { attack: 0.0, decay: 0.5, sustain: 1.0, release: 0.01, one_shot: false },
        playing: Playing::Notes,
        restart_bars: 0,
        hold: Hold::Off,
        loop_bars: 1,
        trigger: Trigger::Gate,
        voicing: Voicing::Poly,
        voices: 8,
        keys: Keys::Ignored,
        variations: 0,
        velocity: true,
        locked: false,
        tune: 0.0,
        width: 1.0,
        always_wait: false,
    }
}

pub fn note(key: u8) -> Note {
    Note { id: None, channel: 0, key, velocity: 1.0 }
}

pub fn key(key: u8) -> Which {
    Which { id: None, channel: None, key: Some(key) }
}

/// What take `take` of seed 1 sounds like, frame n drawn with `sampling(n)`: stereo samples.
pub fn take(
    model: &Arc<Model>,
    take: u64,
    frames: usize,
    sampling: impl Fn(usize) -> Sampling,
) -> Vec<[f32; 2]> {
    let mut take = Take::new(Arc::clone(model), TakeKey { seed: 1, take }).unwrap();
    let mut frame = vec![0.0; 2 * HOP];
    let mut sound = Vec::new();
    for n in 0..frames {
        take.step(&sampling(n), &mut frame);
        sound.extend((0..HOP).map(|i| [frame[i], frame[HOP + i]]));
    }
    sound
}

/// Codes of a toy that are those of `seed`.
pub fn random_codes(frames: u32, seed: u32) -> Codes {
    let CodecConfig { quantizers, codebook_size, .. } = config().codec;
    let mut codes = Codes::new(quantizers);
    for t in 0..frames {
        let code = |level: usize| {
            let key = TakeKey { seed: seed.into(), take: level as u64 };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let code = (uniform(key, t, 0) * codebook_size as f32) as u32;
            code
        };
        codes.push(&(0..quantizers).map(code).collect::<Vec<_>>());
    }
    codes
}

/// A clip of a toy.
pub fn clip(codes: &Codes) -> Clip {
    let (name, codec) = ("Clip".to_owned(), CODEC.repeat(32));
    let locks = Locks::default();
    Clip { name, rating: 0, codec, codes: Arc::new(codes.clone()), locks }
}

/// An engine and its desk, worked on by the test itself.
pub struct Stage {
    pub engine: Engine,
    pub desk: Desk,
    pub instance: Arc<Instance>,
    pub settings: Settings,
    pub playing: bool,
    pub meter: Option<Meter>,
}

impl Stage {
    /// A stage with the toy of `seed`, at the beginning of playback, heads made.
    pub fn new(seed: u64) -> Self {
        Self::with_model(model(seed))
    }

    /// A stage with `model`, at the beginning of playback, heads made.
    pub fn with_model(model: Arc<Model>) -> Self {
        let mut stage = Self::loading();
        stage.deliver(&model);
        stage.engine.reset(&stage.settings.clone());
        stage.work();
        stage
    }

    /// A stage at the beginning of playback, whose bundle is still being loaded.
    pub fn loading() -> Self {
        let (audio, worker) = connect();
        let instance = Arc::new(Instance::default());
        instance.choose(BundleRef::default());
        let desk = Desk::new(0, worker, Arc::clone(&instance));
        let settings = settings();
        let mut engine = Engine::new(audio, Arc::clone(&instance), settings);
        engine.activate(RATE, false);
        engine.reset(&settings);
        Self { engine, desk, instance, settings, playing: false, meter: None }
    }

    /// Plays `model` from now on.
    pub fn deliver(&mut self, model: &Arc<Model>) {
        let edition = self.instance.edition();
        self.desk.set_model(edition, Arc::clone(model));
        let playing = ModelRef { model: Arc::downgrade(model), codec: CODEC.repeat(32) };
        let (reference, zones) = (BundleRef::default(), Zones::of(model));
        self.instance.succeed(edition, reference, String::new(), zones, playing);
    }

    /// Does what a worker would, until there is nothing to do.
    pub fn work(&mut self) {
        self.desk.tend();
        while let Some(first) = self.desk.pick(None) {
            let mut sources = vec![first];
            while sources.len() < VOICES
                && let Some(source) = self.desk.pick(sources.first())
            {
                sources.push(source);
            }
            Source::step_together(&mut sources).unwrap();
            sources.into_iter().for_each(|source| self.desk.put_back(source));
        }
    }

    /// Begins a block of `len` samples.
    pub fn begin(&mut self, len: usize) {
        let Self { settings, playing, meter, .. } = *self;
        self.engine.begin(&Block { settings, len, now: Instant::now(), playing, meter });
    }

    /// Renders `output`, planar, in blocks of `block` samples with a tireless worker.
    pub fn play(&mut self, output: &mut [Vec<f32>; 2], block: usize) {
        let [left, right] = output;
        for (left, right) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
            self.work();
            self.begin(left.len());
            self.engine.render(left, right);
            self.engine.finish();
        }
    }

    /// The next `len` samples, with a tireless worker.
    pub fn listen(&mut self, len: usize) -> [Vec<f32>; 2] {
        let mut output = [vec![f32::NAN; len], vec![f32::NAN; len]];
        self.play(&mut output, 128);
        output
    }
}
