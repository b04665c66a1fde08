#!/usr/bin/env python3
"""Writes phrase.mid, what `cargo xtask demo` plays: ten bars of 4/4 at 92 beats per minute.

Single hits, then a groove, then held notes that let a take go on. Every note starts a take of its
own, so the key says nothing about the sound; it tells the notes apart in a piano roll.
"""

import struct
from pathlib import Path

BEATS_PER_MINUTE = 92
TICKS_PER_BEAT = 96

# Bars of 16 steps. A digit hits with that velocity (9 is full); "-" holds the note, "." rests.
BARS = """
9---....7---....  8---....7---5---
9---....7-..6-..  8-..5-7-..6-7-6-
9---3-6-8---3-5-  9-..6-5-8---4-6-
9---3-6-8-5-3-5-  9-5-6-5-8-4-6567
9---------------  8---------------
""".split()


def notes():
    """Yields (start, end, key, velocity), times in steps."""
    for bar, steps in enumerate(BARS):
        for step, mark in enumerate(steps):
            if mark.isdigit():
                held = len(steps[step + 1 :]) - len(steps[step + 1 :].lstrip("-"))
                start = 16 * bar + step
                yield start, start + 1 + held, 36 + step % 12, round(127 * int(mark) / 9)


def variable_length(value):
    """A number as MIDI files write it: seven bits a byte, the highest bit set on all but the last."""
    encoded = [value & 0x7F]
    while value := value >> 7:
        encoded.insert(0, 0x80 | value & 0x7F)
    return bytes(encoded)


def main():
    ticks_per_step = TICKS_PER_BEAT // 4
    events = [(0, 0, b"\xff\x51\x03" + round(60e6 / BEATS_PER_MINUTE).to_bytes(3, "big"))]
    for start, end, key, velocity in notes():
        events.append((start * ticks_per_step, 2, bytes([0x90, key, velocity])))
        events.append((end * ticks_per_step, 1, bytes([0x80, key, 0])))
    events.sort(key=lambda event: event[:2])  # a key comes up before the next goes down
    track, now = b"", 0
    for tick, _, message in events:
        track += variable_length(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, TICKS_PER_BEAT)
    body = header + struct.pack(">4sI", b"MTrk", len(track)) + track
    Path(__file__).with_name("phrase.mid").write_bytes(body)


if __name__ == "__main__":
    main()
