"""The instruments of a unit through real engines: equal to autograd by hand, and nothing left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engines.classify import digits
from explorer.core import registry
from explorer.core.attribution import AttributionError, Target
from explorer.core.capture import hook_count
from explorer.core.layers import Layer
from explorer.core.media import open_clip, read_image, sample_inputs
from explorer.core.paths import assets
from explorer.core.session import Session
from explorer.core.studies.exciting import Exciting, ExcitingError
from explorer.engine import Cancelled
from explorer.instruments.explained import predicted_target
from explorer.kinds import Artefact, Boxes

Open = Callable[[str], Session]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Sessions on engines; afterwards none has a hook or a weight that wants a gradient."""
    made: list[Session] = []

    def make(name: str) -> Session:
        small = {"network": "residual-8"} if name == "resnet" else {}
        session = Session(registry.table()[name], params=small)
        session.open()
        made.append(session)
        return session

    yield make
    for session in made:
        assert hook_count(session.network) == 0
        assert not any(p.requires_grad for p in session.network.parameters())
        session.close()


def run(session: Session, inputs: Any = None) -> dict[str, Any]:
    frames = list(session.run(inputs or sample_inputs(session.row), steps=1))
    return {a.name: a for f in frames for a in f.artefacts}


def study(session: Session, name: str, **values: Any) -> dict[str, Any]:
    session.instruments.lay_on(name, values, session.layers())
    if session.look(name) is None:
        run(session, session.inputs)
    frames = list(session.study(name, session.inputs))
    return {a.name.partition("/")[2]: a for f in frames for a in f.artefacts}


def test_the_gradient_is_that_of_the_network_on_what_the_engine_feeds(opened: Open) -> None:
    session = opened("resnet")
    run(session)
    found = study(session, "unit", layer="layer2", unit=3, place="whole map")
    x, affine = digits.picture(session.inputs["image"].pixels, "auto")
    x.requires_grad_()
    network: Any = session.network
    y = network.layer2(network.layer1(network.relu(network.bn1(network.conv1(x)))))
    (truth,) = torch.autograd.grad(y[0, 3].sum(), x)
    np.testing.assert_array_equal(found["gradient"].values, truth[0, 0].numpy())
    assert found["gradient"].affine == affine
    assert found["gradient"].scale == "diverging"
    assert not found["gradient"].over
    assert set(found) == {"gradient", "guided", "deconvolution", "Grad-CAM"}


def test_a_prediction_is_explained_by_the_engines_own_words(opened: Open) -> None:
    session = opened("classify")
    named = run(session)["prediction/top classes"]
    best = named.labels[0]
    found = study(session, "unit", layer="_blocks.15", explain="prediction")
    assert best in found["gradient"].note
    cam = found["Grad-CAM"]
    assert cam.values.shape == (7, 7)
    assert cam.values.min() >= 0.0
    assert cam.values.max() > 0
    assert cam.affine is not None
    assert cam.affine.sx == pytest.approx(32 * found["gradient"].affine.sx)
    other = study(
        session, "unit", layer="_blocks.15", explain="prediction", index=0, method="gradient"
    )
    assert "_fc 0" in other["gradient"].note
    assert not np.array_equal(other["gradient"].values, found["gradient"].values)


def test_captum_agrees_through_an_engine(opened: Open) -> None:
    session = opened("resnet")
    run(session)
    for values in ({"layer": "layer2", "unit": 3}, {"layer": "layer3", "explain": "prediction"}):
        text = study(session, "unit", captum=True, **values)["compared with Captum"].text
        assert text.count("largest difference 0 of") == text.count("equal bit for bit") == 4


@pytest.mark.parametrize("engine", ["vgg", "dcgan", "fast-weights"])
def test_every_sort_of_engine_gets_an_answer(opened: Open, engine: str) -> None:
    session = opened(engine)
    if engine == "vgg":
        session.set_params({"size": 64})
    run(session)
    found = study(session, "unit", method="gradient", place="whole map")
    assert list(found) == ["gradient"]
    values = next(iter(found["gradient"].arrays().values()))
    assert np.isfinite(values).all()


