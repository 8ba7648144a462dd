"""MoveNet against the published graph, its reading of the maps by hand, and on the astronaut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.nn.motion.movenet import CELLS, MoveNet
from engines.nn.motion.movenet_reading import around, cropped
from engines.nn.motion.posenet import JOINTS
from explorer.core.media import open_clip, read_input
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.weights import WeightStore
from explorer.engine import ImageInput

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "movenet.npz")


@pytest.fixture(scope="module")
def network() -> MoveNet:
    made = MoveNet().eval()
    row = table()["movenet"]
    made.load_state_dict(WeightStore(row.weights).load("movenet-lightning").tensors)
    return made


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    made = Session(table()["movenet"], device="cpu")
    made.open()
    yield made
    made.close()


def test_it_is_the_published_network(network: MoveNet) -> None:
    assert sum(p.numel() for p in network.parameters()) == 2_317_974
    x = torch.from_numpy(GOLDEN["picture"].astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        made = network(x)
    heat = 1 / (1 + np.exp(-GOLDEN["heat"]))
    assert np.abs(made.heat[:, ::3, ::3].permute(1, 2, 0).numpy() - heat).max() <= 1e-4
    assert np.abs(made.guess[::3, ::3].flatten(2).numpy() - GOLDEN["guess"]).max() <= 2e-3
    assert np.abs(made.offset[::3, ::3].flatten(2).numpy() - GOLDEN["offset"]).max() <= 2e-3
    # The published graph divides by 48 in half precision: 0.02082825 for 1/48.
    assert np.abs(made.points.numpy() / CELLS - GOLDEN["joints"][:, :2]).max() <= 5e-4
    assert np.abs(made.scores.numpy() - GOLDEN["joints"][:, 2]).max() <= 1e-4


def test_joints_are_read_from_the_maps(network: MoveNet) -> None:
    """Two people; the prior prefers the first, whose guess is a cell off, and offsets are 0.25."""
    heat = torch.full((17, CELLS, CELLS), 0.01)
    heat[:, 20, 21], heat[:, 40, 41] = 0.8, 0.95
    centre = torch.zeros(CELLS, CELLS)
    centre[22, 22], centre[42, 42] = 0.6, 0.5
    guess = torch.zeros(CELLS, CELLS, 17, 2)
    guess[22, 22] = torch.tensor([-1.0, -1.0])
    offset = torch.full((CELLS, CELLS, 17, 2), 0.25)
    made = network._read(heat, centre, guess, offset)
    assert made.start.tolist() == [22, 22]
    assert made.first[3].tolist() == [21.0, 21.0]
    assert made.cells[3].tolist() == [20, 21]
    assert made.points[3].tolist() == [20.25, 21.25]
    assert made.scores[3].item() == pytest.approx(0.8)
    assert made.ranked[3, 20, 21].item() == pytest.approx(0.8 / (1 + 1.7998046875))


def test_other_sizes_are_refused(network: MoveNet) -> None:
    with pytest.raises(ValueError, match="192, 192"):
        network(torch.zeros(1, 3, 256, 256))


# x, y, score, as measured for the specification with the published graph.
ASTRONAUT = {
    "nose": (222, 121, 0.58),
    "left shoulder": (318, 271, 0.61),
    "right shoulder": (109, 256, 0.64),
}


def test_the_astronauts_joints_are_where_they_were_measured(session: Session) -> None:
    photo = read_input("image", assets() / "astronaut.png")
    made = {a.name: a for f in session.run({"image": photo}) for a in f.artefacts}
    points = made["people/skeletons"].points[0]
    for name, (x, y, score) in ASTRONAUT.items():
        found = points[JOINTS.index(name)]
        assert found[:2] == pytest.approx((x, y), abs=3.0), name
        assert found[2] == pytest.approx(score, abs=0.04), name
    for name in ("left knee", "left ankle"):
        assert points[JOINTS.index(name), 2] < 0.15, name


def test_a_clip_is_looked_at_around_the_person(session: Session) -> None:
    """The astronaut, small in a corner, frame after frame: found larger from the second on."""
    photo = read_input("image", assets() / "astronaut.png")
    canvas = np.full((700, 900, 3), 90, np.uint8)
    canvas[300:556, 250:506] = photo.pixels[::2, ::2]
    before, seen = None, []
    for _ in range(3):
        generator = session.engine.run({"image": ImageInput(canvas, "far")}, session.params, before)
        made: dict[str, Any] = {}
        sent = None
        with torch.no_grad():
            try:
                while True:
                    artefact = generator.send(sent)
                    sent = session.params
                    made[artefact.name] = artefact  # type: ignore[union-attr]
            except StopIteration as stop:
                before = stop.value.memory
        seen.append(made)
    widths = [float(np.ptp(m["people/window"].boxes[0, ::2])) for m in seen]
    assert widths[0] == 900.0
    assert widths[1] < 500.0
    nose = seen[2]["people/skeletons"].points[0, 0]
    assert nose[:2] == pytest.approx((250 + 111, 300 + 61), abs=8.0)
    first, last = (m["joints/scores"].scores.mean() for m in (seen[0], seen[2]))
    assert last > first


def test_who_is_no_person_is_not_followed() -> None:
    nobody = np.zeros((17, 3))
    assert around(None, (100, 100)) is None
    assert around(nobody, (100, 100)) is None
    large = nobody.copy()
    large[[5, 6, 11, 12]] = [[0, 0, 0.9], [90, 0, 0.9], [0, 90, 0.9], [90, 90, 0.9]]
    assert around(large, (100, 100)) is None  # the whole picture is no larger


def test_a_window_beyond_the_edge_is_black_there() -> None:
    pixels = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    made, place = cropped(pixels, (-2, 3, 2, 7))
    assert made.shape == (4, 4, 3)
    assert (made[:, :2] == 0).all()
    assert (made[2:] == 0).all()
    assert (made[:2, 2:] == pixels[3:5, :2]).all()
    assert place.to_input(0.0, 0.0) == (-2.0, 3.0)


def test_a_clip_file_runs(session: Session) -> None:
    clip = open_clip(assets() / "bunny.mp4")
    made = list(session.at({"image": clip}, 3))
    assert any(a.name == "people/skeletons" for f in made for a in f.artefacts)
    clip.close()
