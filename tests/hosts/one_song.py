"""A minute of a song sounds the same in three hosts: one_song.py PLAYER PLUGIN.clap PLUGIN.vst3

PLAYER is the built `distill-play`, which is a CLAP host. What the VST3 hosts play is rounded to the
24 bits of its file, and then has to be equal."""

import subprocess
import sys
import tempfile
from pathlib import Path

import dawdreamer
import numpy as np
import pedalboard
from phrase import RATE, same

SECONDS = 60
# Ticks of a second: two beats of 480. One is 50 samples.
TICKS = 960
# Those that are the same number in hosts that divide by 127 and in those that multiply by a 127th.
VELOCITIES = [
    velocity
    for velocity in range(20, 128)
    if np.float32(velocity / 127) == np.float32(velocity) * (np.float32(1) / np.float32(127))
]


def song():
    """Notes as (start and end in ticks, key, velocity): after a silent second, up to eight of them are
    down at once, and none twice."""
    dice = np.random.default_rng(5)
    notes, free = [], {}
    for start in range(TICKS, (SECONDS - 3) * TICKS, TICKS // 6):
        for key in sorted(dice.choice(range(40, 85), size=dice.integers(0, 4), replace=False)):
            end = start + int(dice.integers(TICKS // 12, 2 * TICKS))
            if free.get(key, 0) < start:
                notes.append((start, end, int(key), int(dice.choice(VELOCITIES))))
                free[key] = end
    return notes


def midi(notes):
    """A standard MIDI file of one track, 480 ticks a beat, 120 beats a minute."""
    events = [(end, 0, bytes([0x80, key, 0])) for _, end, key, _ in notes]
    events += [(start, 1, bytes([0x90, key, velocity])) for start, _, key, velocity in notes]
    track, now = b"", 0
    for tick, _, message in sorted(events):
        delta, now = tick - now, tick
        # Numbers of variable length: seven bits a byte, the last without its highest bit.
        length = [delta & 0x7F]
        while delta := delta >> 7:
            length.insert(0, delta & 0x7F | 0x80)
        track += bytes(length) + message
    track += b"\0\xff\x2f\0"
    head = b"MThd" + (6).to_bytes(4) + bytes([0, 0, 0, 1]) + (480).to_bytes(2)
    return head + b"MTrk" + len(track).to_bytes(4) + track


def in_clap(player, plugin, notes):
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "song.mid", Path(folder) / "song.wav"
        score.write_bytes(midi(notes))
        command = [player, plugin, "--midi", score, "--output", sound]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        chunk = sound.read_bytes().partition(b"data")[2]
    # After four bytes of length, three bytes a sample, the least first: the upper three of four.
    frames = np.frombuffer(chunk[4:], np.uint8).reshape(-1, 3)
    samples = np.zeros((len(frames), 4), np.uint8)
    samples[:, 1:] = frames
    return (samples.view("<i4").reshape(-1, 2).T >> 8) / 2**23


def in_pedalboard(plugin, notes):
    instance = pedalboard.VST3Plugin(plugin)
    # A hair later than the sample, since the host rounds down.
    seconds = [(start / TICKS + 1e-6, end / TICKS + 1e-6, *note) for start, end, *note in notes]
    messages = [(bytes([0x80, key, 0]), end) for _, end, key, _ in seconds]
    messages += [(bytes([0x90, key, velocity]), start) for start, _, key, velocity in seconds]
    messages.sort(key=lambda message: message[1])
    return instance.process(messages, SECONDS, RATE, num_channels=2, buffer_size=512)


def in_dawdreamer(plugin, notes):
    engine = dawdreamer.RenderEngine(RATE, 512)
    instance = engine.make_plugin_processor("distill", plugin)
    engine.load_graph([(instance, [])])
    for start, end, key, velocity in notes:
        instance.add_midi_note(key, velocity, start / TICKS + 1e-6, (end - start) / TICKS)
    engine.render(SECONDS)
    return engine.get_audio()


def in_24_bits(sound):
    """As the player rounds: halves away from zero."""
    scaled = sound.astype(np.float64) * 2**23
    return np.clip(np.trunc(scaled + np.copysign(0.5, scaled)), -(2**23), 2**23 - 1)


def main():
    player, clap, vst3 = sys.argv[1:]
    notes = song()
    sounds = {
        "the CLAP host": in_clap(player, clap, notes),
        "pedalboard": in_pedalboard(vst3, notes),
        "DawDreamer": in_dawdreamer(vst3, notes),
    }
    least = min(sound.shape[1] for sound in sounds.values())
    first, *others = [(host, in_24_bits(sound[:, :least])) for host, sound in sounds.items()]
    assert least > (SECONDS - 3) * RATE and np.abs(first[1]).max() > 2**15
    for host, sound in others:
        same(host, f"a song of {len(notes)} notes, beside {first[0]},", first[1], sound)
    print(f"{len(notes)} notes in {least / RATE:.0f} s sound the same in {', '.join(sounds)}")


if __name__ == "__main__":
    main()
