//! A base: the layers of a codec that was trained on other sounds, carried over to a corpus.
//!
//! Beside the layers of a codec runs a linear path, which is the corpus's own and has its own latents
//! ([`super::super::principal`]). Layers of another codec speak of the latents of that codec; since
//! both paths are linear, so is the way from the one to the other, and it is worked into the layers
//! where they meet features and latents. Number and meaning of latents, codebooks and channels may
//! therefore differ.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use distill_shared::bundle::{Bundle, Tensors};
use distill_shared::model::config::CodecConfig;
use distill_shared::model::weights::Weights;
use distill_shared::stft::weights_of;

use super::CODEBOOKS;

/// A codec to take layers from.
#[derive(Debug, Clone)]
pub struct Base {
    config: CodecConfig,
    tensors: Tensors,
}

impl Base {
    /// The codec of `bundle`.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        Self { config: bundle.config().codec.clone(), tensors: bundle.tensors().clone() }
    }

    /// `config` with the sizes that layers of the base have.
    #[must_use]
    pub fn sizes(&self, config: CodecConfig) -> CodecConfig {
        let base = &self.config;
        CodecConfig {
            fft_size: base.fft_size,
            stft_hop: base.stft_hop,
            stride: base.stride,
            width: base.width,
            encoder_blocks: base.encoder_blocks,
            decoder_blocks: base.decoder_blocks,
            kernel: base.kernel,
            expansion: base.expansion,
            ..config
        }
    }

    /// Whether its layers have their place in a codec of sizes `config`.
    #[must_use]
    pub fn suits(&self, config: &CodecConfig) -> bool {
        config.sample_rate == self.config.sample_rate && self.sizes(config.clone()) == *config
    }

    /// Puts its layers into `weights` of sizes `config`, whose linear path is there already.
    ///
    /// # Errors
    ///
    /// Fails if the base [does not suit](Self::suits) them.
    pub(super) fn insert_layers(
        &self,
        weights: &mut Weights,
        config: &CodecConfig,
        device: &Device,
    ) -> Result<()> {
        let (there, back) = self.features_between(config, device)?;
        let encode = weights.scope("codec.encoder").get("basis")?.detach(); // [D, X]
        let decode = weights.scope("codec.decoder").get("basis")?.detach(); // [X, D]
        // The linear path of the base, for features of this codec: [D', X] and [X, D'].
        let base_encode = self.matrix("codec.encoder.basis", device)?.matmul(&there)?;
        let base_decode = back.matmul(&self.matrix("codec.decoder.basis", device)?)?;
        let to_latents = encode.matmul(&base_decode)?; // [D, D']
        let from_latents = base_encode.matmul(&decode)?; // [D', D]
        for (name, shape) in config.tensors() {
            let is_layer = name.starts_with("codec.encoder.") || name.starts_with("codec.decoder.");
            if !is_layer || name.ends_with(".basis") {
                continue;
            }
            let own = self.matrix(&name, device)?;
            let carried = match name.as_str() {
                "codec.encoder.embed.weight" => own.matmul(&there)?,
                "codec.encoder.project.weight" | "codec.encoder.project.bias" => {
                    to_latents.matmul(&own)?
                }
                "codec.decoder.project.weight" => own.matmul(&from_latents)?,
                "codec.decoder.head.weight" | "codec.decoder.head.bias" => {
                    // What the base's linear path lacks its layers add. Where the path of this codec
                    // has it, it would be there twice.
                    let added = back.matmul(&own)?;
                    let lacking = (&added - base_decode.matmul(&base_encode.matmul(&added)?)?)?;
                    (&added - decode.matmul(&encode.matmul(&lacking)?)?)?
                }
                _ => own,
            };
            weights.insert(&name, carried.reshape(shape)?)?;
        }
        Ok(())
    }

    /// What it knows of sound: directions of the weighted features of a codec of `config`, `[D', X]`,
    /// each as long as sound varies along it, all in proportion.
    pub(super) fn directions(&self, config: &CodecConfig, device: &Device) -> Result<Vec<f32>> {
        let (_, back) = self.features_between(config, device)?;
        let decode = back.matmul(&self.matrix("codec.decoder.basis", device)?)?; // [X, D']
        // Entries lie as far apart as what they stand for, and levels add up.
        let entries = self.matrix(CODEBOOKS, device)?; // [N K, D']
        let spread = entries.sqr()?.mean_keepdim(0)?.sqrt()?;
        Ok(decode.broadcast_mul(&spread)?.t()?.flatten_all()?.to_vec1()?)
    }

    /// A tensor of the base as a matrix: its last dimension, or a column if it has but one.
    fn matrix(&self, name: &str, device: &Device) -> Result<Tensor> {
        let stored = self.tensors.get(name).with_context(|| format!("the base lacks {name}"))?;
        let columns = if let [_, .., columns] = stored.shape() { *columns } else { 1 };
        let values = stored.to_f32();
        let rows = values.len() / columns.max(1);
        Ok(Tensor::from_vec(values, (rows, columns), device)?)
    }

    /// The features of an STFT frame that both codecs have: where they are in this one and in the base.
    fn shared_with(&self, config: &CodecConfig) -> impl Iterator<Item = (usize, usize)> + use<> {
        let channels = config.channels.min(self.config.channels);
        let same = [config, &self.config].iter().all(|it| it.channels == 2);
        let logs = if same { config.first_power() } else { channels * config.bins() };
        let powers = if config.power_bands == self.config.power_bands {
            channels * config.power_bands
        } else {
            0
        };
        let (first, base_first) = (config.first_power(), self.config.first_power());
        (0..logs).map(|i| (i, i)).chain((0..powers).map(move |i| (first + i, base_first + i)))
    }

    /// Turns weighted features of this codec into those of the base, `[X', X]`, and back, `[X, X']`:
    /// those that both have.
    fn features_between(&self, config: &CodecConfig, device: &Device) -> Result<(Tensor, Tensor)> {
        let (x, base_x) = (config.frame_features(), self.config.frame_features());
        let (weights, base_weights) = (weights_of(config), weights_of(&self.config));
        let mut there = vec![0.0; base_x * x];
        let mut back = vec![0.0; x * base_x];
        for frame in 0..config.stride {
            for (own, base) in self.shared_with(config) {
                let own = frame * config.features() + own;
                let base = frame * self.config.features() + base;
                there[base * x + own] = base_weights[base] / weights[own];
                back[own * base_x + base] = weights[own] / base_weights[base];
            }
        }
        let there = Tensor::from_vec(there, (base_x, x), device)?;
        Ok((there, Tensor::from_vec(back, (x, base_x), device)?))
    }
}

