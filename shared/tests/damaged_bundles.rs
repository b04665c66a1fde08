//! No damaged or foreign file gets through as a bundle, and each is told what is wrong with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod toy;

use std::sync::Arc;

use distill_shared::bundle::{Bundle, BundleError};
use distill_shared::model::config::ModelConfig;
use distill_shared::player::{Model, Sampling, Take, TakeKey};
use half::f16;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A bundle taken apart, to be damaged and put together again with sums that are right.
struct Parts {
    header: Value,
    data: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        let bytes = toy::bundle().to_bytes();
        let length = u64::from_le_bytes(*bytes.first_chunk().unwrap());
        let (header, data) = bytes[8..].split_at(usize::try_from(length).unwrap());
        Self { header: serde_json::from_slice(header).unwrap(), data: data.to_vec() }
    }

    /// The text behind `key` of the metadata.
    fn text(&mut self, key: &str) -> &mut Value {
        &mut self.header["__metadata__"][key]
    }

    /// The bytes of a tensor.
    fn tensor(&mut self, name: &str) -> &mut [u8] {
        let range = range(&self.header[name]);
        &mut self.data[range]
    }

    /// The file, with digest and checksum as `docs/bundle.md` defines them.
    fn seal(mut self) -> Vec<u8> {
        let digest = self.digest();
        *self.text("digest") = digest.into();
        let mut sum = Sha256::new();
        for (key, text) in self.header["__metadata__"].as_object().unwrap() {
            if key != "checksum" {
                counted(&mut sum, key.as_bytes());
                counted(&mut sum, text.as_str().unwrap().as_bytes());
            }
        }
        *self.text("checksum") = hex(sum).into();
        file(self.header.to_string().as_bytes(), &self.data)
    }

    fn digest(&self) -> String {
        let mut sum = Sha256::new();
        counted(&mut sum, self.header["__metadata__"]["config"].as_str().unwrap().as_bytes());
        for (name, entry) in self.header.as_object().unwrap() {
            if name == "__metadata__" {
                continue;
            }
            let shape = entry["shape"].as_array().unwrap();
            counted(&mut sum, name.as_bytes());
            counted(&mut sum, entry["dtype"].as_str().unwrap().as_bytes());
            sum.update((shape.len() as u64).to_le_bytes());
            shape.iter().for_each(|dim| sum.update(dim.as_u64().unwrap().to_le_bytes()));
            counted(&mut sum, self.data.get(range(entry)).unwrap_or_default());
        }
        hex(sum)
    }
}

/// Where the bytes of a tensor lie.
fn range(entry: &Value) -> std::ops::Range<usize> {
    let offset = |i: usize| usize::try_from(entry["data_offsets"][i].as_u64().unwrap()).unwrap();
    offset(0)..offset(1)
}

