"""Rows of YOLO9000."""

from __future__ import annotations

from typing import Any

ROWS: list[dict[str, Any]] = []
