"""The start: what is imported when, where there is no display, and the toolkit's own health."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PAINTED = """
import sys
from explorer.app.start import application
from explorer.app.settings import Settings

class Stub:
    pass

app = application()
from explorer.app.window import Window
window = Window(settings=Settings())
window.painted.connect(app.quit)
seen = []
window.painted.disconnect(app.quit)
def note():
    seen.extend(m for m in ("torch", "pyqtgraph", "cv2") if m in sys.modules)
    window.hold = True
    app.quit()
window.painted.connect(note)
window.show()
app.exec()
print("seen:", ",".join(seen) or "none of them")
window.close()
"""


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "QT_QPA_PLATFORM": "offscreen", **env}
    for name in [n for n, v in surroundings.items() if v == ""]:
        del surroundings[name]
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=surroundings,
        check=False,
    )


def test_a0_1_heavy_libraries_come_after_the_first_paint() -> None:
    done = run(PAINTED)
    assert done.returncode == 0, done.stderr
    assert "seen: none of them" in done.stdout


def test_without_a_display_one_line_names_what_works(tmp_path: object) -> None:
    code = "import sys; from explorer.app.start import start; sys.exit(start())"
    done = run(
        code, QT_QPA_PLATFORM="", DISPLAY="", WAYLAND_DISPLAY="", LAYERSCOPE_HOME=str(tmp_path)
    )
    if not sys.platform.startswith("linux"):
        pytest.fail("this test is about Linux without a display; run it there")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for verb in ("list", "run", "shot", "train"):
        assert verb in done.stderr
    assert "Traceback" not in done.stderr


def test_the_toolkit_loses_no_references(qapp: object) -> None:
    """PySide6 6.12.0 on Python 3.11 loses a reference an emit and aborts after about 1,600."""
    from PySide6.QtCore import QObject, Signal

    class Emitter(QObject):
        told = Signal(bool)

    emitter = Emitter()
    heard: list[bool] = []
    emitter.told.connect(heard.append)
    before = sys.getrefcount(True)
    for _ in range(5000):
        emitter.told.emit(True)
    heard.clear()
    assert sys.getrefcount(True) > before - 100