fn counted(sum: &mut Sha256, bytes: &[u8]) {
    sum.update((bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
}

fn hex(sum: Sha256) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// What reading says of a bundle damaged by `damage`.
fn error_after(damage: impl FnOnce(&mut Parts)) -> BundleError {
    let mut parts = Parts::new();
    damage(&mut parts);
    Bundle::read(&parts.seal()).unwrap_err()
}

/// What reading says of a file that is all header.
fn error_of_header(header: &str) -> BundleError {
    Bundle::read(&file(header.as_bytes(), &[])).unwrap_err()
}

#[test]
fn the_digests_are_those_of_the_specification() {
    assert_eq!(Parts::new().digest(), toy::bundle().digest());
    assert_eq!(Bundle::read(&Parts::new().seal()), Ok(toy::bundle()));
}

#[test]
fn a_bundle_cut_off_anywhere_is_an_error() {
    let bytes = toy::bundle().to_bytes();
    for len in 0..bytes.len() {
        assert!(Bundle::read(&bytes[..len]).is_err(), "accepted {len} of {} bytes", bytes.len());
    }
}

#[test]
fn no_flipped_bit_changes_what_is_read() {
    // Without a prior: everything that a header can hold, in half the bits.
    let config = ModelConfig { prior: None, ..toy::config() };
    let weights = toy::weights(config.tensors(), 3);
    let bundle = Bundle::new(config, toy::card(), weights)
        .and_then(|bundle| bundle.with_corpus_codes(&toy::corpus()))
        .and_then(|bundle| bundle.with_preview(&[vec![0.5], vec![-0.5]]))
        .unwrap();
    let bytes = bundle.to_bytes();
    let mut flipped = bytes.clone();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        // The case of a letter in an escape such as \u202e means nothing.
        let read = Bundle::read(&flipped);
        assert!(read.is_err() || read.as_ref() == Ok(&bundle), "bit {bit} went unnoticed");
        flipped[bit / 8] = bytes[bit / 8];
    }
}

#[test]
fn a_flipped_bit_in_a_weight_is_told_by_the_digest() {
    let mut bytes = toy::bundle().to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(Bundle::read(&bytes), Err(BundleError::Digest));
}

#[test]
fn a_tensor_that_is_missing_or_too_many_is_named() {
    let error = error_after(|parts| {
        let header = parts.header.as_object_mut().unwrap();
        let entry = header.remove("codec.encoder.norm.bias").unwrap();
        header.insert("codec.encoder.norm.bios".to_owned(), entry);
    });
    assert_eq!(error, BundleError::MissingTensor("codec.encoder.norm.bias".to_owned()));
    let error = error_after(|parts| {
        parts.header["extra"] = json!({"dtype": "F16", "shape": [0], "data_offsets": [0, 0]});
    });
    assert_eq!(error, BundleError::UnexpectedTensor("extra".to_owned()));
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let name = "codec.quantizer.codebooks";
    let error = error_after(|parts| parts.header[name]["shape"] = json!([4, 2, 2]));
    let expected = vec![2, 4, 2];
    let found = vec![4, 2, 2];
    assert_eq!(error, BundleError::Shape { name: name.to_owned(), found, expected });
    let error = error_after(|parts| parts.header[name]["shape"] = json!([1_u64 << 62, 4, 2]));
    assert!(matches!(error, BundleError::Shape { .. }), "{error}");
    let error = error_after(|parts| parts.header["preview"]["shape"] = json!([3, 2]));
    assert!(matches!(error, BundleError::Shape { .. }), "{error}");
}

#[test]
fn a_tensor_of_another_type_is_named() {
    for (name, dtype) in [
        ("prior.start", "BF16"),
        ("prior.start", "U16"),
        ("preview", "F32"),
        ("corpus.codes", "F16"),
    ] {
        let error = error_after(|parts| parts.header[name]["dtype"] = json!(dtype));
        let (name, found) = (name.to_owned(), dtype.to_owned());
        assert_eq!(error, BundleError::Dtype { name, found });
    }
}

#[test]
fn a_config_that_is_not_that_of_the_tensors_is_refused() {
    let with_config = |from: &str, to: &str| {
        error_after(|parts| {
            let text = parts.text("config").as_str().unwrap().to_owned();
            assert!(text.contains(from), "{text}");
            *parts.text("config") = text.replace(from, to).into();
        })
    };
    let error = with_config("\"quantizers\":2", "\"quantizers\":4");
    assert!(error.to_string().contains("codec.quantizer.codebooks"), "{error}");
    let error = with_config("\"width\":2", "\"width\":99999999999");
    assert!(matches!(error, BundleError::Config(_)), "{error}");
    let error = with_config("\"width\":2", "\"width\":2,\"\\u001b[2J\\u202e\":2");
    assert!(
        error.to_string().contains("\\u{1b}[2J\\u{202e}"),
        "nothing upsets a terminal: {error:?}"
    );
    let error = with_config("\"width\":2", "\"width\":-2");
    assert!(matches!(error, BundleError::ConfigSyntax(_)), "{error}");
    let error = with_config("\"width\":2", "\"width\":2,\"wings\":2");
    assert!(error.to_string().contains("wings"), "{error}");
}

#[test]
fn a_number_that_is_no_weight_is_told_by_its_tensor() {
    for wild in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, -10_001.0] {
        let name = "codec.decoder.blocks.0.conv.bias";
        let error = error_after(|parts| {
            assert_eq!(parts.header[name]["dtype"], "F32");
            parts.tensor(name)[..4].copy_from_slice(&wild.to_le_bytes());
        });
        assert_eq!(error, BundleError::Weight(name.to_owned()), "{wild}");
    }
    for wild in [f16::NAN, f16::NEG_INFINITY, f16::MAX] {
        let error = error_after(|parts| {
            parts.tensor("prior.start")[..2].copy_from_slice(&wild.to_le_bytes());
        });
        assert_eq!(error, BundleError::Weight("prior.start".to_owned()), "{wild}");
    }
}

