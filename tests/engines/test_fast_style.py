"""The network of 26 styles: the published file in onnxruntime is the oracle."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.nn.style.stylizer import ConditionalNorm, Stylizer
from engines.rows.painting import MULTISTYLE26
from engines.style.fast import scaled
from engines.style.learning import STYLES
from engines.style.sheet import COLUMNS, Sheet, arranged
from explorer.core.media import read_input
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.weights import WeightStore
from explorer.engine import ImageInput
from explorer.kinds import Image, Matrix, Scores

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "multistyle.npz")


@pytest.fixture(scope="module")
def network() -> Stylizer:
    made = Stylizer(STYLES).eval()
    row = table()["fast-style"]
    made.load_state_dict(WeightStore(row.weights).load(MULTISTYLE26["name"]).tensors)
    return made


@pytest.fixture(scope="module")
def session() -> Any:
    made = Session(table()["fast-style"], device="cpu", params={"size": 64})
    made.open()
    yield made
    made.close()


def test_it_is_the_published_network(network: Stylizer) -> None:
    assert sum(p.numel() for p in network.parameters()) == 166_104
    image = torch.from_numpy(GOLDEN["image"])
    with torch.no_grad():
        for mix, wanted in zip(GOLDEN["mixes"], GOLDEN["outputs"], strict=True):
            made = network(image, torch.from_numpy(mix))[0].numpy()
            assert np.abs(made - wanted).max() <= 1e-5
            assert wanted.std() > 0.05


def test_a_batch_paints_each_picture_in_its_own_style(network: Stylizer) -> None:
    image = torch.from_numpy(GOLDEN["image"]).expand(len(GOLDEN["mixes"]), -1, -1, -1)
    with torch.no_grad():
        made = network(image, torch.from_numpy(GOLDEN["mixes"])).numpy()
    assert np.abs(made - GOLDEN["outputs"]).max() <= 1e-5


def test_the_norm_takes_mean_and_spread_from_the_style_alone() -> None:
    norm = ConditionalNorm(2, 3)
    with torch.no_grad():
        norm.gamma.copy_(torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]))
        norm.beta.copy_(torch.tensor([[0.0, -1.0, 4.0], [1.0, 1.0, 1.0]]))
        y = norm(torch.randn(1, 3, 9, 11) * 7 + 3, torch.tensor([0.25, 0.75]))
    assert y.mean((0, 2, 3)).tolist() == pytest.approx([0.75, 0.5, 1.75], abs=1e-5)
    spread = y.std((0, 2, 3), correction=0).tolist()
    assert spread == pytest.approx([4.0, 4.25, 4.5], rel=1e-4)


def test_the_range_of_the_picture_does_not_matter(network: Stylizer) -> None:
    image, mix = torch.from_numpy(GOLDEN["image"]), torch.from_numpy(GOLDEN["mixes"][0])
    with torch.no_grad():
        apart = (network(image * 255.0, mix) - network(image, mix)).abs().max()
    assert float(apart) < 1e-3


# -- the sheet


def sheet() -> Sheet:
    tiles = torch.linspace(0, 1, STYLES)[:, None, None, None].expand(-1, 3, 48, 64)
    names = [f"style {i}" for i in range(STYLES)]
    signatures = torch.randn(STYLES, 10, generator=torch.Generator().manual_seed(2))
    return Sheet(tiles, signatures, names)


def test_the_middle_of_a_tile_is_its_style_alone() -> None:
    made = sheet()
    for place, style in enumerate(made.order):
        row, column = divmod(place, COLUMNS)
        shares = made.mix((column + 0.5) * made.SHOWN, (row + 0.5) * made.SHOWN)
        assert float(shares[style]) == pytest.approx(1.0)


def test_between_two_tiles_both_have_half() -> None:
    made = sheet()
    shares = made.mix(1.0 * made.SHOWN, 0.5 * made.SHOWN)
    assert float(shares[made.order[0]]) == pytest.approx(0.5)
    assert float(shares[made.order[1]]) == pytest.approx(0.5)


@given(st.floats(-100, 1000), st.floats(-100, 1000))
@settings(max_examples=60, deadline=None)
def test_shares_add_up_to_one_everywhere(x: float, y: float) -> None:
    shares = sheet().mix(x, y)
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-5)
    assert bool((shares >= 0).all())


def test_styles_lie_along_their_main_axes() -> None:
    angle = torch.arange(28) * 0.0
    grid = torch.stack([torch.arange(28) // 7 * 10.0, torch.arange(28) % 7 * 1.0, angle], 1)
    shuffled = torch.randperm(28, generator=torch.Generator().manual_seed(1))
    order = arranged(grid[shuffled])
    laid = grid[shuffled][order].reshape(4, 7, 3)
    assert bool((laid[:, :, 0] == laid[:, :1, 0]).all())  # a row has one first coordinate
    steps = laid[:, 1:, 1] - laid[:, :-1, 1]
    assert bool((steps == steps[0, 0]).all())


# -- the engine


def run(session: Session, image: str = "astronaut.png", **values: Any) -> dict[str, Any]:
    session.set_params(values)
    frames = list(session.run({"image": read_input("image", assets() / image)}))
    return {a.name: a for frame in frames for a in frame.artefacts}


def test_a_place_on_the_sheet_goes_before_the_sliders(session: Session) -> None:
    made = run(session, spot=(48.0, 48.0))
    assert isinstance(made["styles/shares"], Scores)
    assert made["styles/shares"].scores[0] == pytest.approx(1.0)
    assert made["picture/styles"].gestures == {"pick": "spot", "drag": "spot"}
    before = made["picture/painted"].image
    assert not np.array_equal(run(session, spot=None)["picture/painted"].image, before)


def test_no_strength_is_the_photo(session: Session) -> None:
    made = run(session, strength=0.0)
    photo, _ = scaled(read_input("image", assets() / "astronaut.png"), 64)
    wanted = (photo[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(made["picture/painted"].image, wanted)
    session.set_params({"strength": 1.0})


def test_colours_of_the_photo_are_kept(session: Session) -> None:
    """Blue less red, which brightness does not touch, is the photo's where nothing was cut."""
    made = run(session, colours="of the photo")["picture/painted"].image.astype(int)
    photo, _ = scaled(read_input("image", assets() / "astronaut.png"), 64)
    wanted = (photo[0] * 255).permute(1, 2, 0).numpy()
    inside = ((made > 2) & (made < 253)).all(2)
    assert inside.mean() > 0.5
    made_tint, wanted_tint = (v[..., 2] - v[..., 0] for v in (made, wanted))
    assert np.abs(made_tint - wanted_tint)[inside].max() <= 2
    session.set_params({"colours": "painted"})


