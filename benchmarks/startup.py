"""From the start of the process to a painted window, in CPU seconds and before torch is there."""

from __future__ import annotations

import tempfile

from benchmarks.fresh import number, number_under_xvfb
from benchmarks.line import Effort, Line
from benchmarks.timing import median

# The command itself, with a window that says when it was painted. time.process_time() counts from
# the start of the process, the interpreter's own start included.
START = """
import sys
from explorer.app import window
class Timed(window.Window):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.painted.connect(self.note)
    def note(self):
        import os, time
        heavy = {"torch", "cv2", "pyqtgraph"} & set(sys.modules)
        print(1e9 if heavy else time.process_time(), flush=True)
        os._exit(0)
window.Window = Timed
from explorer import cli
cli.main([])
"""

QT = """
import time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
class Bare(QMainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, app.quit)
app = QApplication([])
window = Bare()
window.resize(1440, 900)
window.show()
app.exec()
print(time.process_time())
"""

NAPARI = """
import time
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer(show=True)
QApplication.processEvents()
print(time.process_time(), flush=True)
viewer.close()
"""


def measure(effort: Effort) -> Line:
    """Median of several starts, each in a fresh process with no settings; the files are cached."""
    times = effort.count(9, 1)
    with tempfile.TemporaryDirectory() as home:
        own = starts(START, times, {"LAYERSCOPE_HOME": home})
    napari = [number_under_xvfb(NAPARI) for _ in range(effort.count(3, 1))]
    found = [value for value in napari if value is not None]
    return Line(
        "startup", own, "CPU s", "<= 0.7",
        peer={"napari": median(found) if found else None},
        detail={"empty_window_of_the_toolkit_s": round(starts(QT, times, {}), 3)},
    )  # fmt: skip


def starts(code: str, times: int, surroundings: dict[str, str]) -> float:
    """Median of ``times`` starts after one to fill the caches."""
    found = [number(code, surroundings=surroundings) for _ in range(times + 1)]
    if None in found:
        raise RuntimeError("a start failed; run `layerscope` by hand to see why")
    return median([value for value in found[1:] if value is not None])
