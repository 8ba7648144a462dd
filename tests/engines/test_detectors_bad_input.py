"""All detectors on pictures and thresholds at their limits: a right result, or one clear line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engines.nn.detection.boxes import clip, iou
from engines.nn.detection.detections import Candidates, DetectionParams, artefacts
from explorer.core.media import image_from_array, read_input, sample_inputs
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.stores.tensor_files import WeightsError
from explorer.core.weights import WeightStore
from explorer.engine import EngineError
from explorer.params import knobs

SMALL: dict[str, dict[str, Any]] = {
    "nanodet": {"size": 96},
    "yolo-v2-face": {"size": 96},
    "fast-rcnn": {"scale": 300},
}
DETECTORS = (
    "yolo-v1", "yolo-v2", "yolo-v2-face", "yolo9000", "ssd", "ssd-face", "nanodet", "sppnet",
    "fast-rcnn", "faster-rcnn", "fpn", "mask-rcnn", "keypoint-rcnn",
)  # fmt: skip
NOISE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=DETECTORS)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    torch.set_num_threads(1)
    made = Session(table()[request.param], device="cpu", params=SMALL.get(request.param, {}))
    made.statistics_every = 0.0
    made.open()
    yield made
    made.close()


def seen(session: Session, photo: Any, **values: Any) -> dict[str, Any]:
    """Every artefact of a run, redrawn once; any warning of NumPy is an error."""
    kinds = session.row.inputs
    slot = next(name for name, kind in kinds.items() if kind == "image")
    default = {name: knob.default for name, knob in knobs(type(session.params)).items()}
    session.set_params({**default, **SMALL.get(session.row.name, {}), **values})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        made = [a for frame in session.run({slot: photo}) for a in frame.artefacts]
        again = [a for frame in session.again() for a in frame.artefacts]
    for artefact in (*made, *again):
        for field, values_ in artefact.arrays().items():
            whole = values_.dtype.kind != "f" or np.isfinite(values_).all()
            assert whole, (artefact.name, field)
    return {a.name: a for a in made}


def within(boxes: np.ndarray, height: int, width: int) -> bool:
    """Whether boxes lie in the picture with their corners in order, to single precision."""
    inside = clip(torch.from_numpy(np.array(boxes)), height, width).numpy()
    return bool(
        np.abs(inside - boxes).max(initial=0) < 1e-3 and (boxes[:, 2:] >= boxes[:, :2]).all()
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3)])
def test_pictures_smaller_than_a_stride_and_very_long_ones(
    session: Session, size: tuple[int, int]
) -> None:
    photo = image_from_array(np.resize(NOISE, (*size, 3)), "made")
    if session.row.name == "sppnet" and max(size) > 40 * min(size):
        with pytest.raises(EngineError, match="longer than 40 times its other side; cut it"):
            seen(session, photo)
        return
    made = seen(session, photo)
    if session.row.name != "sppnet":
        assert within(made["detections/boxes"].boxes, *size)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_grey_alpha_and_deep_pictures_are_read_and_seen(
    session: Session, mode: str, tmp_path: Path
) -> None:
    """As they are, or laid on something: what comes in is RGB of the size of the file."""
    grey = NOISE[..., 0]
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    else:
        Image.fromarray(NOISE).convert(mode).save(tmp_path / "a.png")
    photo = read_input("image", tmp_path / "a.png")
    assert photo.pixels.shape == (60, 80, 3)
    if mode == "I;16":
        assert np.abs(photo.pixels.astype(int) - grey[..., None]).max() <= 1
    assert seen(session, photo)


def test_no_detection_is_a_right_empty_result_and_all_of_them_do_not_fail(
    session: Session,
) -> None:
    if session.row.name == "sppnet":
        assert "score" not in knobs(type(session.params))
        return
    photo = image_from_array(NOISE, "made")
    empty = seen(session, photo, score=1.0)
    assert len(empty["detections/boxes"].boxes) == 0
    assert len(empty["suppression/film"].boxes) == 0
    assert empty["origin/history"].text.startswith("No box stayed")
    full = seen(session, photo, score=0.0, overlap=1.0)
    assert within(full["detections/boxes"].boxes, 60, 80)
    assert "removed" not in full["suppression/film"].state, "no IoU is above 1"
    assert len(full["suppression/film"].boxes) >= len(empty["suppression/film"].boxes)


def test_thousands_of_boxes_in_one_place_and_boxes_without_area() -> None:
    draw = torch.Generator().manual_seed(0)
    count = 4000
    boxes = torch.tensor([10.0, 10.0, 40.0, 40.0]) + torch.rand(count, 4, generator=draw)
    boxes[::10, 2:] = boxes[::10, :2]  # a point: it overlaps nothing
    zeros = torch.zeros(count, dtype=torch.long)
    offered = Candidates(
        boxes, torch.rand(count, generator=draw), zeros, torch.arange(count), boxes, zeros,
        ("thing",), ("the only level",),
    )  # fmt: skip
    made: dict[str, Any] = {
        a.name: a for a in artefacts(offered, DetectionParams(score=0.0), most=9999)
    }
    left = torch.from_numpy(np.array(made["detections/boxes"].boxes))
    assert len(left) == count // 10 + 1
    assert float(iou(left, left).fill_diagonal_(0).max()) == 0
    everything = DetectionParams(score=0.0, overlap=1.0)
    kept: Any = next(iter(artefacts(offered, everything, most=9999)))
    assert len(kept.boxes) == count
    assert len(made["suppression/film"].boxes) == 400
    assert made["suppression/film"].note.endswith("3600 more candidates are not drawn")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """An annotation file of the sample: two boxes in it, one reaching far beyond, two without."""
    boxes = [(-60, -60, 84, 84), (100, 100, 20, 20), (10, 10, 0, 5), (20, 20, 12, 12)]
    annotations = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes, 1)
    ]
    file = tmp_path / "notes.json"
    file.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "shapes.png", "width": 64, "height": 64}],
                "categories": [{"id": 1, "name": "disc"}],
                "annotations": annotations,
            }
        )
    )
    return file


def told_of(name: str, notes: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    session = Session(table()[name], device="cpu")
    session.open()
    given = {**sample_inputs(session.row), "annotations": read_input("file.json", notes)}
    made = {a.name: a for frame in session.run(given) for a in frame.artefacts}
    session.close()
    return made


def test_annotated_boxes_outside_the_picture_are_cut_or_left_out_and_counted(notes: Path) -> None:
    matching = told_of("ssd", notes)["matching/default boxes"]
    assert matching.note.endswith(
        "truth: 2 annotated objects; 2 without area in the picture left out"
    )
    positive = matching.boxes[[state == "positive" for state in matching.state]]
    # The first is cut to (0, 0, 24, 24), which the square of 24 px in the first cell of 4 x 4
    # covers by 400 / 752; uncut it covers less than a tenth.
    assert np.abs(positive - (-4, -4, 20, 20)).max(1).min() < 0.1


def test_yolo_learns_from_what_lies_in_the_picture_alone(notes: Path) -> None:
    made = told_of("yolo-v1", notes)
    note = "2 annotated objects; 2 without area in the picture left out"
    assert note in made["truth/loss"].note
    # The first is cut to (0, 0, 24, 24), whose middle is in the second cell of 8 px, not the first.
    cells = made["truth/responsible"].boxes[:2]
    assert cells.tolist() == [[8, 8, 16, 16], [24, 24, 32, 32]]


@pytest.mark.parametrize("name", DETECTORS)
def test_every_file_of_weights_can_be_told_from_those_of_other_networks(name: str) -> None:
    """Else a file of another network could be imported, and each run would fail after it."""
    for row in table()[name].weights:
        assert row.fingerprint, row.name
        assert not all(key.startswith("!") for key in row.fingerprint), row.name


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("shapes-faster-rcnn", "shapes-mask-rcnn"),
        ("shapes-mask-rcnn", "shapes-faster-rcnn"),
        ("shapes-fast-rcnn", "shapes-faster-rcnn"),
        ("shapes-keypoint-rcnn", "shapes-mask-rcnn"),
        ("shapes-ssd", "shapes-faster-rcnn"),
    ],
)
def test_weights_of_a_neighbour_are_refused_when_they_are_brought(
    tmp_path: Path, name: str, other: str
) -> None:
    rows = {w.name: w for d in DETECTORS for w in table()[d].weights}
    store = WeightStore(rows.values(), tmp_path)
    theirs, own = store.path(other), store.path(name)
    assert theirs is not None
    assert own is not None
    with pytest.raises(WeightsError, match=f"does not fit weights '{name}'.*looks like.*{other}"):
        store.import_file(name, theirs)
    store.import_file(name, own)
    assert store.status(name) == "imported"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[maxpool]", "[bogus]", r"own\.cfg, line 16: \[bogus\] is a layer that is not known here"),
        ("width=", "width=99999", r"own\.cfg, line \d+: width='99999\d+' is not at most 8,192 px"),
        ("filters=", "filters=1e999", r"own\.cfg, line \d+: filters=.1e999\d+. is not a number"),
        ("", "", r"own\.cfg is not there; write the path of a cfg"),
    ],
    ids=["unknown layer", "a huge input", "no finite number", "no file"],
)
def test_a_wrong_darknet_cfg_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    golden = Path(__file__).parents[1] / "golden"
    if old:
        text = (golden / "darknet.cfg").read_text()
        (tmp_path / "own.cfg").write_text(text.replace(old, new, 1))
    (tmp_path / "own.weights").write_bytes((golden / "darknet.weights").read_bytes())
    session = Session(
        table()["yolo-v2"], device="cpu", params={"darknet": str(tmp_path / "own.cfg")}
    )
    with pytest.raises(EngineError, match=words):
        session.open()
