"""512 new maps of 56 x 56 from a float32 tensor to painted pixels."""

from __future__ import annotations

from benchmarks.fresh import number, number_under_xvfb
from benchmarks.line import Effort, Line
from benchmarks.networks import Noise, row
from benchmarks.stage import SIZE, stage
from benchmarks.timing import clock, clock_name, median

LARGE = (1880, 980)

PYQTGRAPH = """
import json, sys, time
import numpy as np, pyqtgraph as pg
from PySide6.QtWidgets import QApplication
app = pg.mkQApp()
win = pg.GraphicsLayoutWidget(show=True, size=(int(sys.argv[2]), int(sys.argv[3])))
box = win.addViewBox(lockAspect=True)
item = pg.ImageItem(axisOrder="row-major")
box.addItem(item)
item.setLookupTable(pg.colormap.get("viridis").getLookupTable(nPts=256))
spent = []
for i in range(int(sys.argv[1]) + 2):
    maps = np.random.default_rng(i).standard_normal((512, 56, 56)).astype(np.float32)
    begun = time.process_time()
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    index = ((maps - low) * (255 / (high - low + 1e-9))).astype(np.uint8)
    tiled = index.reshape(16, 32, 56, 56).transpose(0, 2, 1, 3).reshape(16 * 56, 32 * 56)
    item.setImage(tiled.copy(), levels=(0, 255))
    app.processEvents()
    spent.append(time.process_time() - begun)
print(json.dumps(1e3 * float(np.median(spent[2:]))))
"""

NAPARI = """
import json, sys, time
import numpy as np, napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer(show=True)
viewer.window.resize(int(sys.argv[2]), int(sys.argv[3]))
QApplication.processEvents()
layer, spent = None, []
for i in range(int(sys.argv[1]) + 2):
    maps = np.random.default_rng(i).standard_normal((512, 56, 56)).astype(np.float32)
    begun = time.process_time()
    tiled = maps.reshape(16, 32, 56, 56).transpose(0, 2, 1, 3).reshape(16 * 56, 32 * 56).copy()
    if layer is None:
        layer = viewer.add_image(tiled, contrast_limits=(-3, 3), colormap="viridis")
    else:
        layer.data = tiled
    QApplication.processEvents()
    spent.append(time.process_time() - begun)
print(json.dumps(1e3 * float(np.median(spent[2:]))))
viewer.close()
"""


def measure(effort: Effort) -> Line:
    """CPU time of request, copy, reduction, mailbox, panel and paint; the network does nothing."""
    count = effort.count(41, 2)
    usual = spent_ms(effort, SIZE, count)
    large = spent_ms(effort, LARGE, effort.count(21, 1))
    frames = effort.count(15, 1)
    return Line(
        "mosaic", usual, "ms", "<= 16",
        peer={
            "napari": number_under_xvfb(NAPARI, frames, *SIZE),
            "pyqtgraph": number(PYQTGRAPH, frames, *SIZE),
        },
        detail={
            "panel_px": list(SIZE), "large_panel_px": list(LARGE),
            "large_panel_ms": round(large, 2), "clock": clock_name(effort.device),
        },
    )  # fmt: skip


def spent_ms(effort: Effort, size: tuple[int, int], count: int) -> float:
    """Median over ``count`` frames, in a panel of this size (width, height)."""
    now = clock(effort.device)
    spent = []
    with stage(row("FreshMaps"), device=effort.device, points=["maps"], size=size) as live:
        live.load({"image": Noise(10_000, (8, 8))})
        for i in range(1, count + 4):
            begun = now()
            live.frame(i)
            spent.append(now() - begun)
    return 1e3 * median(spent[3:])
