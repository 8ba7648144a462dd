"""A panel of boxes can be written as results in COCO's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.kinds import Boxes, Text
from explorer.panels.marks import BoxesPanel
from explorer.panels.text import TextPanel


def test_a_panel_of_boxes_offers_and_writes_json(qtbot: Any, tmp_path: Path) -> None:
    corners = np.array([[0, 5, 8, 25], [10, 5, 18, 25]], np.float32)
    panel = BoxesPanel()
    qtbot.addWidget(panel)
    panel.show_artefact(Boxes("detections/boxes", corners, np.array([0.9, 0.5]), ("dog", "cat")))
    assert any(action.data() == "JSON" for action in panel.menu().actions())
    panel.save(tmp_path / "boxes.json")
    made = json.loads((tmp_path / "boxes.json").read_text("utf-8"))
    assert [(r["category"], r["category_id"], r["bbox"], r["score"]) for r in made] == [
        ("dog", 2, [0, 5, 8, 20], 0.9),
        ("cat", 1, [10, 5, 8, 20], 0.5),
    ]


def test_other_panels_do_not(qtbot: Any, tmp_path: Path) -> None:
    panel = TextPanel()
    qtbot.addWidget(panel)
    panel.show_artefact(Text("a/b", "c"))
    assert not any(action.data() == "JSON" for action in panel.menu().actions())
    with pytest.raises(OSError, match=r"use \.png, \.svg or \.npz"):
        panel.save(tmp_path / "words.json")