def test_scale_and_shift_of_the_mixture_are_in_the_last_row(session: Session) -> None:
    mix = tuple(0.5 * (i in (3, 4)) for i in range(STYLES))
    made = run(session, mix=mix, norm=2)
    table_ = made["norm/scale"]
    assert isinstance(table_, Matrix)
    assert table_.values[-1] == pytest.approx(table_.values[[3, 4]].mean(0), abs=1e-6)


def test_sliders_at_zero_mix_all_evenly(session: Session) -> None:
    made = run(session, mix=(0.0,) * STYLES)
    assert made["styles/shares"].scores == pytest.approx([1 / STYLES] * 6)


@pytest.mark.parametrize("shape", [(3, 500), (500, 3), (1, 1), (37, 61)])
def test_small_and_thin_pictures_are_painted(session: Session, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = ImageInput(rng.integers(0, 256, (*shape, 3), np.uint8), "odd")
    session.set_params({"size": 32})
    frames = list(session.run({"image": photo}))
    painted = next(a for f in frames for a in f.artefacts if a.name == "picture/painted")
    assert isinstance(painted, Image)
    height, width = painted.image.shape[:2]
    assert min(height, width) >= 32
    assert max(height, width) <= 4 * 32


class Camera:
    """A camera, as far as a session is concerned: no end, and each frame is new."""

    name, path, sha256, fps, live = "camera", None, "", 25.0, True

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Any:
        return self._random.integers(0, 256, (48, 64, 3), np.uint8)

    def close(self) -> None:
        """Nothing is open."""


def test_a_camera_is_painted_frame_by_frame_on_one_sheet(session: Session) -> None:
    session.set_params({"size": 32, "spot": (48.0, 48.0), "strength": 1.0})
    seen = [
        {a.name: a.image for a in frame.artefacts if isinstance(a, Image)}
        for frame in session.play({"image": Camera()}, frames=3)
    ]
    session.set_params({"spot": None})
    assert len(seen) == 3
    for before, after in itertools.pairwise(seen):
        assert not np.array_equal(before["picture/photo"], after["picture/photo"])
        assert not np.array_equal(before["picture/painted"], after["picture/painted"])
        assert np.array_equal(before["picture/styles"], after["picture/styles"])
