"""Rows of the R-CNN line with a region proposal network."""

from __future__ import annotations

from typing import Any

ROWS: list[dict[str, Any]] = []
