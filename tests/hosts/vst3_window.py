"""Opens the VST3's window in pedalboard, on an X display: vst3_window.py PLUGIN.vst3

JUCE, of which pedalboard is made, expects a desktop: it asks for the window of a settings manager, and
for atoms that a window manager has made, and is ended by the X server if there is none of either. So
both are started first.
"""

import subprocess
import sys
import tempfile
import threading
import time

import numpy
import pedalboard
from Xlib import X, display, error
from Xlib.ext import xtest

OPENINGS = 4
SIZE = (980, 640)
# Ends of the slider of Creativity, in pixels of the window.
SLIDER = ((90, 326), (200, 326))
PATIENCE = 30.0


def desktop():
    """A settings manager and a window manager, until the end of this program."""
    settings = tempfile.NamedTemporaryFile("w", suffix=".conf")
    print('Net/ThemeName "Adwaita"', file=settings, flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    programs = [["xsettingsd", "-c", settings.name], ["openbox"]]
    programs = [subprocess.Popen(program, **quiet) for program in programs]
    screen = display.Display()
    check = screen.intern_atom("_NET_SUPPORTING_WM_CHECK")
    owner = screen.intern_atom("_XSETTINGS_S0")
    until(lambda: screen.screen().root.get_full_property(check, X.AnyPropertyType))
    until(lambda: screen.get_selection_owner(owner) != X.NONE)
    return programs, settings


def until(what):
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "pedalboard's window did not become what it should"
        time.sleep(0.05)
    return found


def windows(parent):
    for window in parent.query_tree().children:
        yield window
        yield from windows(window)


def place(screen):
    """Where the window is on the display, if it can be seen.

    Windows of any program may go between being listed and being asked, and then nothing is known yet.
    """
    try:
        for window in windows(screen.screen().root):
            size = window.get_geometry()
            shown = window.get_attributes().map_state == X.IsViewable
            if shown and (size.width, size.height) == SIZE:
                at = screen.screen().root.translate_coords(window, 0, 0)
                return at.x, at.y
    except (error.BadDrawable, error.BadWindow):
        pass
    return None


def colours(screen, at):
    picture = screen.screen().root.get_image(*at, *SIZE, X.ZPixmap, 0xFFFFFFFF).data
    return len(numpy.unique(numpy.frombuffer(picture, numpy.uint32)))


def drag(screen, at, start, end):
    for kind, detail, (x, y) in [
        (X.MotionNotify, 0, start),
        (X.ButtonPress, 1, start),
        (X.MotionNotify, 0, end),
        (X.ButtonRelease, 1, end),
    ]:
        position = {"x": at[0] + x, "y": at[1] + y} if kind == X.MotionNotify else {}
        xtest.fake_input(screen, kind, detail, **position)
        screen.sync()
        time.sleep(0.3)


def look(close, seen, start, end):
    """Waits until everything is drawn, moves the slider, and has the window closed."""
    try:
        screen = display.Display()
        at = until(lambda: place(screen))
        until(lambda: colours(screen, at) > 100)
        drag(screen, at, start, end)
        seen.append(at)
    finally:
        close.set()


def main():
    kept = desktop()
    plugin = pedalboard.VST3Plugin(sys.argv[1])
    for opening in range(OPENINGS):
        ends = SLIDER if opening % 2 == 0 else SLIDER[::-1]
        before = plugin.parameters["creativity"].raw_value
        close, seen = threading.Event(), []
        looker = threading.Thread(target=look, args=(close, seen, *ends))
        looker.start()
        plugin.show_editor(close)
        looker.join()
        assert seen, "the window was not seen"
        after = plugin.parameters["creativity"].raw_value
        assert (after > before) == (opening % 2 == 0) and after != before, (before, after)
    for program in kept[0]:
        program.terminate()
    print(f"pedalboard: the window opens and is drawn {OPENINGS} times; a slider arrives")


if __name__ == "__main__":
    main()