def test_the_score_of_a_box_is_the_row_that_it_came_from() -> None:
    """The best box, or another; rows of (N, C) and of (1, N, C) alike."""
    boxes = Boxes(
        "boxes/kept", np.eye(3, 4), np.array([0.2, 0.9, 0.4]), labels=("cat", "dog", "cup"),
        sources=(40, 7, 21), target=("head", 5),
    )  # fmt: skip

    def bench(*shape: int) -> Any:
        head = Layer("head", "Linear", 0, shape, 0, leaf=True, called=True, calls=1)
        return SimpleNamespace(engine_pass=lambda: iter([boxes]), layers=[head])

    best, words = predicted_target(bench(50, 9), None)
    assert (best, words) == (Target("head", 5, row=7), "box 1 “dog” (head, row 7)")
    other, _ = predicted_target(bench(1, 50, 9), 2)
    assert other == Target("head", 5, at=(21,))
    scores = torch.randn(50, 9)
    assert best.value(scores) == scores[7, 5]
    assert other.value(scores[None]) == scores[21, 5]
    with pytest.raises(AttributionError, match="no box 3; the engine shows 3"):
        predicted_target(bench(50, 9), 3)


def test_edits_act_in_what_is_explained(opened: Open) -> None:
    from explorer.views import Edit

    session = opened("resnet")
    session.instruments.lay_on("unit", {"layer": "layer2", "unit": 3}, session.layers())
    run(session)
    session.edits = (Edit("conv1", (), "zero"),)
    found = study(session, "unit")
    assert np.abs(found["gradient"].values).max() == 0.0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unit": ({"layer": "layer2", "unit": 99}, "no unit 99; there are 0 to 15"),
    "no layer": ({"layer": "nothing"}, "no layer is chosen"),
    "not called": ({"layer": "layer1.0.downsample"}, "no layer is chosen|was not called"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_choice_is_one_line_and_the_session_goes_on(opened: Open, name: str) -> None:
    session = opened("resnet")
    run(session)
    values, words = WRONG[name]
    for instrument in ("unit", "maximise"):
        session.instruments.lay_on(instrument, values, session.layers())
        with pytest.raises(AttributionError, match=words) as error:
            list(session.study(instrument, session.inputs))
        assert "\n" not in str(error.value)
    assert "prediction/after" in run(session)


def test_an_ascent_rises_above_the_picture_and_repeats_by_its_seed(opened: Open) -> None:
    session = opened("resnet")
    run(session)
    values: dict[str, Any] = {"layer": "layer2", "unit": 5, "steps": 40, "rate": 0.1, "jitter": 1}
    first = study(session, "maximise", **values)
    curve = first["activation"]
    assert len(curve.y) == 40
    assert curve.y[-5:].mean() > 1.5 * max(curve.marks["present picture"], 0.1)
    again = study(session, "maximise", **values)
    np.testing.assert_array_equal(again["picture"].image, first["picture"].image)
    np.testing.assert_array_equal(again["activation"].y, curve.y)
    other = study(session, "maximise", **values, seed=1)
    assert not np.array_equal(other["picture"].image, first["picture"].image)


def test_an_ascent_is_cancelled_within_a_step(opened: Open) -> None:
    session = opened("resnet")
    run(session)
    session.instruments.lay_on("maximise", {"layer": "layer2", "every": 1}, session.layers())
    climbing = session.study("maximise", session.inputs)
    for _ in range(3):
        next(climbing)
    session.cancel()
    with pytest.raises(Cancelled):
        next(climbing)
    assert torch.is_grad_enabled()
    assert "prediction/after" in run(session)


def shown(artefacts: dict[str, Any]) -> Artefact:
    found: Artefact = artefacts["inspect-exciting/crops"]
    return found


def test_crops_come_from_where_the_unit_fired(opened: Open) -> None:
    session = opened("classify")
    run(session)
    layer, unit = "_blocks.2", 7
    session.instruments.lay_on("exciting", {"layer": layer, "unit": unit}, session.layers())
    tensors: list[torch.Tensor] = []
    handle = session.network.get_submodule(layer).register_forward_hook(
        lambda *a: tensors.append(a[2].detach().clone())
    )
    for name in ("coffee.png", "chelsea.png", "coffee.png"):
        made: Any = shown(run(session, {"image": read_image(assets() / name)}))
    handle.remove()
    best = [float(t[0, unit].max()) for t in tensors]
    order = sorted({"coffee.png": best[0], "chelsea.png": best[1]}.items(), key=lambda p: -p[1])
    assert [label.split(" · ")[1] for label in made.labels] == [name for name, _ in order]
    assert [label.split(" · ")[0] for label in made.labels] == [f"{v:.3g}" for _, v in order]
    # The window around the strongest cell, cut out by hand: cells are 4 px of the 224 px crop.
    pixels = read_image(assets() / order[0][0]).pixels
    place = session.capture.taken([layer])[1][layer]
    row, column = divmod(int(tensors[best.index(order[0][1])][0, unit].argmax()), 56)
    side = round(max(place.receptive or (0, 0)))
    x, y = place.affine.to_input(column + 0.5, row + 0.5)
    height, width = pixels.shape[:2]
    # Both pictures differ in size, and so in scale: only the latest one's place is at hand.
    if order[0][0] == "coffee.png":
        left = round(min(max(x - side / 2, 0), width - side))
        top = round(min(max(y - side / 2, 0), height - side))
        cut = pixels[top : top + side, left : left + side]
        truth = cv2.resize(cut, (48, 48), interpolation=cv2.INTER_AREA)
        assert np.abs(made.image[0].astype(int) - truth).mean() < 12


def test_frames_of_a_clip_are_told_apart_by_number(opened: Open) -> None:
    session = opened("resnet")
    session.instruments.lay_on("exciting", {"layer": "layer1", "unit": 2}, session.layers())
    clip = open_clip(assets() / "bunny.mp4")
    frames = list(session.play({"image": clip}, frames=3, every=20))
    clip.close()
    (made,) = [a for a in frames[-1].artefacts if a.name == "inspect-exciting/crops"]
    names = {label.split(" · ")[1] for label in made.labels}
    assert names == {"bunny.mp4", "bunny.mp4 #20", "bunny.mp4 #40"}
    assert "best of 3 pictures and frames" in made.note


def test_a_folder_is_walked_and_the_file_goes_on(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    digit = read_image(assets() / "digit.png").pixels
    for turn in range(4):
        cv2.imwrite(str(folder / f"{turn}.png"), np.rot90(digit, turn))
    (folder / "broken.png").write_bytes(b"\x89PNG no picture")
    file = tmp_path / "top.npz"
    session = opened("resnet")
    run(session)
    values = {"layer": "layer2", "unit": 3, "folder": str(folder), "file": str(file)}
    found = study(session, "exciting", **values)
    labels = {label.split(" · ")[1] for label in found["crops"].labels}
    assert labels == {"0.png", "1.png", "2.png", "3.png", "digit.png"}
    values_by_name = {lab.split(" · ")[1]: lab.split(" · ")[0] for lab in found["crops"].labels}
    assert values_by_name["0.png"] == values_by_name["digit.png"]  # the same picture
    assert "1 file of the folder left out" in found["crops"].note
    kept = Exciting.load(file)
    assert (kept.point, kept.values.shape) == ("layer2", (16, 9))

    later = opened("resnet")
    later.instruments.lay_on("exciting", {**values, "folder": ""}, later.layers())
    run(later)
    names = {label.split(" · ")[1] for label in shown(run(later)).labels}  # type: ignore[attr-defined]
    assert names == labels


def test_a_damaged_file_is_said_and_left_alone(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "top.npz"
    file.write_bytes(b"no archive")
    session = opened("resnet")
    session.instruments.lay_on("exciting", {"layer": "layer2", "file": str(file)}, session.layers())
    run(session)
    last = list(session.run(session.inputs))[-1]
    assert any("top.npz cannot be read as top images" in note for note in last.notes)
    assert file.read_bytes() == b"no archive"
    assert issubclass(ExcitingError, ValueError)
