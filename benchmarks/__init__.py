"""Side-by-side measurements; ``python -m benchmarks [NAME ...]`` prints one line of JSON each."""

from __future__ import annotations

#: Name on the command line to the module that measures it; each has ``measure(effort) -> Line``.
NAMES = {
    "visible-layer": "benchmarks.visible_layer",
    "all-layers": "benchmarks.all_layers",
    "mosaic": "benchmarks.mosaic",
    "startup": "benchmarks.startup",
    "clip": "benchmarks.clip",
    "event-loop": "benchmarks.event_loop",
    "memory": "benchmarks.memory",
    "cancel": "benchmarks.cancel",
    "grad-cam": "benchmarks.grad_cam",
    "edit": "benchmarks.edit",
    "hypercolumn": "benchmarks.hypercolumn",
    "recording": "benchmarks.recording",
    "overview": "benchmarks.overview",
    "nms": "benchmarks.nms",
    "roi-align": "benchmarks.roi_align",
    "detectors": "benchmarks.detectors",
    "fast-style": "benchmarks.fast_style",
    "gatys": "benchmarks.gatys",
    "dance": "benchmarks.dance",
}