#[cfg(test)]
mod tests {
    use distill_shared::model::codec::Codec;

    use super::super::super::draw::{Draw, Purpose};
    use super::super::super::principal::insert_principal;
    use super::super::super::toy_codec;
    use super::super::CODEBOOKS;
    use super::*;

    /// A codec whose latents tell all that there is in mono, with layers that have something to say.
    fn mono() -> CodecConfig {
        CodecConfig { latent_dim: toy_codec().frame_features(), ..toy_codec() }
    }

    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut draw = Draw::new(seed, Purpose::Weights, 0);
        #[expect(clippy::cast_possible_truncation, reason = "any values will do")]
        (0..count).map(|_| 0.3 * draw.normal() as f32).collect()
    }

    /// Weights of a codec, and a linear path of its own.
    fn weights(config: &CodecConfig, seed: u64) -> Result<Weights> {
        let mut weights = Weights::default();
        for (name, shape) in config.tensors().into_iter().filter(|(name, _)| name != CODEBOOKS) {
            let values = random(shape.iter().product(), seed);
            weights.insert(&name, Tensor::from_vec(values, shape, &Device::Cpu)?)?;
        }
        let rows = random(100 * config.frame_features(), seed);
        let mut draw = Draw::new(seed, Purpose::Weights, 0);
        insert_principal(&mut weights, config, &rows, (&[], 0.0), &mut draw, &Device::Cpu)?;
        Ok(weights)
    }

    fn base() -> Result<Base> {
        Ok(Base { config: mono(), tensors: weights(&mono(), 1)?.to_tensors()? })
    }

    /// What a codec makes of `features`, `[1, T, X]`.
    fn heard(config: &CodecConfig, weights: &Weights, features: &Tensor) -> Result<Vec<Vec<f32>>> {
        let codec = Codec::new(config, weights)?;
        Ok(codec.decode(&codec.encode(features)?)?.squeeze(0)?.to_vec2()?)
    }

    fn features(config: &CodecConfig) -> Result<Tensor> {
        let x = config.frame_features();
        Ok(Tensor::from_vec(random(12 * x, 9), (1, 12, x), &Device::Cpu)?)
    }

    #[test]
    fn a_codec_with_another_linear_path_sounds_like_its_base() -> Result<()> {
        let (base, config) = (base()?, mono());
        let features = features(&config)?;
        let wanted = heard(&config, &weights(&config, 1)?, &features)?;
        let mut carried = weights(&config, 2)?;
        assert_ne!(heard(&config, &carried, &features)?, wanted);
        base.insert_layers(&mut carried, &config, &Device::Cpu)?;
        let got = heard(&config, &carried, &features)?;
        for (got, wanted) in got.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((got - wanted).abs() < 1e-2, "{got} instead of {wanted}");
        }
        Ok(())
    }

    #[test]
    fn a_stereo_codec_treats_mid_as_its_base_in_mono_does() -> Result<()> {
        let base = base()?;
        let config = CodecConfig { channels: 2, ..mono() };
        let config = CodecConfig { latent_dim: config.frame_features(), ..config };
        let features = features(&config)?;
        let mut carried = weights(&config, 2)?;
        base.insert_layers(&mut carried, &config, &Device::Cpu)?;
        let got = heard(&config, &carried, &features)?;
        // The same, with the other features left out.
        let (bins, powers) = (mono().bins(), mono().power_bands);
        let parts = (0..mono().stride).flat_map(|frame| {
            let first = frame * config.features();
            [
                features.narrow(2, first, bins),
                features.narrow(2, first + config.first_power(), powers),
            ]
        });
        let mid = Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, 2)?;
        let wanted = heard(&mono(), &weights(&mono(), 1)?, &mid)?;
        for (got, wanted) in got.iter().zip(&wanted) {
            let mids = got.chunks_exact(config.features()).flat_map(|frame| {
                frame[..bins].iter().chain(&frame[config.first_power()..][..powers])
            });
            for (got, wanted) in mids.zip(wanted) {
                assert!((got - wanted).abs() < 1e-2, "{got} instead of {wanted}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_it_knows_of_sound_points_along_its_latents_as_far_as_their_codes_do() -> Result<()> {
        let mut base = base()?;
        let (x, d) = (base.config.frame_features(), base.config.latent_dim);
        // Codes tell two latents apart, the second twice as far as the first, and no other.
        let mut entries = vec![0.0; base.config.codebook_size * d];
        for (i, entry) in entries.chunks_exact_mut(d).enumerate() {
            let side = if i % 2 == 0 { 1.0 } else { -1.0 };
            (entry[0], entry[1]) = (side, 2.0 * side);
        }
        let shape = [1, base.config.codebook_size, d];
        let books = distill_shared::bundle::Tensor::f32(&shape, entries).context("no tensor")?;
        base.tensors.insert(CODEBOOKS.to_owned(), books);
        let decode = base.tensors["codec.decoder.basis"].to_f32(); // [X, D']
        let told = base.directions(&base.config.clone(), &Device::Cpu)?;
        for (latent, direction) in told.chunks_exact(x).enumerate() {
            let spread = [1.0, 2.0].get(latent).copied().unwrap_or(0.0);
            for (i, value) in direction.iter().enumerate() {
                let wanted = spread * decode[i * d + latent];
                assert!((value - wanted).abs() < 1e-3, "{latent}: {value} instead of {wanted}");
            }
        }
        assert_eq!(told.len(), d * x);
        Ok(())
    }

    #[test]
    fn what_a_linear_path_has_is_not_added_by_layers_again() -> Result<()> {
        // A base that hears no more than two directions, and a codec that hears all.
        let narrow = CodecConfig { latent_dim: 2, ..mono() };
        let mut base = Base { config: narrow.clone(), tensors: weights(&narrow, 1)?.to_tensors()? };
        let head = base.tensors["codec.decoder.head.bias"].clone();
        let zero = |tensor: &mut distill_shared::bundle::Tensor| {
            let count = tensor.to_f32().len();
            *tensor = distill_shared::bundle::Tensor::f32(tensor.shape(), vec![0.0; count])
                .context("no tensor")?;
            anyhow::Ok(())
        };
        for name in ["codec.decoder.head.weight", "codec.encoder.project.weight"] {
            base.tensors.get_mut(name).map(zero).transpose()?;
        }
        base.tensors.get_mut("codec.encoder.project.bias").map(zero).transpose()?;
        let mut carried = weights(&mono(), 2)?;
        base.insert_layers(&mut carried, &mono(), &Device::Cpu)?;
        let bias = &carried.to_tensors()?["codec.decoder.head.bias"].to_f32();
        let size = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
        // Of a constant that the head adds only what lies in those two directions remains.
        assert!(
            size(bias) < 0.7 * size(&head.to_f32()),
            "{} of {}",
            size(bias),
            size(&head.to_f32())
        );
        Ok(())
    }
}
