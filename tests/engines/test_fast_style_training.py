"""Training of one style: its loss, what moves, resuming, and folders with bad pictures in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.style.perceptual import PerceptualLoss
from engines.nn.style.stylizer import Stylizer
from engines.nn.style.taps import Tapped, convention
from engines.nn.vgg import VGG
from engines.style import own_style
from engines.style.fast import WITH_LEARNT, scaled, to_pixels
from engines.style.learning import SCALES, STYLES, WHOLE
from engines.style.photos import LARGER, Photos
from explorer.api import EngineError, FolderInput, Preprocess, prepare
from explorer.core.media import MediaError, read_folder, read_image, sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.stores import checkpoint
from explorer.core.weights import WeightStore
from explorer.kinds import Curve, Image
from explorer.views import Frame

ROW = table()["fast-style"]
QUICK = {"features": "efficientnet-lite0", "side": 64, "size": 64}


def opened(**values: Any) -> Session:
    torch.set_num_threads(1)
    session = Session(ROW, device="cpu", params={**QUICK, **values})
    session.statistics_every = 0.0
    session.open()
    return session


def noise(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of which each is one colour, told apart by its red."""
    for red in (50, 100, 150):
        cv2.imwrite(str(tmp_path / f"{red}.png"), np.full((90, 120, 3), (0, 0, red), np.uint8))
    return tmp_path


# -- the loss


@pytest.fixture(scope="module")
def features() -> Tapped:
    torch.manual_seed(0)
    return Tapped(EfficientNetLite0()).eval().requires_grad_(False)


