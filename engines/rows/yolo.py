"""Rows of YOLO."""

from __future__ import annotations

from typing import Any

ROWS: list[dict[str, Any]] = []
