"""Plays the VST3 in pedalboard: vst3_pedalboard.py PLUGIN.vst3"""

import sys

import pedalboard
from phrase import NOTES, RATE, SECONDS, different, judge, report, same

HOST = "pedalboard"


def seed(plugin):
    """The seed as a share of its range: pedalboard knows its plain values only every ten."""
    return plugin.parameters["seed"]


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
    seed(plugin).raw_value = 0.5
    first = play(plugin)
    judge(HOST, first, plugin.reported_latency_samples)
    state = plugin.raw_state

    other = pedalboard.VST3Plugin(path)
    other.raw_state = state
    assert other.raw_state == state, f"{HOST}: a loaded state is not saved as it was"
    same(HOST, "a new instance with the saved state", first, play(other))
    same(HOST, "a block size of 64", first, play(other, block=64))
    same(HOST, "a block size of 1000", first, play(other, block=1000))
    seed(other).raw_value = 0.25
    different(HOST, "another seed", first, play(other))
    report(HOST, first)


if __name__ == "__main__":
    main()
