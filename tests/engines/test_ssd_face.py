"""The face detector against what its publisher's own code makes of the same picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.nn.detection.boxes import decode, iou
from engines.nn.one_stage.priors import WEIGHTS
from engines.nn.one_stage.ssd_mobilenet import GRIDS, PER_CELL, PREPROCESS, SIDE, SsdMobileNet
from engines.nn.readers import QUANTISED, eight_bits
from explorer.api import prepare
from explorer.core.media import image_from_array, read_image, sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.kinds import Artefact

FILE = assets() / "weights" / "ssd-face.safetensors"
GOLDEN = Path(__file__).parents[1] / "golden" / "ssd_face.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text())
    return found


@pytest.fixture(scope="module")
def session() -> Any:
    torch.set_num_threads(1)
    made = Session(table()["ssd-face"], device="cpu")
    made.statistics_every = 0.0
    made.open()
    yield made
    made.close()


def seen(session: Session, pixels: Any = None, **values: Any) -> dict[str, Artefact]:
    session.set_params(values)
    given = sample_inputs(session.row)
    if pixels is not None:
        given = {"image": image_from_array(pixels, "made")}
    return {a.name: a for frame in session.run(given) for a in frame.artefacts}


def test_scores_and_boxes_equal_the_publishers(golden: dict[str, Any]) -> None:
    network = SsdMobileNet().eval()
    missing = network.load_state_dict(eight_bits(FILE), strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    assert not missing.unexpected_keys
    x, _ = prepare(read_image(assets() / "astronaut.png").pixels, PREPROCESS)
    with torch.no_grad():
        output = network(x)
    scores = output.logits[0, :: golden["every"], 0].sigmoid().numpy()
    boxes = decode(output.offsets[0], network.priors, WEIGHTS)[:: golden["every"]].numpy()
    assert np.abs(scores - golden["scores"]).max() < 1e-5
    theirs = SIDE * np.array(golden["boxes"])[:, [1, 0, 3, 2]]
    assert np.abs(boxes - theirs).max() < 1e-3


def test_the_face_of_the_sample_is_found_where_the_publisher_finds_it(
    session: Session, golden: dict[str, Any]
) -> None:
    found = seen(session)["detections/boxes"]
    ((score, *box),) = golden["detections"]
    assert list(found.labels) == ["face"]
    assert found.target == ("scores", 0), "attribution explains the score of the box's source"
    assert found.scores[0] == pytest.approx(score, abs=1e-5)
    assert found.boxes[0] == pytest.approx(box, abs=1e-3)


def test_eight_bits_are_read_as_the_formula_says(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    stored = torch.tensor([0, 1, 255], dtype=torch.uint8)
    step, smallest = 0.1, -3.3
    plain = torch.tensor([1.5])
    save_file(
        {
            "a": stored,
            "a" + QUANTISED: torch.tensor([step, smallest], dtype=torch.float64),
            "b": plain,
        },
        tmp_path / "file.safetensors",
    )
    read = eight_bits(tmp_path / "file.safetensors")
    assert set(read) == {"a", "b"}
    expected = np.array([-3.3, 0.1 - 3.3, 255 * 0.1 - 3.3]).astype(np.float32)
    assert (read["a"].numpy() == expected).all()
    assert torch.equal(read["b"], plain)
    (tmp_path / "broken").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"(?i)header"):
        eight_bits(tmp_path / "broken")


def test_the_default_boxes_are_those_of_the_maps() -> None:
    """The stored ones are within 1e-4 of the side of squares on a regular grid."""
    priors = eight_bits(FILE)["priors"]
    counts = [per * grid * grid for per, grid in zip(PER_CELL, GRIDS, strict=True)]
    assert len(priors) == sum(counts) == 5118
    for part, grid, per in zip(priors.split(counts), GRIDS, PER_CELL, strict=True):
        centres = ((part[:, :2] + part[:, 2:]) / 2).reshape(grid, grid, per, 2)
        steps = SIDE * (torch.arange(grid) + 0.5) / grid
        assert (centres[..., 0] - steps[None, :, None]).abs().max() < 0.05
        assert (centres[..., 1] - steps[:, None, None]).abs().max() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (20, 2000), (2000, 20), (512, 300)])
def test_pictures_of_any_size_and_shape_give_a_right_answer(
    session: Session, size: tuple[int, int]
) -> None:
    made = seen(session, np.full((*size, 3), 127, np.uint8))
    assert len(made["detections/boxes"].boxes) == 0
    assert "lower the score" in made["origin/history"].text


def test_the_face_is_found_beside_black_bars_too(session: Session) -> None:
    photo = sample_inputs(session.row)["image"].pixels
    wide = np.zeros((512, 900, 3), np.uint8)
    wide[:, 388:] = photo
    found = seen(session, wide)["detections/boxes"]
    alone = torch.tensor([[181.1 + 388, 72.9, 264.4 + 388, 174.6]])
    assert found.boxes.shape == (1, 4)
    assert iou(torch.from_numpy(found.boxes.copy()), alone) > 0.7


def test_thousands_of_boxes_are_thinned_and_lie_in_the_picture(session: Session) -> None:
    made = seen(session, score=0.01, overlap=1.0)
    boxes = made["detections/boxes"]
    assert len(boxes.boxes) == 200
    assert boxes.boxes.min() >= 0
    assert boxes.boxes.max() <= 512
    seen(session, score=0.5, overlap=0.5)


def test_the_cell_under_the_cursor_holds_it(session: Session) -> None:
    made = seen(session, cursor=(101.0, 401.0))
    for name, grid in zip(("32 × 32", "8 × 8"), (32, 8), strict=True):
        boxes = made[f"priors/{name}"].boxes
        middle = (boxes[0, :2] + boxes[0, 2:]) / 2
        assert np.abs(middle - (101, 401)).max() <= 512 / grid / 2 + 0.05
        assert f"row {401 * grid // 512}, column {101 * grid // 512}" in made[f"priors/{name}"].note
    seen(session, cursor=None)


def test_the_hottest_cell_of_the_first_map_is_where_the_face_comes_from(session: Session) -> None:
    made = seen(session)
    heat, best = made["heat/32 × 32"], made["detections/boxes"]
    row, column = np.unravel_index(int(heat.values.argmax()), (32, 32))
    assert best.sources[0] // 3 == row * 32 + column
    assert heat.values.max() == pytest.approx(best.scores[0], abs=1e-6)
    assert heat.affine.to_input(column + 0.5, row + 0.5) == pytest.approx(
        (512 * (column + 0.5) / 32, 512 * (row + 0.5) / 32), abs=0.1
    )
