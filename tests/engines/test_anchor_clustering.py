"""k-means over box sizes: against scikit-learn, the paper's distance by hand, bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import euclidean_distances

from engines.nn.detection.anchor_clustering import (
    as_cells,
    best,
    by_area,
    iterations,
    run_for,
    shape_iou,
    some,
    spread_start,
)
from engines.nn.detection.anchor_views import anchors_artefacts
from engines.nn.detection.box_sizes import BoxSizes, read_sizes
from explorer.api import Boxes, Curve, EngineError, Scatter, Text

SIDE = st.floats(0.01, 1.0)
CLOUD = st.lists(st.tuples(SIDE, SIDE), min_size=8, max_size=60, unique=True)


def blobs(seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    centres = np.array([[0.1, 0.2], [0.5, 0.3], [0.8, 0.9]])
    return np.clip(np.repeat(centres, 40, 0) + rng.normal(0, 0.03, (120, 2)), 0.01, 1.0)


def test_iou_of_shapes_by_hand() -> None:
    sizes = np.array([[2.0, 4.0], [1.0, 1.0]])
    others = np.array([[4.0, 2.0], [2.0, 4.0]])
    # 2x4 and 4x2 share 2x2: 4 / (8 + 8 - 4); 1x1 lies in both: 1 / 8.
    assert shape_iou(sizes, others) == pytest.approx(np.array([[1 / 3, 1.0], [1 / 8, 1 / 8]]))


def test_with_squared_distance_it_is_the_kmeans_of_scikit_learn() -> None:
    sizes = np.random.default_rng(1).uniform(0.02, 1.0, (400, 2))
    for k in (2, 5, 9):
        start = sizes[:k]
        ours = list(
            iterations(sizes, start, distance=lambda a, b: euclidean_distances(a, b, squared=True))
        )[-1]
        theirs = KMeans(k, init=start, n_init=1, tol=0, max_iter=100).fit(sizes)
        assert ours.centroids == pytest.approx(theirs.cluster_centers_, abs=1e-9)
        assert (ours.nearest == theirs.labels_).all()


@settings(max_examples=40, deadline=None)
@given(CLOUD)
def test_mean_iou_never_falls_as_k_grows(points: list[tuple[float, float]]) -> None:
    sizes = np.array(points)
    previous, before = None, 0.0
    for k in range(1, 7):
        found = best(run_for(sizes, k, previous))
        assert found.mean_iou >= before - 1e-12
        assert np.isfinite(found.centroids).all()
        previous, before = found.centroids, found.mean_iou
    assert best(run_for(sizes, len(points))).mean_iou == pytest.approx(1.0)


def test_an_empty_cluster_is_set_on_the_worst_covered_box() -> None:
    """Started twice from one box, the second centroid gets none; without re-seeding its mean is
    not a number."""
    sizes = blobs()
    run = list(iterations(sizes, np.array([[0.1, 0.2], [0.1, 0.2], [0.5, 0.3]])))
    assert run[1].reseeded == 1
    worst = sizes[shape_iou(sizes, run[0].centroids).max(1).argmin()]
    assert run[1].centroids[1] == pytest.approx(worst)
    assert np.isfinite(run[-1].centroids).all()
    assert len(np.unique(run[-1].nearest)) == 3
    assert by_area(run[-1].centroids) == pytest.approx(
        np.array([[0.1, 0.2], [0.5, 0.3], [0.8, 0.9]]), abs=0.02
    )


def test_the_distance_does_not_favour_large_boxes() -> None:
    """Paper, section 2: Euclidean distance gives large boxes more error; scaling all sizes down
    must leave 1 - IoU as it is."""
    sizes = blobs(2)
    start = spread_start(sizes, 3)
    large, small = (list(iterations(sizes * s, start * s))[-1] for s in (1.0, 0.01))
    assert (large.nearest == small.nearest).all()
    assert large.mean_iou == pytest.approx(small.mean_iou)


def test_too_few_distinct_sizes_are_told() -> None:
    with pytest.raises(EngineError, match=r"3 anchors want at least 3 boxes .* there are 2"):
        spread_start(np.array([[0.1, 0.1], [0.1, 0.1], [0.2, 0.1]]), 3)


def test_a_large_file_is_drawn_by_lot() -> None:
    sizes = np.random.default_rng(0).uniform(0.1, 1, (500, 2))
    assert some(sizes, 1000) is sizes
    drawn = some(sizes, 100)
    assert len(np.unique(drawn, axis=0)) == 100
    assert (some(sizes, 100) == drawn).all()


def coco(path: Path, boxes: list[Any], **sides: int) -> Path:
    """A COCO file of one picture; a box is x, y, width, height and perhaps "crowd"."""
    annotations = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": box[:4], "iscrowd": int(len(box) > 4)}
        for i, box in enumerate(boxes)
    ]
    image = {"id": 1, "file_name": "a.png", **(sides or {"width": 100, "height": 50})}
    data = {"images": [image], "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    path.write_text(json.dumps(data))
    return path


def test_a_coco_file_gives_shares_of_the_picture(tmp_path: Path) -> None:
    file = coco(tmp_path / "a.json", [
        [10, 10, 50, 20],
        [90, 10, 50, 20],  # 10 of its 50 px lie in the picture
        [200, 10, 50, 20],  # outside
        [10, 10, 0, 20],  # no area
        [0, 0, 100, 50, "crowd"],
    ])  # fmt: skip
    found = read_sizes(file)
    assert found.sizes == pytest.approx(np.array([[0.5, 0.4], [0.1, 0.4]]))
    assert (found.crowds, found.outside, found.clipped) == (1, 2, 1)
    assert "2 boxes, 1 cut at the edge" in found.words()


VOC = """<annotation><size><width>200</width><height>100</height></size>
<object><name>dog</name><bndbox><xmin>1</xmin><ymin>11</ymin><xmax>100</xmax><ymax>60</ymax>
</bndbox></object></annotation>"""


def test_a_voc_file_stands_for_its_folder(tmp_path: Path) -> None:
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text(VOC)
    found = read_sizes(tmp_path / "b.xml")
    assert found.sizes == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))  # 100 of 200, 50 of 100


BAD: dict[str, tuple[str, Any, str]] = {
    "no json": (".json", "{", "not readable as JSON"),
    "not utf-8": (".json", b"\xff\xfe{}", "not readable as JSON"),
    "a list": (".json", "[]", "needs the lists images, annotations, categories"),
    "no boxes": (".json", ([],), "has no boxes"),
    "no size": (".json", ([[0, 0, 1, 1]], {"width": 0, "height": 5}), "no width and height"),
    "three numbers": (".json", ([[0, 0, 1]],), "wanted four numbers"),
    "not a number": (".json", ([[0, 0, 1, float("nan")]],), "wanted four numbers"),
    "all outside": (".json", ([[200, 9, 2, 2]],), "none of the 1 boxes"),
    "no xml": (".xml", "<a>", "cannot be read"),
    "xml without size": (".xml", "<annotation/>", "size/width"),
    "a word for a corner": (".xml", VOC.replace(">11<", ">x<"), "bndbox/ymin: 'x' is no finite"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_file_is_one_line(tmp_path: Path, case: str) -> None:
    suffix, content, words = BAD[case]
    file = tmp_path / f"bad{suffix}"
    if isinstance(content, tuple):
        coco(file, content[0], **(content[1] if len(content) > 1 else {}))
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(EngineError, match=words) as caught:
        read_sizes(file)
    assert "\n" not in str(caught.value)


def test_what_is_shown() -> None:
    found = BoxSizes(blobs())
    made = list(anchors_artefacts(found, 3, grid=(13, 26), picture=(100, 200), step=2))
    steps = [a.step for a in made if type(a).__name__ != "EndOfStep"]
    assert steps == sorted(steps)
    assert steps[0] == 2
    last = {a.item: a for a in made if hasattr(a, "item")}
    cloud, curve = last["sizes"], last["mean IoU against k"]
    assert isinstance(cloud, Scatter)
    assert set(cloud.labels) == {
        "boxes of 1", "boxes of 2", "boxes of 3", "centroids before", "centroids now",
    }  # fmt: skip
    assert isinstance(curve, Curve)
    assert len(curve.x) == 10
    assert (np.diff(curve.y) >= -1e-12).all()
    boxes, cfg = last["boxes"], last["cfg"]
    assert isinstance(boxes, Boxes)
    assert boxes.scores.sum() == pytest.approx(1.0)
    middle = (boxes.boxes[:, :2] + boxes.boxes[:, 2:]) / 2
    assert middle == pytest.approx(np.array([[100.0, 50.0]] * 3))
    sides = (boxes.boxes[:, 2:] - boxes.boxes[:, :2]) / (200, 100)
    assert isinstance(cfg, Text)
    numbers = np.array(cfg.text.removeprefix("anchors = ").split(","), float).reshape(3, 2)
    assert numbers == pytest.approx(as_cells(sides, (13, 26)), rel=1e-3)
    assert numbers[:, 0] / 26 == pytest.approx([0.1, 0.5, 0.8], abs=0.02)


def test_without_the_film_all_is_one_step() -> None:
    made = list(anchors_artefacts(BoxSizes(blobs()), 2, grid=(8, 8), picture=(64, 64), film=False))
    assert len(made) == 5
    assert {a.step for a in made} == {0}
