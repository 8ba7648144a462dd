"""Skeletons as JSON and CSV: every frame, every figure, read back by the standard library."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from explorer.core.export import write_run
from explorer.kinds import Keypoints
from explorer.views import Frame

JOINTS = ("head", "left, hand")
FIRST = [[[1.5, 2.25, 0.5], [3.0, 4.0, 1.0]]]
SECOND = [*FIRST, [[10.0, 20.0, 0.25], [30.0, 40.0, 0.75]]]


def frames() -> list[Frame]:
    made = [
        Keypoints("people/skeletons", np.array(FIRST), JOINTS, ((0, 1),), (3,)),
        Keypoints("people/skeletons", np.array(SECOND), JOINTS, ((0, 1),), (3, 8)),
    ]
    return [Frame(1, i, 0, (a,), last=True) for i, a in enumerate(made)]


def test_every_frame_and_figure_is_written(tmp_path: Path) -> None:
    record = write_run(tmp_path, frames(), {})
    (entry,) = record["artefacts"]
    files = {name.partition(".")[2]: tmp_path / name for name in entry["files"]}
    made = json.loads(files["poses.json"].read_text("utf-8"))
    assert made["joints"] == list(JOINTS)
    assert made["skeleton"] == [[0, 1]]
    assert [f["frame"] for f in made["frames"]] == [0, 1]
    assert [f["id"] for f in made["frames"][1]["figures"]] == [3, 8]
    assert made["frames"][1]["figures"][1]["points"] == SECOND[1]
    with files["poses.csv"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 + 4
    last = rows[-1]
    assert (last["frame"], last["figure"], last["joint"]) == ("1", "8", "left, hand")
    assert [float(last[k]) for k in ("x", "y", "score")] == pytest.approx(SECOND[1][1])


def test_nobody_is_an_empty_list(tmp_path: Path) -> None:
    nobody = Keypoints("people/skeletons", np.zeros((0, 2, 3)), JOINTS)
    record = write_run(tmp_path, [Frame(1, 0, 0, (nobody,), last=True)], {})
    name = next(n for n in record["artefacts"][0]["files"] if n.endswith(".poses.json"))
    assert json.loads((tmp_path / name).read_text("utf-8"))["frames"] == [
        {"frame": 0, "figures": []}
    ]
