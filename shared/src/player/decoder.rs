//! Codes to sound, one frame at a time or many.

use std::sync::Arc;

use arrayvec::ArrayVec;
use pulp::NullaryFnOnce;
use realfft::num_complex::Complex;

use super::blocks::{Blocks, BlocksRoom, BlocksState};
use super::bounds::Bounds;
use super::elements::Norm;
use super::kernel::Linear;
use super::powers::Powers;
use super::voicing::Voicing;
use super::weights::Weights;
use super::{CopyCheck, Model, VOICES};
use crate::codes::Codes;
use crate::companding::relax;
use crate::model::config::CodecConfig;
use crate::stft::{Overlap, weights_of};

/// Frames computed at once where there are many: enough to use each weight several times while
/// it is at hand, few enough to stay in cache.
const BATCH: usize = VOICES;

/// The packed layers of the decoder.
#[derive(Debug)]
pub(crate) struct DecoderWeights {
    basis: Linear,
    project: Linear,
    blocks: Blocks,
    norm: Norm,
    head: Linear,
    /// `[X]` each.
    origin: Vec<f32>,
    inverse_weights: Vec<f32>,
    powers: Powers,
    bounds: Bounds,
}

impl DecoderWeights {
    /// Packs the decoder.
    pub(crate) fn new(weights: &Weights, config: &CodecConfig) -> Self {
        let basis = weights.values("codec.decoder.basis");
        Self {
            basis: weights.pack(config.latent_dim, &basis, &[]),
            project: weights.linear("codec.decoder.project", config.latent_dim),
            blocks: Blocks::new(weights, "codec.decoder.blocks", config.decoder_blocks, config),
            norm: weights.norm("codec.decoder.norm"),
            head: weights.linear("codec.decoder.head", config.width),
            origin: weights.values("codec.origin"),
            inverse_weights: weights_of(config).iter().map(|weight| 1.0 / weight).collect(),
            powers: Powers::new(config),
            bounds: Bounds::new(weights),
        }
    }
}

/// Turns a stream of codes into sound that lags behind them by
/// [`delay`](CodecConfig::delay) samples.
pub struct Decoder {
    model: Arc<Model>,
    stream: Stream,
    room: Room,
}

/// The next frame of one of several streams of a model, for [`Decoder::decode_together`].
pub struct NextSound<'a> {
    /// The stream.
    pub decoder: &'a mut Decoder,
    /// Its codes, coarse to fine: `[N]`; none if its newest latent goes on.
    pub codes: &'a [u32],
    /// Where its sound goes, planar `[C, hop]`.
    pub out: &'a mut [f32],
    /// Who is to hear it beside, if anyone.
    pub check: Option<&'a mut CopyCheck>,
}

/// What a stream carries from frame to frame.
struct Stream {
    blocks: BlocksState,
    voicing: Voicing,
    /// Per channel.
    overlaps: Vec<Overlap>,
    /// The newest latent, `[D]`.
    latent: Vec<f32>,
}

/// Room for the frames computed at once, of one stream or of several.
#[derive(Default)]
struct Room {
    blocks: BlocksRoom,
    /// `[BATCH, D]`.
    latents: Vec<f32>,
    /// `[BATCH, W]` each.
    x: Vec<f32>,
    normed: Vec<f32>,
    /// `[BATCH, X]` each.
    features: Vec<f32>,
    learned: Vec<f32>,
    /// Per channel, `[F]`.
    spectra: Vec<Vec<Complex<f32>>>,
}

