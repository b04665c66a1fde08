"""Compares the training of the codec with that of an equal model in PyTorch, on this machine.

    pip install torch safetensors
    python tests/peers/training_speed.py DISTILL FOLDER [--steps N] [--threads N] [--compile]

DISTILL is the program, FOLDER holds recordings. `distill train` trains a codec of the sizes that
suit the folder; its bundle says which. The peer then has the same layers, quantizer (search with
four beginnings, one frame after the other, running means), loss, optimizer, batch and crops, but
reads noise, varies nothing, and never restarts an entry: what it leaves out makes it faster.

Prints seconds of audio per second of each, in one JSON object. Timing, not quality, is compared.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F

CROP_FRAMES = 48
BATCH = 8
KEPT = 4  # beginnings of the search
DECAY = 0.99
STRETCH, KNEE, BEND = 1.5, -5.0, 2.0


def stretch(x):
    above = x - KNEE
    return x + STRETCH * (above + torch.sqrt(above * above + BEND * BEND))


def relax(x):
    above = x - KNEE
    root = torch.sqrt(above * above + (1.0 + 2.0 * STRETCH) * BEND * BEND)
    return KNEE + ((1.0 + STRETCH) * above - STRETCH * root) / (1.0 + 2.0 * STRETCH)


class ConvNeXt(nn.Module):
    def __init__(self, width, kernel, expansion):
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.2))
        self.past = kernel - 1

    def forward(self, x):
        y = self.conv(F.pad(x.transpose(1, 2), (self.past, 0))).transpose(1, 2)
        return x + self.scale * self.down(F.gelu(self.up(self.norm(y)), approximate="tanh"))


class Codec(nn.Module):
    """Encoder and decoder on features, each beside a fixed linear path."""

    def __init__(self, config, features):
        super().__init__()
        width, latent = config["width"], config["latent_dim"]

        def blocks(count):
            sizes = width, config["kernel"], config["expansion"]
            return nn.Sequential(*(ConvNeXt(*sizes) for _ in range(count)))

        basis = torch.linalg.qr(torch.randn(features, latent))[0]
        self.register_buffer("basis", basis)
        self.encoder = nn.Sequential(
            nn.Linear(features, width), nn.LayerNorm(width), blocks(config["encoder_blocks"]),
            nn.LayerNorm(width), nn.Linear(width, latent))
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), blocks(config["decoder_blocks"]),
            nn.LayerNorm(width), nn.Linear(width, features))

    def encode(self, features):
        x = stretch(features)
        return x @ self.basis + self.encoder(x)

    def decode(self, latents):
        return relax(latents @ self.basis.T + self.decoder(latents))


class Quantizer:
    """Differential and residual, with running means."""

    def __init__(self, config):
        self.memory = config["memory"]
        shape = config["quantizers"], config["codebook_size"], config["latent_dim"]
        self.entries = 0.1 * torch.randn(shape)
        self.counts, self.sums = torch.ones(shape[:2]), self.entries.clone()

    def search(self, news):
        """Codes of `[B, D]` at every level, `[B, N]`."""
        rests = news.unsqueeze(1)  # [B, beginnings, D]
        scores, paths = rests.new_zeros(rests.shape[:2]), None
        for entries in self.entries:
            found = scores.unsqueeze(2) + (entries * entries).sum(1) - 2.0 * rests @ entries.T
            scores, at = found.flatten(1).topk(KEPT, largest=False)
            start, code = at // len(entries), at % len(entries)
            pick = start.unsqueeze(2)
            rests = rests.gather(1, pick.expand(-1, -1, news.shape[1])) - entries[code]
            code = code.unsqueeze(2)
            if paths is not None:
                code = torch.cat([paths.gather(1, pick.expand(-1, -1, paths.shape[2])), code], 2)
            paths = code
        return paths[:, 0]

    @torch.no_grad()
    def quantize(self, latents):
        """What is decoded, and the centre of what the levels tell, `[B, T, D]` each."""
        state, levels = latents[:, 0], torch.arange(len(self.entries))
        passed, centres, all_news, all_codes = [], [], [], []
        for latent in latents.unbind(1):
            news = latent - self.memory * state
            codes = self.search(news)
            told = self.entries[levels, codes].cumsum(1)  # [B, N, D]
            state = self.memory * state + told[:, -1]
            passed.append(state)
            centres.append(latent - (news.unsqueeze(1) - told).mean(1))
            all_news.append(news)
            all_codes.append(codes)
        self.update(torch.cat(all_news), torch.cat(all_codes))
        return torch.stack(passed, 1), torch.stack(centres, 1)

    def update(self, rest, codes):
        counts, sums = torch.zeros_like(self.counts), torch.zeros_like(self.sums)
        for level, code in enumerate(codes.unbind(1)):
            counts[level].index_add_(0, code, torch.ones(len(code)))
            sums[level].index_add_(0, code, rest)
            rest = rest - self.entries[level][code]
        self.counts.lerp_(counts, 1.0 - DECAY)
        self.sums.lerp_(sums, 1.0 - DECAY)
        self.entries = self.sums / self.counts.clamp_min(1e-6).unsqueeze(2)


class Peer:
    def __init__(self, config, compiled):
        self.config = config
        self.bins = config["fft_size"] // 2 + 1
        self.channels = config["channels"]
        self.bands = min(self.bins // 4, 32) if self.channels == 2 else 0
        features = self.channels * self.bins + 2 * self.bands
        self.codec = Codec(config, config["stride"] * features)
        self.quantizer = Quantizer(config)
        self.optimizer = torch.optim.AdamW(
            self.codec.parameters(), 1e-3, (0.9, 0.99), weight_decay=0.01, fused=True)
        encode, decode = self.codec.encode, self.codec.decode
        self.encode = torch.compile(encode) if compiled else encode
        self.decode = torch.compile(decode) if compiled else decode
        self.window = torch.hann_window(config["fft_size"])
        self.weights = 1.0 / (1.0 + torch.arange(self.bins) / 29.9).sqrt().repeat(self.channels)

    def features(self):
        """Features of a batch of noise, `[B, T, X]`."""
        fft, hop = self.config["fft_size"], self.config["stft_hop"]
        frames = CROP_FRAMES * self.config["stride"]
        sound = 0.1 * torch.randn(BATCH * self.channels, fft + hop * (frames - 1))
        spectra = torch.stft(sound, fft, hop, window=self.window, center=False, return_complex=True)
        spectra = spectra.view(BATCH, self.channels, self.bins, frames)
        logs = (spectra.abs() / fft + 1e-6).log()
        rows = [logs.flatten(1, 2)]
        if self.bands:
            mid, side = spectra.unbind(1)
            edges = torch.linspace(0, self.bins, self.bands + 1).long().diff().tolist()
            cross = torch.stack([part.sum(1) for part in (mid * side.conj()).split(edges, 1)], 1)
            rows += [cross.real, cross.imag]
        return torch.cat(rows, 1).transpose(1, 2).reshape(BATCH, CROP_FRAMES, -1)

    def loss(self, features, target):
        split = self.channels * self.bins
        frames = BATCH, CROP_FRAMES * self.config["stride"], -1
        features, target = features.view(frames), target.view(frames)
        x, y = features[..., :split], target[..., :split]
        top = torch.maximum(x.detach(), y)
        counted = self.weights * torch.where(top > -9.0, 1.0, torch.where(top > -10.8, 0.3, 0.0))
        d = x - y
        log = (counted * (0.5 * d.abs() + 0.125 * d * d)).sum((1, 2)) / counted.sum((1, 2))
        a, b = x.clamp_max(5.0).exp(), y.clamp_max(5.0).exp()
        convergence = (a - b).norm(dim=(1, 2)) / (b.norm(dim=(1, 2)) + 0.01)
        coherence = (features[..., split:] - target[..., split:]).square().sum()
        return (log + 2.0 * convergence).mean() + 0.5 * coherence / features.numel()

    def step(self):
        target = self.features()
        latents = self.encode(target)
        passed, centres = self.quantizer.quantize(latents.detach())
        loss = self.loss(self.decode(latents + (passed - latents).detach()), target)
        loss = loss + 0.25 * (latents - centres).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.codec.parameters(), 1.0)
        self.optimizer.step()


def seconds_per_step(config):
    hop = config["stft_hop"] * config["stride"]
    return BATCH * CROP_FRAMES * hop / config["sample_rate"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("distill", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="let torch.compile fuse the layers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)

    with tempfile.TemporaryDirectory() as room:
        bundle = Path(room) / "ours.distill"
        command = [args.distill, "train", args.folder, "--stage", "codec", "--output", bundle,
                   "--codec-steps", args.steps, "--codec-batch", BATCH,
                   "--threads", args.threads, "--quiet", "--json"]
        ours = json.loads(subprocess.run(map(str, command), check=True, capture_output=True).stdout)
        with safe_open(bundle, "pt") as file:
            config = json.loads(file.metadata()["config"])["codec"]

    peer = Peer(config, args.compile)
    for _ in range(5):
        peer.step()
    began = time.perf_counter()
    for _ in range(args.steps):
        peer.step()
    elapsed = time.perf_counter() - began

    audio = args.steps * seconds_per_step(config)
    rates = audio / ours["codec"]["seconds"], audio / elapsed
    print(json.dumps({
        "parameters": sum(p.numel() for p in peer.codec.parameters()),
        "steps": args.steps,
        "threads": args.threads,
        "distill_audio_seconds_per_second": round(rates[0], 1),
        "pytorch_audio_seconds_per_second": round(rates[1], 1),
        "ratio": round(rates[0] / rates[1], 2),
        "pytorch": torch.__version__,
        "compiled": args.compile,
    }, indent=2))


if __name__ == "__main__":
    main()
