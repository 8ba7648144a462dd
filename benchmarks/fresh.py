"""Peers and starts in a Python of their own: one number each, printed last."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

PATIENCE = 300.0  # s


def number(
    code: str,
    *words: object,
    before: tuple[str, ...] = (),
    platform: str = "offscreen",
    surroundings: dict[str, str] | None = None,
) -> float | None:
    """What ``code`` prints last; None when it fails, as it does where its library is missing."""
    try:
        done = subprocess.run(
            [*before, sys.executable, "-c", code, *map(str, words)],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={**os.environ, "QT_QPA_PLATFORM": platform, **(surroundings or {})},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    lines = done.stdout.strip().splitlines()
    return float(json.loads(lines[-1])) if done.returncode == 0 and lines else None


def number_under_xvfb(code: str, *words: object) -> float | None:
    """The same on a virtual display with OpenGL, which napari needs; None where there is none."""
    if shutil.which("xvfb-run") is None:
        return None
    return number(code, *words, before=("xvfb-run", "-a"), platform="xcb")