impl Decoder {
    /// Starts a stream.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        let codec = &model.config().codec;
        let stream = Stream {
            blocks: model.decoder.blocks.start(BATCH),
            voicing: Voicing::new(codec),
            overlaps: (0..codec.channels).map(|_| model.synthesis.start()).collect(),
            latent: vec![0.0; codec.latent_dim],
        };
        let room = Room {
            blocks: model.decoder.blocks.room(BATCH),
            latents: vec![0.0; BATCH * codec.latent_dim],
            x: vec![0.0; BATCH * codec.width],
            normed: vec![0.0; BATCH * codec.width],
            features: vec![0.0; BATCH * codec.frame_features()],
            learned: vec![0.0; BATCH * codec.frame_features()],
            spectra: vec![vec![Complex::default(); codec.bins()]; codec.channels],
        };
        Self { model, stream, room }
    }

    /// Forgets all it has heard: back to the start of a stream. Real-time safe.
    pub fn reset(&mut self) {
        self.stream.latent.fill(0.0);
        self.stream.blocks.reset();
        self.stream.voicing.reset();
        self.stream.overlaps.iter_mut().for_each(Overlap::reset);
    }

    /// Decodes the next frame: `codes` coarse to fine, `[N]`, into `out`, planar `[C, hop]`.
    /// Real-time safe.
    ///
    /// # Panics
    ///
    /// As [`Self::decode_frames`].
    pub fn decode_frame(&mut self, codes: &[u32], out: &mut [f32]) {
        self.decode_frames(codes, out);
    }

    /// As [`Self::decode_frame`], but with no codes at all the newest latent goes on. Real-time safe.
    ///
    /// # Panics
    ///
    /// As [`Self::decode_together`].
    pub fn decode_or_go_on(&mut self, codes: &[u32], out: &mut [f32]) {
        Self::decode_together(&mut [NextSound { decoder: self, codes, out, check: None }]);
    }

    /// Decodes the next frames: `codes`, `[T, N]`, into `out`, planar `[C, T * hop]`. However a
    /// stream is cut into calls, it gives the same bits. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if the lengths of `codes` and `out` do not agree, or a code is neither below `K` nor
    /// [`ABSENT`](crate::codes::ABSENT).
    pub fn decode_frames(&mut self, codes: &[u32], out: &mut [f32]) {
        let Self { model, stream, room } = self;
        let codec = &model.config().codec;
        let frames = codes.len() / codec.quantizers;
        assert_eq!(codes.len(), frames * codec.quantizers, "codes are [T, N]");
        assert_eq!(out.len(), codec.channels * frames * codec.hop(), "sound is [C, T * hop]");
        for (i, codes) in codes.chunks(BATCH * codec.quantizers).enumerate() {
            let rows = stream.read(model, codes, &mut room.latents);
            room.run(model, rows, &mut [&mut stream.blocks]);
            for row in 0..rows * codec.stride {
                room.play(model, stream, row, i * BATCH * codec.stride + row, out);
            }
        }
    }

    /// Decodes the next frame of each of up to [`VOICES`](super::VOICES) streams. The weights are
    /// fetched once for all of them; each gives the bits that it would give alone. Real-time safe.
    ///
    /// # Panics
    ///
    /// Panics if there are more streams, they are not all of one model, or as
    /// [`Self::decode_frames`].
    pub fn decode_together(next: &mut [NextSound]) {
        let Some(first) = next.first_mut() else { return };
        let model = Arc::clone(&first.decoder.model);
        let codec = &model.config().codec;
        let mut room = std::mem::take(&mut first.decoder.room);
        for (next, latent) in next.iter_mut().zip(room.latents.chunks_mut(codec.latent_dim)) {
            assert!(Arc::ptr_eq(&next.decoder.model, &model), "the streams are of one model");
            assert!([0, codec.quantizers].contains(&next.codes.len()), "codes are [N], or none");
            assert_eq!(next.out.len(), codec.channels * codec.hop(), "sound is [C, hop]");
            next.decoder.stream.read(&model, next.codes, latent);
            latent.copy_from_slice(&next.decoder.stream.latent);
        }
        let rows = next.len();
        let streams = next.iter_mut().map(|next| &mut next.decoder.stream.blocks);
        room.run(&model, rows, &mut streams.collect::<ArrayVec<_, VOICES>>());
        let features = room.features.chunks_exact(codec.frame_features());
        for (next, features) in next.iter_mut().zip(features) {
            if let Some(check) = &mut next.check {
                check.hear(features);
            }
        }
        for (voice, next) in next.iter_mut().enumerate() {
            for row in 0..codec.stride {
                let stream = &mut next.decoder.stream;
                room.play(&model, stream, voice * codec.stride + row, row, next.out);
            }
        }
        if let Some(first) = next.first_mut() {
            first.decoder.room = room;
        }
    }

    /// Decodes the next frames as far as the trained layers go: features, `[T, X]`, as
    /// [`Analysis`](crate::stft::Analysis) gives them, without their sound.
    ///
    /// # Panics
    ///
    /// As [`Self::decode_frames`].
    pub fn decode_features(&mut self, codes: &[u32]) -> Vec<f32> {
        let mut features = Vec::new();
        self.visit_features(codes, |frame| features.extend_from_slice(frame));
        features
    }

    /// As [`Self::decode_features`], but `visit` gets the features of one frame after the other,
    /// `[stride, X]`: those of an hour would take gigabytes.
    ///
    /// # Panics
    ///
    /// As [`Self::decode_frames`].
    pub fn visit_features(&mut self, codes: &[u32], mut visit: impl FnMut(&[f32])) {
        let Self { model, stream, room } = self;
        let codec = &model.config().codec;
        for codes in codes.chunks(BATCH * codec.quantizers) {
            let rows = stream.read(model, codes, &mut room.latents);
            room.run(model, rows, &mut [&mut stream.blocks]);
            let features = room.features.chunks_exact(codec.frame_features());
            features.take(rows).for_each(&mut visit);
        }
    }
}

