"""Plays the VST3 in DawDreamer: vst3_dawdreamer.py PLUGIN.vst3"""

import sys
import tempfile
from pathlib import Path

import dawdreamer
from phrase import NOTES, RATE, SECONDS, different, judge, report, same

HOST = "DawDreamer"


class Instance:
    """One instance of the plugin, in an engine with its own block size."""

    def __init__(self, path, block=512):
        self.engine = dawdreamer.RenderEngine(RATE, block)
        self.plugin = self.engine.make_plugin_processor("distill", path)
        self.engine.load_graph([(self.plugin, [])])

    def set(self, name, value):
        for index in range(self.plugin.get_plugin_parameter_size()):
            if self.plugin.get_parameter_name(index) == name:
                self.plugin.set_parameter(index, value)
                self.engine.render(0.1)  # a parameter reaches the plugin with the next block
                return
        raise AssertionError(f"{HOST} finds no parameter {name}")

    def play(self):
        self.plugin.clear_midi()
        for start, end, key, velocity in NOTES:
            self.plugin.add_midi_note(key, velocity, start, end - start)
        self.engine.render(SECONDS)
        return self.engine.get_audio()


def main():
    path = sys.argv[1]
    instance = Instance(path)
    instance.set("Seed", 0.5)
    first = instance.play()
    judge(HOST, first, instance.plugin.get_latency_samples())

    with tempfile.TemporaryDirectory() as folder:
        state = str(Path(folder) / "state")
        instance.plugin.save_state(state)
        for block in [512, 64, 1000]:
            other = Instance(path, block)
            other.plugin.load_state(state)
            same(HOST, f"the saved state, in blocks of {block},", first, other.play())
    instance.set("Seed", 0.25)
    different(HOST, "another seed", first, instance.play())
    report(HOST, first)


if __name__ == "__main__":
    main()
