#!/usr/bin/env python3
"""Prints the figures that `tests.rs` expects, computed with NumPy and nothing of the Rust code.

The lag is given, not searched for."""
import numpy as np

RATE, LAG, SAMPLES = 48_000, 37, 24_000


def sound(i):
    chirp = np.exp(-i / 6000) * np.sin(0.02 * i + 1e-6 * i * i)
    return 0.5 * chirp + 0.2 * np.exp(-i / 3000) * np.sin(0.31 * i)


def stft(x, size, hop):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    x = np.pad(x, size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[::hop]
    return np.abs(np.fft.rfft(frames * window, axis=1))


def mel_bands(size=2048, count=128):
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), count + 2) / 2595) - 1)
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    f = np.arange(size // 2 + 1)[None] * RATE / size
    return np.maximum(0, np.minimum((f - low) / (peak - low), (high - f) / (high - peak)))


def db(power, floor):
    return 10 * np.log10(np.maximum(power, floor))


def figures(reference, output):
    R, O = stft(reference, 2048, 512), stft(output, 2048, 512)
    gain = (R * O).sum() / (O * O).sum()
    scale = np.dot(reference, output) / np.dot(reference, reference)
    distortion = output - scale * reference
    O, level = gain * O, gain * output
    equal = (R * R).sum() / (O * O).sum()
    P, Q = R * R, O * O
    floor = P.max() * 1e-8
    plain, matched = db(P, floor) - db(Q, floor), db(P, floor) - db(equal * Q, floor)
    there = np.maximum(P, equal * Q) > floor
    bands = mel_bands()
    mP, mQ = P @ bands.T, Q @ bands.T
    mel_floor = mP.max() * 1e-8
    mel_plain, mel_matched = db(mP, mel_floor) - db(mQ, mel_floor), db(mP, mel_floor) - db(equal * mQ, mel_floor)
    mel_there = np.maximum(mP, equal * mQ) > mel_floor
    several = []
    for size in (512, 1024, 2048):
        A, B = (np.maximum(stft(x, size, size // 4), 1e-4) for x in (reference, level))
        several.append(np.linalg.norm(A - B) / np.linalg.norm(A) + np.abs(np.log(A / B)).mean())
    return {
        "mrstft": np.mean(several),
        "lsd_db": np.sqrt((plain**2).mean(1)).mean(),
        "lsd_tf_db": np.sqrt((matched[there] ** 2).mean()),
        "logmel_l1_db": np.abs(mel_plain).mean(),
        "logmel_tf_db": np.abs(mel_matched[mel_there]).mean(),
        "sc": np.linalg.norm(R - O) / np.linalg.norm(R),
        "si_sdr_db": 10 * np.log10(scale**2 * np.dot(reference, reference) / np.dot(distortion, distortion)),
        "gain": gain,
    }


i = np.arange(SAMPLES + 100.0)
late = np.where(i < LAG, 0, sound(i - LAG))
output = 0.7 * np.tanh(1.5 * late) + 0.003 * np.sin(1.7 * i + 0.9 * np.sin(0.01 * i))
for name, value in figures(sound(i[:SAMPLES]), output[LAG : LAG + SAMPLES]).items():
    print(f"{name}: {value:.12g},")
