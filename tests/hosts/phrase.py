"""Four notes, and what must be true of their sound in any host."""

import numpy as np

RATE = 48_000
SECONDS = 4.0

# Start and end in seconds, key, velocity. The first second is silent: a host that renders a file
# but says that it plays in real time is known by then.
NOTES = [(1.0, 1.4, 60, 100), (1.5, 1.9, 64, 80), (2.0, 2.4, 67, 127), (2.5, 3.2, 72, 100)]


def judge(host, first, latency):
    """Checks the sound of the first rendering, [channels, samples]."""
    assert first.shape[0] == 2, f"{host}: {first.shape[0]} channels instead of 2"
    assert np.isfinite(first).all(), f"{host}: the sound is not finite"
    start = int(NOTES[0][0] * RATE) + latency
    assert not first[:, :start].any(), f"{host}: something sounds before the first note"
    for begin, _, key, _ in NOTES:
        at = int(begin * RATE) + latency
        level = np.sqrt(np.mean(first[:, at : at + RATE // 5] ** 2))
        assert level > 1e-4, f"{host}: the note {key} at {begin} s is not heard (level {level:.1e})"


def same(host, what, first, other):
    """Checks that two renderings are equal to the bit."""
    differ = np.flatnonzero((first != other).any(axis=0))
    assert differ.size == 0, f"{host}: {what} sounds different from {differ[0] / RATE:.3f} s on"


def different(host, what, first, other):
    """Checks that a change is heard."""
    assert (first != other).any(), f"{host}: {what} sounds the same"


def report(host, first):
    """Says what was heard."""
    rms = 20 * np.log10(np.sqrt(np.mean(first**2)))
    print(f"{host}: four notes, {rms:.1f} dBFS RMS; state and block size keep every sample")
