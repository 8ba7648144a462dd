"""Painting a clip in the window, against the bare loop over its frames."""

from __future__ import annotations

from typing import Any

from benchmarks.line import Effort, Line
from benchmarks.playing import against
from benchmarks.timing import clock_name
from engines.style.fast import scaled, to_pixels
from explorer.api import ImageInput
from explorer.core.session import Session


def measure(effort: Effort) -> Line:
    """Frames on the screen a second of wall time; the style is that of the sliders."""
    found = against("fast-style", "picture", painted, effort)
    detail = {**found, "clock": "wall", "clock_without_window": clock_name(effort.device)}
    return Line("fast-style", found["ratio"], "× bare frames/s", ">= 0.9", detail=detail)


def painted(session: Session, photo: ImageInput) -> object:
    """Prepare, paint in one style, bring it back as pixels."""
    engine: Any = session.engine
    x, _ = scaled(photo, session.params.size, session.device)
    mix = engine._mix(None, session.params).to(x)
    return to_pixels(engine.network(x, mix)[0])