#[test]
fn numbers_up_to_the_limit_are_weights() {
    let mut parts = Parts::new();
    parts.tensor("prior.start")[..2].copy_from_slice(&f16::from_f32(-1e4).to_le_bytes());
    parts.tensor("prior.start")[2..4].copy_from_slice(&f16::from_bits(1).to_le_bytes());
    assert!(Bundle::read(&parts.seal()).is_ok());
}

#[test]
fn a_model_of_zeros_is_a_model_and_plays_nothing_wild() {
    let mut parts = Parts::new();
    parts.data.fill(0);
    let bundle = Bundle::read(&parts.seal()).unwrap();
    let model = Arc::new(Model::from_bundle(&bundle).unwrap());
    let mut take = Take::new(model, TakeKey { seed: 1, take: 0 }).unwrap();
    let mut sound = vec![f32::NAN; 2 * bundle.config().codec.hop()];
    for _ in 0..9 {
        take.step(&Sampling::default(), &mut sound);
        assert!(sound.iter().all(|sample| sample.abs() <= 1.0));
    }
}

#[test]
fn a_code_outside_its_codebook_is_told() {
    let error = error_after(|parts| parts.tensor("corpus.codes")[0] = 4);
    assert_eq!(error, BundleError::Code(4));
}

#[test]
fn weights_in_steps_are_refused_without_these_or_with_others() {
    // A tensor as it lies in a file after it was rounded: whole numbers, and a step for each row.
    let name = "codec.quantizer.codebooks";
    let packed = |steps: Option<Value>, dtype: &str| {
        error_after(|parts| {
            let shape = parts.header[name]["shape"].clone();
            let [begin, end] =
                [0, 1].map(|i| parts.header[name]["data_offsets"][i].as_u64().unwrap());
            parts.header[name] =
                json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]});
            if let Some(shape) = steps {
                let steps = json!({"dtype": "F16", "shape": shape, "data_offsets": [end, end]});
                parts.header[format!("{name}.steps")] = steps;
            }
        })
    };
    let of = |ending: &str| format!("{name}{ending}");
    let without = packed(None, "I8");
    assert_eq!(without, BundleError::MissingTensor(of(".steps")));
    let other = packed(Some(json!([1, 1])), "I8");
    assert!(matches!(other, BundleError::Shape { .. }), "{other}");
    let of_none = packed(Some(json!([1, 1])), "F16");
    assert_eq!(of_none, BundleError::UnexpectedTensor(of(".steps")));
    let misplaced = packed(Some(json!([8, 1])), "I8");
    assert!(matches!(misplaced, BundleError::Layout(_)), "{misplaced}");
}

