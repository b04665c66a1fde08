//! Bundles survive the way through a file, and a new prior changes nothing else in one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod toy;

use std::fs;
use std::path::Path;

use distill_shared::bundle::{
    Bundle, BundleError, Card, CorpusCodes, CurvePoint, MAX_CURVE, PriorMetadata, SaveError,
    Tensor, TrainingSummary, save_prior_to_model,
};
use distill_shared::codes::unflatten_codes;
use distill_shared::model::config::{ModelConfig, PriorConfig};
use safetensors::SafeTensors;

/// The raw bytes of every tensor in the file whose name `keep` accepts, as another program reads it.
fn raw_tensors(path: &Path, keep: fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut raw: Vec<_> = tensors
        .iter()
        .filter(|(name, _)| keep(name))
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect();
    raw.sort();
    raw
}

fn metadata(steps: u32) -> PriorMetadata {
    let training = TrainingSummary { steps, ..TrainingSummary::default() };
    PriorMetadata { training, perplexity: vec![Some(2.5), None], ..PriorMetadata::default() }
}

#[test]
fn a_bundle_survives_the_way_through_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    let bundle = toy::bundle();
    bundle.write(&path).unwrap();
    let read = Bundle::open(&path).unwrap();
    assert_eq!(read, bundle);
    assert_eq!(read.card(), &toy::card());
    assert_eq!(read.corpus_codes(), toy::corpus());
    assert_eq!(read.preview().unwrap(), [[0.5, -0.25, 0.0], [0.0, 1.0, -1.0]]);
    assert_eq!(read.to_bytes(), fs::read(&path).unwrap());
}

#[test]
fn only_weights_are_tensors_of_the_model() {
    let names: Vec<_> = toy::bundle().tensors().keys().cloned().collect();
    let implied: Vec<_> = toy::config().tensors().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, implied);
}

#[test]
fn another_program_finds_every_tensor_and_text() {
    let bytes = toy::bundle().to_bytes();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let texts = header.metadata().as_ref().unwrap();
    let mut keys: Vec<_> = texts.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["card", "checksum", "config", "corpus", "digest", "format", "version"]);
    assert_eq!(texts["digest"], toy::bundle().digest());

    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.len(), toy::config().tensors().len() + 2);
    for (name, tensor) in toy::bundle().tensors() {
        let found = tensors.tensor(name).unwrap();
        assert_eq!((found.shape(), found.data()), (tensor.shape(), tensor.data().bytes()));
    }
}

#[test]
fn every_value_lies_at_a_multiple_of_its_size() {
    // One 16-bit value more than pairs: 32-bit values behind it would lie askew.
    let mut config = toy::config();
    config.codec.channels = 1;
    let weights = toy::weights(config.tensors(), 3);
    let bundle = Bundle::new(config, toy::card(), weights).unwrap();
    let bytes = bundle.with_preview(&[vec![0.5]]).unwrap().to_bytes();
    let (header_bytes, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert!(header_bytes.is_multiple_of(8));
    for (name, info) in header.tensors() {
        assert!(info.data_offsets.0.is_multiple_of(info.dtype.bitsize() / 8), "{name}");
    }
}

#[test]
fn the_digest_tells_models_apart_and_not_their_cards() {
    let mut weights = toy::weights(toy::config().tensors(), 3);
    let bundle = Bundle::new(toy::config(), toy::card(), weights.clone()).unwrap();
    let renamed = Bundle::new(toy::config(), Card::default(), weights.clone()).unwrap();
    assert_eq!(renamed.digest(), bundle.digest());
    weights.insert("prior.start".to_owned(), Tensor::f16(&[2], &[0.0, 0.5]).unwrap());
    let other = Bundle::new(toy::config(), toy::card(), weights).unwrap();
    assert_ne!(other.digest(), bundle.digest());
}

#[test]
fn a_codec_alone_is_a_bundle_without_a_prior() {
    let config = ModelConfig { prior: None, ..toy::config() };
    let weights = toy::weights(config.tensors(), 0);
    let bundle = Bundle::new(config, toy::card(), weights).unwrap();
    assert!(!bundle.has_prior() && bundle.prior().is_none());
    assert!(bundle.prior_config().is_none() && bundle.prior_metadata().is_none());
    assert!(bundle.corpus_codes().is_empty() && bundle.preview().is_none());
    assert_eq!(Bundle::read(&bundle.to_bytes()), Ok(bundle));
}

#[test]
fn a_new_prior_leaves_everything_else_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle().write(&path).unwrap();
    let not_prior = |name: &str| !name.starts_with("prior.");
    let before = raw_tensors(&path, not_prior);

    // Larger, then smaller again, so that nothing can be left of the prior before.
    let larger = PriorConfig { layers: 2, ..toy::prior(2) };
    let weights = toy::weights(larger.tensors(&toy::config().codec), 0);
    save_prior_to_model(&path, &larger, weights, metadata(6)).unwrap();
    let config = toy::prior(4);
    let weights = toy::weights(config.tensors(&toy::config().codec), 2);
    save_prior_to_model(&path, &config, weights.clone(), metadata(7)).unwrap();

    assert_eq!(raw_tensors(&path, not_prior), before);
    let saved = Bundle::open(&path).unwrap();
    assert_eq!(saved.prior_config(), Some(&config));
    assert_eq!(saved.prior_metadata(), Some(&metadata(7)));
    assert!(saved.prior().unwrap().eq(&weights));
    assert_eq!(saved.corpus_codes(), toy::corpus());
    assert_eq!(saved.card().name, "toy");
    assert_ne!(saved.digest(), toy::bundle().digest());
}

