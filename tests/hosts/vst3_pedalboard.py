"""Plays the VST3 in pedalboard: vst3_pedalboard.py PLUGIN.vst3"""

import sys

import pedalboard
from phrase import NOTES, RATE, SECONDS, different, judge, report, same

HOST = "pedalboard"


def play(plugin, block=512):
    messages = []
    for start, end, key, velocity in NOTES:
        messages.append((bytes([0x90, key, velocity]), start))
        messages.append((bytes([0x80, key, 0]), end))
    messages.sort(key=lambda message: message[1])
    return plugin.process(messages, SECONDS, RATE, num_channels=2, buffer_size=block, reset=True)


def main():
    path = sys.argv[1]
    plugin = pedalboard.VST3Plugin(path)
    assert plugin.is_instrument, "pedalboard takes it for an effect"
    plugin.seed = 7
    first = play(plugin)
    judge(HOST, first, plugin.reported_latency_samples)
    state = plugin.raw_state

    other = pedalboard.VST3Plugin(path)
    other.raw_state = state
    assert other.seed == 7, f"the seed came back as {other.seed}"
    same(HOST, "a new instance with the saved state", first, play(other))
    same(HOST, "a block size of 64", first, play(other, block=64))
    same(HOST, "a block size of 1000", first, play(other, block=1000))
    other.seed = 8
    different(HOST, "another seed", first, play(other))
    report(HOST, first)


if __name__ == "__main__":
    main()
