"""What all detectors show, on boxes laid out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.nn.detection.detections import (
    Candidates,
    DetectionParams,
    artefacts,
    chosen,
    kept,
    thinned,
)
from explorer.kinds import Boxes, Text

# Two cats one pixel apart, a dog over them, a far cat, and one below any score.
BOXES = torch.tensor(
    [[10, 10, 30, 30], [11, 10, 31, 30], [10, 10, 30, 31], [60, 60, 70, 80], [0, 0, 5, 5]]
).float()
SCORES = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.1])
LABELS = torch.tensor([0, 0, 1, 0, 0])


def candidates() -> Candidates:
    references = BOXES + torch.tensor([-2.0, 0.0, -2.0, 0.0])
    return Candidates(
        BOXES, SCORES, LABELS, torch.tensor([40, 41, 7, 90, 3]), references,
        torch.tensor([0, 0, 1, 1, 0]), ("cat", "dog"), ("stride 8", "stride 16"),
    )  # fmt: skip


def shown(**values: object) -> dict[str, object]:
    params = DetectionParams(**values)  # type: ignore[arg-type]
    return {a.name: a for a in artefacts(candidates(), params)}


def boxes(made: dict[str, object], name: str) -> Boxes:
    found = made[name]
    assert isinstance(found, Boxes)
    return found


def test_classes_do_not_compete_unless_asked_to() -> None:
    params = DetectionParams()
    assert kept(candidates(), params).sources.tolist() == [40, 7, 90]
    assert kept(candidates(), params, agnostic=True).sources.tolist() == [40, 90]
    assert kept(candidates(), params, most=1).sources.tolist() == [40]


def test_the_score_and_the_class_choose_what_competes() -> None:
    assert kept(candidates(), DetectionParams(score=0.65)).sources.tolist() == [40, 7]
    assert kept(candidates(), DetectionParams(only="dog")).sources.tolist() == [7]
    assert len(kept(candidates(), DetectionParams(only="horse"))) == 0
    assert kept(candidates(), DetectionParams(overlap=1.0)).sources.tolist() == [40, 41, 7, 90]


def test_the_film_names_the_cause_and_the_iou() -> None:
    film = boxes(shown(), "suppression/film")
    assert list(film.state) == ["kept", "removed", "kept", "kept"]
    assert list(film.cause_id) == [-1, 0, -1, -1]
    wanted = 19 * 20 / (2 * 400 - 19 * 20)  # 19 of 20 columns in common
    assert film.cause_iou[1] == pytest.approx(wanted)


def test_the_film_stops_after_so_many_decisions() -> None:
    film = boxes(shown(decisions=2), "suppression/film")
    assert list(film.state) == ["kept", "removed", "waiting", "waiting"]
    assert "goes, IoU 0.90 > 0.50 with box 0" in film.note
    first = boxes(shown(decisions=1), "suppression/film")
    assert list(first.state) == ["kept", "waiting", "waiting", "waiting"]
    assert list(first.cause_id) == [-1] * 4


def test_the_box_under_the_cursor_is_traced_to_its_start() -> None:
    made = shown(cursor=(65.0, 70.0))
    box = boxes(made, "origin/box")
    assert box.boxes.tolist() == [[58, 60, 68, 80], [60, 60, 70, 80]]
    assert box.note == "on stride 16, number 90"
    history = made["origin/history"]
    assert isinstance(history, Text)
    assert "cat 0.60: rank 4 of 4 above 0.30" in history.text
    assert "(centre moved by +2, +0)" in history.text


def test_the_smallest_box_under_the_cursor_is_meant() -> None:
    made = thinned(candidates(), DetectionParams())
    assert chosen(made, (20.0, 20.0)) == 0  # not the dog, which is one row larger
    assert chosen(made, (20.0, 30.5)) == 2
    assert chosen(made, (500.0, 500.0)) == 0  # on none: the best
    assert chosen(made, None) == 0


def test_rivals_are_named_with_their_fate() -> None:
    made = shown()
    rivals = boxes(made, "origin/rivals")
    assert list(rivals.ids) == [0, 2, 1]
    assert list(rivals.state) == ["chosen", "kept", "removed by it"]
    history = made["origin/history"]
    assert isinstance(history, Text)
    assert "Removed 1 as overlapping it by more than 0.50" in history.text
    assert "box 1 (cat 0.80) at IoU 0.90" in history.text


def test_a_survivor_tells_what_it_survived() -> None:
    history = shown(cursor=(20.0, 30.5))["origin/history"]
    assert isinstance(history, Text)
    assert "Survived box 0 (cat 0.90): IoU 0.95, another class" in history.text


def test_nothing_found_is_an_empty_result() -> None:
    made = shown(score=0.99)
    assert boxes(made, "detections/boxes").boxes.shape == (0, 4)
    assert boxes(made, "suppression/film").boxes.shape == (0, 4)
    assert boxes(made, "origin/rivals").boxes.shape == (0, 4)
    assert set(made) == set(shown())


def test_thousands_of_boxes_in_one_place_leave_one() -> None:
    generator = torch.Generator().manual_seed(0)
    count = 5000
    many = torch.tensor([[50.0, 50.0, 150.0, 150.0]]) + torch.rand(count, 4, generator=generator)
    all_in_one = Candidates(
        many, torch.linspace(1, 0.5, count), torch.zeros(count, dtype=torch.int64),
        torch.arange(count), many, torch.zeros(count, dtype=torch.int64), ("cat",), ("one",),
    )  # fmt: skip
    made = {a.name: a for a in artefacts(all_in_one, DetectionParams())}
    assert boxes(made, "detections/boxes").boxes == pytest.approx(many[:1].numpy())
    assert "4600 more candidates are not drawn" in boxes(made, "suppression/film").note
    assert np.isfinite(boxes(made, "suppression/film").boxes).all()
