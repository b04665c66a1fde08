//! A FLAC file holds what a host renders, rounded.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use distill_plugin::export::{Export, Format};
use distill_plugin::instance::ModelRef;
use distill_shared::math::quantize;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use toy::{CODEC, clip, model, random_codes, settings};

/// The samples of a file, a channel after the other, and its rate.
fn decoded(path: &Path) -> (Vec<Vec<f32>>, u32) {
    let stream = MediaSourceStream::new(Box::new(File::open(path).unwrap()), Default::default());
    let mut reader = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, Default::default(), Default::default())
        .unwrap();
    let track = reader.default_track(TrackType::Audio).unwrap();
    let parameters = track.codec_params.as_ref().unwrap().audio().unwrap().clone();
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        .unwrap();
    let (mut sound, mut planes, mut rate) = (vec![Vec::new(); 2], Vec::<Vec<f32>>::new(), 0);
    while let Some(packet) = reader.next_packet().unwrap() {
        let buffer = decoder.decode(&packet).unwrap();
        rate = buffer.spec().rate();
        buffer.copy_to_vecs_planar(&mut planes);
        assert_eq!(planes.len(), 2);
        sound.iter_mut().zip(&planes).for_each(|(all, new)| all.extend_from_slice(new));
    }
    (sound, rate)
}

#[test]
fn a_flac_file_holds_what_a_host_renders_rounded_to_its_bits() {
    let (codes, model) = (random_codes(20, 3), model(7));
    let folder = tempfile::tempdir().unwrap();
    for (format, rate, bits) in [
        (Format::Flac16, 44_100.0, 16),
        (Format::Flac24, 48_000.0, 24),
        (Format::Flac24, 96_000.0, 24),
    ] {
        let export = Export {
            model: ModelRef { model: Arc::downgrade(&model), codec: CODEC.repeat(32) },
            clip: clip(&codes),
            settings: settings(),
            rate,
            format,
            folder: folder.path().to_owned(),
        };
        let path = export.write(&AtomicBool::new(false)).unwrap();
        assert_eq!(path.extension().unwrap(), "flac");
        assert!(path.with_extension("json").exists(), "its codes lie beside it");
        let (sound, told) = decoded(&path);
        assert_eq!(told as f32, rate);
        // Integers of so many bits are exact in single precision.
        let scale = (f32::from(bits) - 1.0).exp2();
        let rendered = export.render(&model, &AtomicBool::new(false)).unwrap();
        assert!(rendered.iter().any(|[left, _]| left.abs() > 1e-3));
        for (side, read) in sound.iter().enumerate() {
            let wanted: Vec<f32> =
                rendered.iter().map(|sample| quantize(sample[side], bits) as f32 / scale).collect();
            assert!(*read == wanted, "side {side}, {format:?} at {rate} Hz");
        }
    }
}