impl Stream {
    /// The latents that the next codes stand for, `[T, N]` to `[T, D]`; how many there are.
    fn read(&mut self, model: &Model, codes: &[u32], latents: &mut [f32]) -> usize {
        let codec = &model.config().codec;
        let frames = codes.chunks_exact(codec.quantizers);
        for (codes, latent) in frames.zip(latents.chunks_exact_mut(codec.latent_dim)) {
            model.quantizer.decode(codes, &mut self.latent);
            latent.copy_from_slice(&self.latent);
        }
        codes.len() / codec.quantizers
    }
}

impl Room {
    /// Computes the features of `rows` frames, `[streams, T]`, from their latents.
    fn run(&mut self, model: &Model, rows: usize, streams: &mut [&mut BlocksState]) {
        let (codec, weights, arch) = (&model.config().codec, &model.decoder, model.arch);
        let latents = &self.latents[..rows * codec.latent_dim];
        let x = &mut self.x[..rows * codec.width];
        let normed = &mut self.normed[..rows * codec.width];
        let features = &mut self.features[..rows * codec.frame_features()];
        let learned = &mut self.learned[..rows * codec.frame_features()];
        weights.project.apply(arch, latents, x);
        weights.blocks.step(arch, &mut self.blocks, streams, x);
        weights.norm.apply(arch, x, normed);
        weights.head.apply(arch, normed, learned);
        weights.basis.apply(arch, latents, features);
        arch.dispatch(Restore { weights, learned, features });
    }

    /// Turns STFT frame `row` of the features into sound of `stream`, as STFT frame `at` of `out`.
    fn play(&mut self, model: &Model, stream: &mut Stream, row: usize, at: usize, out: &mut [f32]) {
        let codec = &model.config().codec;
        let hop = codec.stft_hop;
        let features = &mut self.features[row * codec.features()..][..codec.features()];
        model.decoder.powers.apply(model.arch, features);
        model.decoder.bounds.apply(model.arch, features);
        stream.voicing.frame(model.arch, features, &mut self.spectra);
        let samples = out.len() / codec.channels;
        let channels = self.spectra.iter_mut().zip(&mut stream.overlaps);
        let channels = channels.zip(model.decoder.bounds.peaks());
        for (((spectrum, overlap), &peak), out) in channels.zip(out.chunks_exact_mut(samples)) {
            model.synthesis.frame(spectrum, peak, overlap, &mut out[at * hop..][..hop]);
        }
        let to_sound = 1.0 / codec.gain;
        let (first, second) = out.split_at_mut(samples);
        let first = &mut first[at * hop..][..hop];
        if codec.channels == 2 {
            // Mid and side become left and right.
            for (first, second) in first.iter_mut().zip(&mut second[at * hop..][..hop]) {
                let (mid, side) = (*first, *second);
                *first = (mid + side) * to_sound;
                *second = (mid - side) * to_sound;
            }
        } else {
            first.iter_mut().for_each(|sample| *sample *= to_sound);
        }
    }
}

/// Turns weighted differences from silence, the sum of `features` and `learned`, into features that
/// are no longer stretched.
struct Restore<'a> {
    weights: &'a DecoderWeights,
    learned: &'a [f32],
    features: &'a mut [f32],
}

impl NullaryFnOnce for Restore<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let DecoderWeights { origin, inverse_weights, .. } = self.weights;
        let rows = self.features.chunks_exact_mut(origin.len());
        for (features, learned) in rows.zip(self.learned.chunks_exact(origin.len())) {
            let scales = origin.iter().zip(inverse_weights);
            let values = features.iter_mut().zip(learned).zip(scales);
            for ((feature, learned), (origin, scale)) in values {
                *feature = relax(origin + (*feature + learned) * scale);
            }
        }
    }
}

/// Decodes a recording of `samples` samples per channel from its codes: planar `[C, samples]`,
/// without delay. Beyond the codes there is silence.
///
/// # Panics
///
/// Panics if the codes have another number of levels than the codec, or one is not below `K`.
#[must_use]
pub fn decode(model: &Arc<Model>, codes: &Codes, samples: usize) -> Vec<f32> {
    let codec = &model.config().codec;
    assert_eq!(codes.quantizers(), codec.quantizers, "codes of this codec");
    let frames = codes.frames().min(codec.frames_for(samples));
    let mut sound = vec![0.0; codec.channels * frames * codec.hop()];
    let codes = &codes.as_slice()[..frames * codec.quantizers];
    Decoder::new(Arc::clone(model)).decode_frames(codes, &mut sound);
    let mut whole = vec![0.0; codec.channels * samples];
    if frames * codec.hop() > codec.delay() && samples > 0 {
        let channels = sound.chunks_exact(frames * codec.hop());
        for (channel, whole) in channels.zip(whole.chunks_exact_mut(samples)) {
            let heard = &channel[codec.delay()..];
            let len = heard.len().min(samples);
            whole[..len].copy_from_slice(&heard[..len]);
        }
    }
    whole
}
