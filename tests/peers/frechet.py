"""Fréchet distances of sound by levels in mel bands, as `distill evaluate` defines them.

    pip install numpy scipy soundfile
    distill evaluate X.distill --output OUT --json
    python tests/peers/frechet.py OUT/trained OUT/reference OUT/generated

Prints one JSON object: how far the sounds of TRAIN_DIR, those of GENERATED_DIR and white noise are
from those of HELD_DIR. Written apart from the trainer, with other means (the eigenvalues of the
product of covariances, which need not be symmetric), so that the two can be checked against one
another: they agree within a few percent, draws and noise being other ones.

Every file is a passage of sound at 48 kHz; passages follow one another in the order of their names.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

RATE, HOP, SIZE = 48_000, 1024, 2048
BANDS, COARSE = 48, 8
WINDOW = 24  # frames, half of which the next window shares
RANGE_DB = 60.0
BLOCK, DRAWS = 8, 512
# ITU-R BS.1770-5, annex 1, tables 1 and 2.
SHELF = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
HIGH_PASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


def mel_weights():
    """Triangles of height 1, evenly spaced on the mel scale: [BANDS, SIZE / 2 + 1]."""
    mels = np.linspace(0.0, 2595.0 * np.log10(1.0 + RATE / 2 / 700.0), BANDS + 2)
    corners = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    hz = np.arange(SIZE // 2 + 1) * RATE / SIZE
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.clip(np.minimum((hz - low) / (peak - low), (high - hz) / (high - peak)), 0.0, None)


MEL = mel_weights()
HANN = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(SIZE) / SIZE)


def hear(sound):
    """Power in coarse bands, K-weighted power, and mean square of each frame of `sound`, [S, C]."""
    frames = len(sound) // HOP
    bands = np.zeros((frames, BANDS))
    power, squares = np.zeros(frames), np.zeros(frames)
    for channel in sound.T:
        padded = np.pad(channel, SIZE // 2, mode="reflect")
        starts = np.arange(frames) * HOP
        windows = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[starts]
        spectra = np.abs(np.fft.rfft(windows * HANN)) ** 2 * (2.0 / HANN.sum()) ** 2
        bands += spectra @ MEL.T / sound.shape[1]
        weighted = lfilter(*HIGH_PASS, lfilter(*SHELF, channel))[: frames * HOP]
        power += (weighted**2).reshape(frames, HOP).mean(1)
        squares += (channel[: frames * HOP] ** 2).reshape(frames, HOP).mean(1) / sound.shape[1]
    return bands.reshape(frames, COARSE, -1).sum(2), power, squares


def hear_folder(folder):
    """What is heard in the files of `folder`, one after the other, and their number of channels."""
    heard, channels = [], 1
    for path in sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".wav", ".flac", ".ogg")):
        sound, rate = soundfile.read(path, always_2d=True)
        if rate != RATE:
            raise SystemExit(f"{path} is at {rate} Hz; resample it to {RATE} Hz")
        heard.append(hear(sound))
        channels = sound.shape[1]
    if not heard:
        raise SystemExit(f"there is no sound file in {folder}")
    return [np.concatenate(parts) for parts in zip(*heard)], channels


def firsts(frames):
    return range(0, frames + 1 - WINDOW, WINDOW // 2)


def points(heard, silent_window, silent_band):
    """Mean and deviation of levels in dB of every window that is not silent: [W, 2 COARSE]."""
    bands, power, _ = heard
    levels = 10.0 * np.log10(bands + silent_band)
    spans = [slice(t, t + WINDOW) for t in firsts(len(power))]
    kept = [span for span in spans if power[span].mean() > silent_window]
    return np.array([np.concatenate([levels[s].mean(0), levels[s].std(0)]) for s in kept])


def distance(one, other):
    c, d = np.cov(one.T), np.cov(other.T)
    roots = np.sqrt(np.clip(np.linalg.eigvals(c @ d).real, 0.0, None))
    apart = one.mean(0) - other.mean(0)
    return apart @ apart + np.trace(c) + np.trace(d) - 2.0 * roots.sum()


def frechet(one, other, count, rng):
    """The squared distance, extrapolated from half of `count` points, and all, to infinitely many."""
    half = count // BLOCK // 2

    def draw(p):
        blocks = rng.permutation(len(p) // BLOCK)[: 2 * half]
        drawn = p[(blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()]
        return drawn, drawn[: half * BLOCK], drawn[half * BLOCK :]

    found = []
    for _ in range(DRAWS):
        whole, first, second = map(distance, draw(one), draw(other))
        found.append(2.0 * whole - (first + second) / 2.0)
    return max(0.0, np.mean(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("train_dir", "held_dir", "generated_dir"):
        parser.add_argument(name)
    parser.add_argument("--seed", type=int, default=0, help="decides draws and noise")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    held, channels = hear_folder(arguments.held_dir)
    share = 10.0 ** (-RANGE_DB / 10.0)
    windows = [held[1][t : t + WINDOW].mean() for t in firsts(len(held[1]))]
    silence = share * max(windows), share * held[0].max()
    peak = np.sqrt(3.0 * held[2].mean())
    noise = hear(rng.uniform(-peak, peak, (max(len(held[1]), 60 * RATE // HOP) * HOP, channels)))
    sounds = [held, hear_folder(arguments.train_dir)[0], hear_folder(arguments.generated_dir)[0], noise]
    reference, *others = [points(heard, *silence) for heard in sounds]
    count = min(len(p) for p in (reference, *others))
    found = [frechet(reference, other, count, rng) for other in others]
    print(json.dumps({"windows": count, **dict(zip(("floor", "generated", "ceiling"), found))}))


if __name__ == "__main__":
    main()