def a_batch(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_a_painting_that_is_the_photo_or_the_style_has_no_such_term(features: Tapped) -> None:
    style = a_batch(1, 1)
    loss = PerceptualLoss(features, convention("efficientnet-lite0"), style)
    photos = a_batch(2, 2)
    same = loss(photos, photos)
    assert float(same["content"]) == 0.0
    assert float(same["style"]) > 0.001
    found = loss(style.expand(2, -1, -1, -1), photos)
    assert float(found["style"]) < 1e-9
    assert float(found["content"]) > 0.001


def test_the_style_of_a_batch_is_the_mean_of_its_pictures(features: Tapped) -> None:
    loss = PerceptualLoss(features, convention("efficientnet-lite0"), a_batch(1, 1))
    painted = a_batch(3, 2)
    each = [float(loss(p[None], p[None])["style"]) for p in painted]
    assert float(loss(painted, painted)["style"]) == pytest.approx(np.mean(each), rel=1e-5)


# -- photographs


class Reader:
    """As little of a session as the photographs need."""

    device, seed = torch.device("cpu"), 3

    def read_image(self, path: Path) -> Any:
        return read_image(path)


def reds(cuts: torch.Tensor) -> list[int]:
    return (255 * cuts.mean((2, 3))[:, 0]).round().int().tolist()


def test_each_pass_through_the_folder_takes_every_picture_once(folder: Path) -> None:
    photos = Photos(read_folder(folder), 32, Reader())  # type: ignore[arg-type]
    for step in (1, 2, 3):
        cuts = photos.batch(step, 3)
        assert cuts.shape == (3, 3, 32, 32)
        assert sorted(reds(cuts)) == [50, 100, 150]


def test_a_step_sees_the_same_whatever_came_before(folder: Path) -> None:
    cv2.imwrite(str(folder / "noise.png"), noise(90, 120, 3))
    one, other = (Photos(read_folder(folder), 32, Reader()) for _ in range(2))  # type: ignore[arg-type]
    for step in (1, 2, 3):
        one.batch(step, 4)
    assert torch.equal(one.batch(4, 4), other.batch(4, 4))
    assert not torch.equal(other.batch(4, 4), other.batch(5, 4))


def test_a_corrupt_picture_is_left_out_and_counted(folder: Path) -> None:
    whole = (folder / "50.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "torn.png").write_bytes(whole[:60] + bytes(200))
    (folder / "words.txt").write_text("no picture")
    photos = Photos(read_folder(folder), 32, Reader())  # type: ignore[arg-type]
    seen = {red for step in range(1, 5) for red in reds(photos.batch(step, 4))}
    assert seen == {50, 100, 150}
    assert photos.note.startswith("3 pictures of ")
    assert "2 unreadable, such as " in photos.note
    assert "1 files that are no pictures" in photos.note


def test_a_folder_of_corrupt_pictures_is_refused(folder: Path) -> None:
    broken = folder / "cut.png"
    broken.write_bytes((folder / "50.png").read_bytes()[:60])
    photos = Photos(FolderInput(folder, (broken,)), 32, Reader())  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=r"none of the 1 pictures .* can be read; cut.png"):
        photos.batch(1, 1)


def test_a_large_picture_is_kept_small_and_a_thin_one_is_cut(folder: Path) -> None:
    cv2.imwrite(str(folder / "large.jpg"), noise(2400, 3200, 3))
    cv2.imwrite(str(folder / "thin.png"), noise(3, 700, 3))
    photos = Photos(read_folder(folder), 32, Reader())  # type: ignore[arg-type]
    assert photos.batch(1, 5).shape == (5, 3, 32, 32)
    shapes = [kept.shape[:2] for kept in photos._kept.values() if kept is not None]
    assert len(shapes) == 5
    assert max(map(min, shapes)) == LARGER * 32 or max(map(min, shapes)) == 90


def test_an_empty_folder_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no picture in this folder"):
        read_folder(tmp_path)


# -- the training


def learnt(session: Session, out: Path, steps: int, resume: Path | None = None) -> list[Frame]:
    inputs = sample_inputs(ROW)
    return list(session.train(inputs, out=out, steps=steps, resume=resume))


def test_a_27th_style_moves_nothing_but_its_own_scales_and_shifts(tmp_path: Path) -> None:
    session = opened(learn=SCALES)
    before = {k: v.clone() for k, v in session.network.state_dict().items()}
    frames = learnt(session, tmp_path / "s.safetensors", 3)
    after = session.network.state_dict()
    for name, old in before.items():
        assert torch.equal(after[name][: len(old)], old), name
    assert session.network.styles == STYLES + 1  # type: ignore[union-attr]
    gamma = after["contract.0.norm.gamma"]
    assert not torch.allclose(gamma[-1], gamma[:-1].mean(0), atol=1e-3)
    kept = checkpoint.load(tmp_path / "s.checkpoint").weights
    assert sum(v.numel() for v in kept.values()) == 990
    assert frames[-1].step == 3
    assert "trained here" in session.provenance


@pytest.mark.parametrize("learn", [SCALES, WHOLE])
def test_the_style_of_the_photo_comes_nearer(tmp_path: Path, learn: str) -> None:
    session = opened(learn=learn, sample_every=20, train_steps=20, style=10.0)
    frames = learnt(session, tmp_path / "s.safetensors", 100)
    made = [a for frame in frames for a in frame.artefacts]
    photo = [a for a in made if a.name == "training/photo"][-1]
    assert isinstance(photo, Curve)
    assert photo.y[1, -1] < 0.9 * photo.y[1, 0]
    painted = [a for a in made if a.name == "picture/painted"]
    assert [a.step for a in painted] == [1, 20]
    assert not np.array_equal(painted[0].image, painted[-1].image)
    sheets = [a for a in made if a.name == "picture/styles"]
    assert len(sheets) == (learn == SCALES)
    batch = [a for a in made if a.name == "training/batch"][-1]
    assert isinstance(batch, Image)
    assert batch.image.shape == (128, 128, 3)
    assert batch.note.startswith("12 pictures of photos")


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, half, rest = (tmp_path / f"{n}.safetensors" for n in ("whole", "half", "rest"))
    learnt(opened(learn=WHOLE), whole, 4)
    learnt(opened(learn=WHOLE), half, 2)
    frames = learnt(opened(), rest, 2, resume=half)
    one, other = (checkpoint.load(p.with_suffix(".checkpoint")) for p in (whole, rest))
    assert one.step == other.step == 4
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[k], other.weights[k]) for k in one.weights)
    loss = [a for a in frames[-1].artefacts if a.name == "training/loss"][-1]
    assert loss.y.shape == (3, 4)


def test_a_checkpoint_of_the_other_kind_is_told(tmp_path: Path) -> None:
    out = tmp_path / "s.safetensors"
    learnt(opened(learn=SCALES), out, 1)
    with pytest.raises(EngineError, match=r"learns 'scales and shifts'"):
        learnt(opened(learn=WHOLE), tmp_path / "t.safetensors", 1, resume=out)


def test_weights_of_the_loss_act_while_it_learns(tmp_path: Path) -> None:
    session = opened(learn=SCALES)
    inputs = sample_inputs(ROW)
    calm, bent = [], []
    for smooth, losses in ((0.05, calm), (10.0, bent)):
        session.set_params({"smooth": 0.05})
        for frame in session.train(inputs, steps=4):
            losses.append(next(a for a in frame.artefacts if a.name == "training/loss").y[:, -1])
            if frame.step == 2:
                session.set_params({"smooth": smooth})
    assert np.array_equal(calm[:3], bent[:3])  # what is set after step 2 bends what step 4 sees
    assert not np.allclose(calm[3], bent[3], rtol=1e-3)


