//! Recordings through the codec and back, as the instrument would play them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use distill_shared::bundle::{Bundle, CorpusCodes};
use distill_shared::codes::Codes;
use distill_shared::player::{Model, decode};

use super::prior::copying::{Shared, shared_with_corpus};
use crate::corpus::{Corpus, Recording, SAMPLE_RATE};
use crate::pipeline::Session;

/// What a codec makes of recordings.
#[derive(Debug)]
pub struct Reconstruction {
    /// The recordings as the codec hears them: with its channels, at the level of their files.
    pub heard: Vec<Recording>,
    /// What it plays for each: `[C][S]`, in time with the recording and as long.
    pub sounds: Vec<Vec<Vec<f32>>>,
    /// The codes of each.
    pub codes: Vec<CorpusCodes>,
    /// What they share with the corpus of the bundle, if that keeps it.
    pub shared: Option<Shared>,
    /// Seconds that encoding took, the loading of the weights included.
    pub encode_s: f64,
    /// Seconds that decoding took.
    pub decode_s: f64,
}

/// Encodes `recordings`, of one or two channels each, and decodes them with the player. `session`
/// decides how many threads encode; one decodes.
///
/// # Errors
///
/// Fails if the bundle is for another rate than [`SAMPLE_RATE`], or plays what is not sound.
pub fn reconstruct(
    session: &mut Session,
    bundle: &Bundle,
    recordings: Vec<Recording>,
) -> Result<Reconstruction> {
    let codec = &bundle.config().codec;
    ensure!(
        codec.sample_rate == SAMPLE_RATE,
        "the codec works at {} Hz, and recordings are measured at {SAMPLE_RATE} Hz",
        codec.sample_rate
    );
    let (channels, gain) = (codec.channels, codec.gain);
    let corpus = Corpus { recordings, channels, sample_rate: SAMPLE_RATE, gain };
    let corpus = corpus.as_heard_by(codec);
    let start = Instant::now();
    let codes = session.read_codes(&corpus, codec, bundle.tensors())?;
    let encode_s = start.elapsed().as_secs_f64();

    let model = Arc::new(Model::from_bundle(bundle).context("cannot play the bundle")?);
    let start = Instant::now();
    let play = |(codes, recording): (&CorpusCodes, &Recording)| {
        let samples = recording.samples();
        let planar = decode(&model, &codes.codes, samples);
        planar.chunks_exact(samples.max(1)).map(<[f32]>::to_vec).collect()
    };
    let sounds: Vec<Vec<Vec<f32>>> = codes.iter().zip(&corpus.recordings).map(play).collect();
    let decode_s = start.elapsed().as_secs_f64();
    let is_sound = sounds.iter().flatten().flatten().all(|sample| sample.is_finite());
    ensure!(is_sound, "the codec plays samples that are not numbers");
    let all: Vec<&Codes> = codes.iter().map(|one| &one.codes).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(session.threads)
        .build()
        .context("cannot start threads to compare with")?;
    let shared = pool.install(|| shared_with_corpus(&model, &all));
    Ok(Reconstruction { heard: corpus.recordings, sounds, codes, shared, encode_s, decode_s })
}
