"""The engine of pyramid pooling: its file scored again, regions read from one map, bad pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

from engines.nn.two_stage.spp import SppDigits, pyramid
from engines.nn.two_stage.spp_training import TRIED, accuracy, enlarged, parts
from explorer.core.media import sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import EngineFailed, Session
from explorer.engine import EngineError
from explorer.inputs import ImageInput
from explorer.kinds import Artefact

FILE = assets() / "weights" / "spp-digits.safetensors"
DIGITS = load_file(assets() / "weights" / "digits8x8.safetensors")


@pytest.fixture(scope="module")
def network() -> SppDigits:
    torch.set_num_threads(1)
    made = SppDigits()
    made.load_state_dict(load_file(FILE))
    return made.eval()


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    made = Session(table()["sppnet"], device="cpu", seed=3)
    made.statistics_every = 0.0
    made.open()
    yield made
    made.close()


def shown(session: Session, **values: Any) -> dict[str, Artefact]:
    session.set_params(values)
    frames = list(session.run(sample_inputs(session.row)))
    return {a.name: a for frame in frames for a in frame.artefacts}


def test_the_file_scores_what_it_says(network: SppDigits) -> None:
    with safe_open(FILE, "pt") as file:
        said = file.metadata()
    _, test_part = parts(DIGITS, "cpu")
    for size in TRIED:
        wanted = float(said[f"score accuracy {size} px"])
        assert accuracy(network, test_part, size) == pytest.approx(wanted, abs=0.01), size
        assert wanted > (0.9 if size == 12 else 0.96)


@torch.no_grad()
def test_regions_are_read_from_the_shared_map(network: SppDigits) -> None:
    """Rows of three test digits: each is read from its cells of one map."""
    levels, labels = list(parts(DIGITS, "cpu"))[1]
    right = 0
    for start in range(0, 60, 3):
        row = torch.cat(list(enlarged(levels[start : start + 3], 20)), 2)[None]
        maps = network.features(row)
        for i in range(3):
            pooled = pyramid(maps, (1, 2, 4), region=(10 * i, 0, 10 * i + 10, 10))
            right += int(network.classifier(pooled.vector()).argmax()) == int(labels[start + i])
    assert right >= 55


def test_what_is_shown_is_what_torch_pools(session: Session) -> None:
    made = shown(session, size=20, second=28, region=None, levels="1,2,4", rule="torch")
    first, second = (made[f"vector/{item} size"].values for item in ("first", "second"))
    assert first.shape == second.shape == (32, 21)
    photo = sample_inputs(session.row)["image"]
    grey = torch.from_numpy(photo.pixels.astype(np.float32)).mean(2)[None, None] / 255
    x = F.interpolate(grey, (20, round(304 * 20 / 112)), mode="bilinear", antialias=True)
    with torch.no_grad():
        maps = session.network.features(x)
        wanted = torch.cat([F.adaptive_max_pool2d(maps, n)[0].flatten(1) for n in (1, 2, 4)], 1)
    np.testing.assert_allclose(first, wanted, atol=2e-2)  # torch resizes bytes here, floats there
    dots, bins = made["pyramid/maxima"].points[0], made["pyramid/bins"].boxes
    assert ((dots[:, :2] > bins[:, :2]) & (dots[:, :2] < bins[:, 2:])).all()
    assert int(made["prediction/region"].scores.argmax()) == 7, "the digit in the middle"


def test_a_dragged_region_runs_nothing_and_reads_its_digit(session: Session) -> None:
    shown(session, region=None, levels="1,2,4")
    calls: list[int] = []
    handle = session.network.conv1.register_forward_hook(lambda *_: calls.append(1))
    read = []
    for left in (8, 104, 200):
        session.set_params({"region": (left, 8, left + 96, 104)})
        made = {a.name: a for frame in session.again() for a in frame.artefacts}
        read.append(int(made["prediction/region"].scores.argmax()))
    handle.remove()
    assert read == [5, 7, 3]
    assert calls == []


def test_a_region_with_too_few_cells_says_so(session: Session) -> None:
    made = shown(session, region=(10, 10, 14, 14))
    assert "too few for 4 × 4 bins" in made["region/bins"].note
    assert "prediction/region" not in made
    made = shown(session, region=(5000, 5000, 6000, 6000))
    assert "prediction/region" not in made


@pytest.mark.parametrize(
    ("pixels", "values", "said"),
    [
        (np.zeros((3, 400, 3), np.uint8), {}, "longer than 40 times"),
        (np.zeros((64, 64, 3), np.uint8), {"size": 8, "levels": "1,2,4,8"}, "choose a larger size"),
    ],
)
def test_bad_pictures_are_told(session: Session, pixels: Any, values: Any, said: str) -> None:
    session.set_params({"size": 20, "levels": "1,2,4", "region": None, **values})
    with pytest.raises((EngineError, EngineFailed), match=said):
        list(session.run({"image": ImageInput(pixels, "x")}))
    session.set_params({"size": 20, "levels": "1,2,4"})


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (37, 11)])
def test_tiny_pictures_are_enlarged(session: Session, shape: tuple[int, int]) -> None:
    session.set_params({"size": 20, "levels": "1,2,4", "region": None})
    photo = ImageInput(np.full((*shape, 3), 200, np.uint8), "x")
    made = [a for frame in session.run({"image": photo}) for a in frame.artefacts]
    assert any(a.name == "vector/first size" for a in made)


def test_ten_and_ten_steps_equal_twenty(tmp_path: Path) -> None:
    row = table()["sppnet"]

    def go(name: str, steps: int, resume: Path | None = None) -> dict[str, torch.Tensor]:
        session = Session(row, device="cpu", seed=2, params={"weights": "random", "batch": 16})
        session.open()
        for _ in session.train({}, out=tmp_path / name, resume=resume, steps=steps):
            continue
        session.close()
        return load_file(tmp_path / name)

    whole = go("whole.safetensors", 20)
    go("half.safetensors", 10)
    rest = go("rest.safetensors", 10, tmp_path / "half.safetensors")
    assert all(torch.equal(value, rest[name]) for name, value in whole.items())