@pytest.mark.parametrize(("slot", "words"), [("style", "style=PATH"), ("folder", "folder=PATH")])
def test_an_empty_slot_is_told(slot: str, words: str) -> None:
    session = opened()
    inputs = {k: v for k, v in sample_inputs(ROW).items() if k != slot}
    with pytest.raises(EngineError, match=words):
        list(session.train(inputs, steps=1))


# -- a style of one's own


def painted(session: Session) -> tuple[list[str], Any]:
    made = {a.name: a for frame in session.run(sample_inputs(ROW)) for a in frame.artefacts}
    return list(made), made["picture/painted"]


def test_a_file_of_scales_and_shifts_is_a_27th_style(tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    learnt(opened(learn=SCALES), out, 2)
    session = opened(network=WITH_LEARNT, file=str(out))
    names, picture = painted(session)
    assert {"picture/styles", "styles/shares"} <= set(names)
    assert "trained here, mine.safetensors, 2 steps" in picture.note
    shares = next(
        a for f in session.run(sample_inputs(ROW)) for a in f.artefacts if a.name == "styles/shares"
    )
    assert (shares.labels[0], float(shares.scores[0])) == ("learnt", 1.0)
    session.set_params({"learnt": 0.0})
    plain = painted(opened())[1]
    assert np.array_equal(painted(session)[1].image, plain.image)


def test_a_file_that_is_not_used_is_told(tmp_path: Path) -> None:
    session = opened(file=str(tmp_path / "mine.safetensors"))
    assert "set network='with one learnt'" in session.engine.remarks[0]
    assert session.network.styles == STYLES  # type: ignore[union-attr]


def test_a_whole_network_is_one_style_and_needs_no_sheet(tmp_path: Path) -> None:
    network = Stylizer(1).eval()
    network.start(torch.Generator().manual_seed(5))
    save_file(network.state_dict(), tmp_path / "one.safetensors")
    session = opened(network=WITH_LEARNT, file=str(tmp_path / "one.safetensors"))
    names, picture = painted(session)
    assert names == ["picture/photo", "picture/painted", "norm/scale", "norm/shift"]
    assert picture.note == "your file one.safetensors"
    x, _ = scaled(sample_inputs(ROW)["image"], 64)  # type: ignore[arg-type]
    with torch.no_grad():
        assert np.array_equal(picture.image, to_pixels(network(x, torch.ones(1))[0]))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.safetensors", None, "is not there"),
        ("torn.safetensors", b"\x08\0\0\0\0\0\0\0{}", "no whole safetensors file"),
        ("other.safetensors", {"a": torch.zeros(2)}, "do not fit Stylizer"),
    ],
)
def test_a_file_of_something_else_is_told(
    tmp_path: Path, name: str, content: Any, words: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content + b"\0" * 9)
    elif content is not None:
        save_file(content, path)
    with pytest.raises(EngineError, match=words):
        opened(network=WITH_LEARNT, file=str(path))


def test_the_embedded_style_scores_as_it_did() -> None:
    """On a photo that it never saw, with the features of its training."""
    torch.set_num_threads(1)
    store = WeightStore(ROW.weights)
    network = Stylizer(STYLES).eval()
    network.load_state_dict(store.load("multistyle26").tensors)
    own_style.put(network, store.load("brushwork-style").tensors, "brushwork-style")
    features = VGG(16, head=False, pool="average")
    tensors = store.load("vgg16-hed").tensors
    features.load_state_dict({k: v for k, v in tensors.items() if k.startswith("features.")})
    inputs = sample_inputs(ROW)
    style, _ = prepare(inputs["style"].pixels, Preprocess(128, "short"))  # type: ignore[union-attr]
    photo, _ = prepare(inputs["image"].pixels, Preprocess(128, "crop", 1.0))  # type: ignore[union-attr]
    loss = PerceptualLoss(Tapped(features).eval(), convention("vgg16-hed"), style)
    with torch.no_grad():
        found = loss(network(photo, torch.eye(STYLES + 1)[-1]), photo)
        nearest = loss(network(photo, torch.eye(STYLES + 1)[7]), photo)
    assert float(found["style"]) == pytest.approx(0.2116, abs=1e-3)
    assert float(found["content"]) == pytest.approx(0.6268, abs=1e-3)
    assert float(nearest["style"]) > 0.3


def test_the_sample_folder_has_no_picture_of_the_astronaut() -> None:
    """What is painted on the way is no picture that is learnt from."""
    files = {file.stem for file in read_folder(assets() / "photos").files}
    assert len(files) == 12
    assert "astronaut" not in files