#[test]
fn recordings_that_do_not_add_up_to_the_codes_are_refused() {
    let with_index = |text: &str| error_after(|parts| *parts.text("corpus") = text.into());
    let error = with_index(r#"[{"name":"a","frames":4}]"#);
    assert!(matches!(error, BundleError::Shape { .. }), "{error}");
    for text in ["[]", "{}", r#"[{"name":"a","frames":-1}]"#, r#"[{"name":"a","frames":67108865}]"#]
    {
        assert!(matches!(with_index(text), BundleError::Corpus(_)), "{text}");
    }
    let error = error_after(|parts| {
        parts.header["__metadata__"].as_object_mut().unwrap().remove("corpus");
    });
    assert_eq!(error, BundleError::UnexpectedTensor("corpus.codes".to_owned()));
}

#[test]
fn a_version_of_the_future_asks_for_an_update() {
    for version in ["2", "0", "-1", "", "1.0", "99999999999"] {
        let error = error_after(|parts| *parts.text("version") = version.into());
        assert_eq!(error, BundleError::Version(version.to_owned()));
        assert!(error.to_string().contains("update Distill"));
    }
}

#[test]
fn what_a_later_writer_adds_is_ignored() {
    let mut parts = Parts::new();
    *parts.text("mood") = "grey".into();
    let card = parts.text("card").as_str().unwrap().replacen('{', "{\"mood\":\"grey\",", 1);
    *parts.text("card") = card.into();
    assert_eq!(Bundle::read(&parts.seal()), Ok(toy::bundle()));
}

#[test]
fn an_altered_card_is_noticed() {
    let mut parts = Parts::new();
    let card = parts.text("card").as_str().unwrap().replace("toy", "boy");
    let sealed = Parts::new().seal();
    let checksum: Value =
        serde_json::from_slice(&sealed[8..sealed.len() - parts.data.len()]).unwrap();
    *parts.text("checksum") = checksum["__metadata__"]["checksum"].clone();
    *parts.text("card") = card.into();
    let bytes = file(parts.header.to_string().as_bytes(), &parts.data);
    assert_eq!(Bundle::read(&bytes), Err(BundleError::Checksum));
}

#[test]
fn bytes_that_no_tensor_owns_are_refused() {
    let mut trailing = toy::bundle().to_bytes();
    trailing.extend(b"PK\x05\x06");
    assert_eq!(Bundle::read(&trailing), Err(BundleError::Layout("the end".to_owned())));
    let overlap = error_after(|parts| {
        parts.header["prior.start"]["data_offsets"] =
            parts.header["prior.norm.bias"]["data_offsets"].clone();
    });
    assert!(matches!(overlap, BundleError::Layout(_)), "{overlap}");
    let hole = error_after(|parts| {
        let start = range(&parts.header["preview"]).start;
        parts.data.splice(start..start, [0; 2]);
        for entry in parts.header.as_object_mut().unwrap().values_mut() {
            let offsets = entry["data_offsets"].as_array().cloned().unwrap_or_default();
            if offsets.first().and_then(Value::as_u64).is_some_and(|at| at >= start as u64) {
                entry["data_offsets"] =
                    offsets.iter().map(|at| at.as_u64().unwrap() + 2).collect::<Vec<_>>().into();
            }
        }
    });
    assert_eq!(hole, BundleError::Layout("preview".to_owned()));
    let backwards = error_after(|parts| {
        parts.header["prior.start"]["data_offsets"] = json!([u64::MAX, 0]);
    });
    assert!(matches!(backwards, BundleError::Layout(_)), "{backwards}");
}

#[test]
fn a_header_is_held_to_its_limits() {
    assert_eq!(Bundle::read(&[]), Err(BundleError::CutOff));
    assert_eq!(Bundle::read(&[0; 7]), Err(BundleError::CutOff));
    assert_eq!(Bundle::read(&[255; 64]), Err(BundleError::HeaderTooLarge(u64::MAX)));
    let of_length = |length: u64| Bundle::read(&[&length.to_le_bytes()[..], b"{}"].concat());
    assert!(matches!(of_length(0), Err(BundleError::Header(_))));
    assert_eq!(of_length(3), Err(BundleError::CutOff));
    assert_eq!(of_length(1 << 63), Err(BundleError::HeaderTooLarge(1 << 63)));
    assert_eq!(of_length((1 << 20) + 1), Err(BundleError::HeaderTooLarge((1 << 20) + 1)));
    let entry = r#"{"dtype":"F16","shape":[0],"data_offsets":[0,0]}"#;
    let many = |count: u32| (0..count).map(|i| format!("\"t{i}\":{entry}")).collect::<Vec<_>>();
    let many_keys = (0..65).map(|i| format!("\"k{i}\":\"\"")).collect::<Vec<_>>().join(",");
    let long_name = "n".repeat(129);
    let refused = |header: &str, why: &str| {
        let error = error_of_header(header);
        assert!(matches!(&error, BundleError::Header(told) if told.contains(why)), "{error}");
    };
    refused(&format!("{{{}}}", many(2049).join(",")), "over 2048 tensors");
    refused(&format!("{{\"__metadata__\":{{{many_keys}}}}}"), "over 64 keys");
    refused(&format!("{{\"{long_name}\":{entry}}}"), "a name");
    refused(&format!("{{\"a/b\":{entry}}}"), "a name");
    refused(&format!("{{\"a\":{entry},\"a\":{entry}}}"), "two tensors are called \"a\"");
    refused(&entry.replace("[0],", "[0,0,0,0,0],").replacen('{', "{\"a\":{", 1), "at most 4 dim");
    refused(r#"{"__metadata__":{"a":"","a":""}}"#, "two keys are called \"a\"");
    refused(r#"{"__metadata__":{},"__metadata__":{}}"#, "duplicate");
    refused(&format!("{{\"a\":{}", "[".repeat(100_000)), "");
    refused(" {}", "brace");
    refused("\u{feff}{}", "brace");
    refused("{} x", "trailing");
    let not_utf8 = Bundle::read(&file(b"{\"\xff\":0}", &[])).unwrap_err();
    assert!(matches!(not_utf8, BundleError::Header(_)), "{not_utf8}");
}

#[test]
fn a_foreign_file_is_told_what_it_is() {
    let foreign: [(&[u8], &str); 12] = [
        (b"PK\x03\x04\x14\x00\x08\x08\x08\x00", "a zip or PyTorch file"),
        (b"\x80\x02}q\x00X\x05\x00\x00", "a Python pickle"),
        (b"\x08\x07\x12\x07pytorch", "an ONNX model"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "a gzip file"),
        (b"GGUF\x03\x00\x00\x00\x00", "a GGUF model"),
        (b"RIFF\x24\x08\x00\x00WAVE", "a WAV recording"),
        (b"fLaC\x00\x00\x00\x22", "a FLAC recording"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\n<!DOCTYPE html>", "a web page"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b"{\"format\":\"distill\"}", "a JSON file"),
        (b"[1]", "a JSON file"),
    ];
    for (bytes, name) in foreign {
        let error = Bundle::read(bytes).unwrap_err();
        assert_eq!(error, BundleError::Foreign(name));
        assert!(error.to_string().contains("never runs code from model files"));
    }
    let other = file(br#"{"__metadata__":{"format":"pt"}}"#, &[]);
    assert_eq!(Bundle::read(&other), Err(BundleError::Format("pt".to_owned())));
}

proptest! {
    #[test]
    fn random_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Bundle::read(&bytes).is_err());
        prop_assert!(Bundle::read(&file(&bytes, &bytes)).is_err());
    }

    #[test]
    fn a_bundle_with_bytes_replaced_is_an_error_or_the_same(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let bundle = toy::bundle();
        let mut bytes = bundle.to_bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let read = Bundle::read(&bytes);
        prop_assert!(read.is_err() || read == Ok(bundle));
    }
}