#[test]
fn a_prior_of_the_wrong_sizes_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle().write(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let weights = toy::weights(toy::prior(4).tensors(&toy::config().codec), 0);
    let error = save_prior_to_model(&path, &toy::prior(2), weights, metadata(7)).unwrap_err();
    assert!(matches!(error, SaveError::Prior { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_long_loss_curve_is_thinned() {
    let mut card = toy::card();
    card.codec.training.curve = vec![CurvePoint::default(); 100_000];
    let bundle = toy::bundle().with_card(card).unwrap();
    assert_eq!(bundle.card().codec.training.curve.len(), MAX_CURVE);
}

#[test]
fn a_corpus_of_too_many_names_is_refused_before_anything_is_written() {
    let recording = |i: u32| CorpusCodes {
        name: format!("{i:0>200}.wav"),
        codes: unflatten_codes(&[0, 0], 2).unwrap(),
        ..CorpusCodes::default()
    };
    let recordings: Vec<_> = (0..10_000).map(recording).collect();
    let refused = toy::bundle().with_corpus_codes(&recordings);
    assert!(matches!(refused, Err(BundleError::HeaderTooLarge(_))));
}

#[test]
fn a_preview_has_the_channels_of_the_codec() {
    let refused = |channels: &[Vec<f32>]| toy::bundle().with_preview(channels).is_err();
    assert!(refused(&[vec![0.0; 4]]), "mono in a stereo bundle");
    assert!(refused(&[vec![0.0; 4], vec![0.0; 3]]), "channels of different lengths");
    assert!(refused(&[vec![], vec![]]), "no samples");
    assert!(refused(&[vec![f32::NAN], vec![0.0]]), "not a number");
}

#[test]
fn codes_that_no_codebook_has_are_refused() {
    let mut corpus = toy::corpus();
    corpus[0].codes = unflatten_codes(&[0, 4], 2).unwrap();
    assert_eq!(toy::bundle().with_corpus_codes(&corpus).unwrap_err(), BundleError::Code(4));
    corpus[0].codes = unflatten_codes(&[0, 70_000], 2).unwrap();
    assert_eq!(toy::bundle().with_corpus_codes(&corpus).unwrap_err(), BundleError::Code(70_000));
    corpus[0].codes = unflatten_codes(&[0, 1, 2], 3).unwrap();
    assert!(matches!(
        toy::bundle().with_corpus_codes(&corpus),
        Err(BundleError::Shape { expected, .. }) if expected == [1, 2]
    ));
}

#[test]
fn what_is_not_a_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let message = Bundle::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("it is not a file") && message.contains("cannot use /"), "{message}");
    let missing = folder.path().join("nothing.distill");
    let message = Bundle::open(&missing).unwrap_err().to_string();
    assert!(message.starts_with("cannot read") && message.contains("nothing.distill"), "{message}");
}
