"""NanoDet against the published graph, interpreted node by node, and on photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from engines.detect.nanodet import framing
from engines.nn.one_stage.nanodet import BINS, STRIDES, Cells, NanoDet, boxes_of, centres
from explorer.core.media import read_input
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.weights import WeightStore
from explorer.engine import ImageInput
from explorer.kinds import Boxes, Field, Matrix

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nanodet.npz")
STEP = 17


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    made = Session(table()["nanodet"], device="cpu")
    made.open()
    yield made
    made.close()


def run(session: Session, photo: ImageInput, **values: Any) -> dict[str, Any]:
    session.set_params(values)
    return {a.name: a for frame in session.run({"image": photo}) for a in frame.artefacts}


def picture(name: str) -> ImageInput:
    found: ImageInput = read_input("image", assets() / name)
    return found


def test_it_is_the_published_network() -> None:
    network = NanoDet().eval()
    row = table()["nanodet"]
    network.load_state_dict(WeightStore(row.weights).load("nanodet").tensors)
    assert sum(p.numel() for p in network.parameters()) == 3_786_068
    x = np.random.default_rng(5).standard_normal((1, 3, 416, 416), np.float32)
    with torch.no_grad():
        cells = network(torch.from_numpy(x))
    assert cells.sizes == ((52, 52), (26, 26), (13, 13))
    scores, sides = cells.logits.sigmoid()[::STEP].numpy(), cells.sides[::STEP].numpy()
    assert np.abs(scores - GOLDEN["scores"]).max() <= 1e-6
    assert np.abs(sides.reshape(-1, 4 * BINS) - GOLDEN["sides"]).max() <= 2e-5


def test_a_sure_distribution_is_its_distance() -> None:
    sizes = ((2, 3), (1, 2), (1, 1))
    count = 6 + 2 + 1
    sides = torch.full((count, 4, BINS), -50.0)
    for side, distance in enumerate((1, 2, 3, 4)):
        sides[:, side, distance] = 50.0
    points, strides, levels = centres(sizes)
    boxes = boxes_of(Cells(torch.zeros(count, 80), sides, sizes))
    wanted = [x + s * d for (x, y), s in zip(points, strides, strict=True) for d in (-1,)]
    assert boxes[:, 0].tolist() == pytest.approx([float(v) for v in wanted])
    assert (boxes[:, 3] - points[:, 1]).tolist() == pytest.approx((4.0 * strides).tolist())
    assert points[4].tolist() == [12.0, 12.0]  # second row, second column of stride 8
    assert levels.tolist() == [0] * 6 + [1] * 2 + [2]


def test_between_two_bins_a_side_lies_between_them() -> None:
    sides = torch.full((1, 4, BINS), -50.0)
    sides[:, :, 2:4] = 10.0
    box = boxes_of(Cells(torch.zeros(1, 80), sides, ((1, 1), (0, 0), (0, 0))))[0]
    assert box.tolist() == pytest.approx([4 - 20.0, 4 - 20.0, 4 + 20.0, 4 + 20.0])


def test_the_astronaut_is_a_person(session: Session) -> None:
    made = run(session, picture("astronaut.png"), score=0.4)
    found = made["detections/boxes"]
    assert isinstance(found, Boxes)
    assert list(found.labels) == ["person"]
    assert found.scores[0] == pytest.approx(0.734, abs=0.01)
    assert made["origin/box"].note.startswith("on stride 32")
    bins = made["cell/distance of each side"]
    assert isinstance(bins, Matrix)
    assert bins.values.sum(1) == pytest.approx(np.ones(4), abs=1e-5)


def test_what_the_heat_maps_show_are_the_scores_of_the_boxes(session: Session) -> None:
    made = run(session, picture("astronaut.png"), score=0.4, only="person")
    maps = [made[f"heat/stride {stride}"] for stride in STRIDES]
    assert all(isinstance(m, Field) for m in maps)
    assert max(float(m.values.max()) for m in maps) == pytest.approx(
        float(made["detections/boxes"].scores[0])
    )
    session.set_params({"only": ""})


def test_the_cell_under_the_cursor_lies_around_it(session: Session) -> None:
    x, y = 430.0, 60.0
    cells = run(session, picture("astronaut.png"), score=0.9, cursor=(x, y))["cell/on each level"]
    inside = (cells.boxes[:, :2] <= (x, y)).all() and ((x, y) <= cells.boxes[:, 2:]).all()
    assert inside
    widths = cells.boxes[:, 2] - cells.boxes[:, 0]
    assert widths == pytest.approx([s * 512 / 416 for s in STRIDES], rel=1e-5)
    session.set_params({"cursor": None})


@pytest.mark.parametrize("shape", [(7, 5), (400, 12), (12, 400), (1, 1)])
def test_small_and_thin_pictures_are_looked_at(session: Session, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = ImageInput(rng.integers(0, 256, (*shape, 3), np.uint8), "odd")
    made = run(session, photo, score=0.05, size=96)
    boxes = made["detections/boxes"].boxes
    height, width = shape
    assert (boxes >= 0).all()
    assert (boxes <= (width, height, width, height)).all()


def test_bars_fill_the_input_up_to_multiples_of_the_stride() -> None:
    assert framing(270, 480, 416).size == (256, 416)
    assert framing(512, 512, 416).size == (416, 416)
    assert framing(4000, 3, 416).size == (416, 32)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_pictures_without_three_channels_are_looked_at(
    session: Session, tmp_path: Path, mode: str
) -> None:
    with PIL.Image.open(assets() / "astronaut.png") as photo:
        if mode == "I;16":
            grey = np.asarray(photo.convert("L")).astype(np.uint16) * 257
            PIL.Image.fromarray(grey).save(tmp_path / "odd.png")
        else:
            photo.convert(mode).save(tmp_path / "odd.png")
    made = run(session, read_input("image", tmp_path / "odd.png"), score=0.4, size=416)
    assert "person" in made["detections/boxes"].labels


def test_a_picture_of_nothing_gives_nothing(session: Session) -> None:
    photo = ImageInput(np.full((90, 120, 3), 128, np.uint8), "grey")
    made = run(session, photo, score=0.4, size=96)
    assert made["detections/boxes"].boxes.shape == (0, 4)
    assert made["suppression/film"].boxes.shape == (0, 4)
    assert "lower the score" in made["origin/history"].text
