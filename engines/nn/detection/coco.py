"""COCO's way of measuring detectors: AP over an annotated folder, results as JSON records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from engines.nn.detection.average_precision import AREAS, AveragePrecision, Found, Gathered
from engines.nn.detection.coco_annotations import (
    Annotations,
    Picture,
    annotation_file,
    areas_of,
    read_annotations,
    truths_of,
)
from engines.nn.detection.keypoint_similarity import MOST, POINT_AREAS, point_overlaps
from engines.nn.detection.shapes import CORNERS, SQUARE, Scene
from explorer.api import (
    Artefact,
    Boxes,
    EngineError,
    Host,
    ImageInput,
    Text,
    encoded_mask,
    result_records,
)

Detect = Callable[[ImageInput], Sequence[Any]]
FEW = 20  # classes, up to which each has a figure of its own
THIRDS = ("smallest third", "middle third", "largest third")


@dataclass(frozen=True, slots=True)
class PointRule:
    """The class whose keypoints are compared, and how far each point may lie off.

    ``sigmas`` (K,) are shares of the root of an object's area, as COCO's.
    """

    name: str
    sigmas: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Measure:
    """One thing that is compared: what its figures' names begin with, and what truths it needs."""

    before: str
    gathered: Gathered
    masks: bool = False
    points: int = 0


def evaluate_folder(
    host: Host,
    folder: Path,
    detect: Detect,
    names: Sequence[str] | None = None,
    *,
    masks: bool = False,
    points: PointRule | None = None,
    thirds: bool = False,
) -> Generator[Artefact, Any, Mapping[str, float]]:
    """AP by COCO's rule over the pictures of ``folder`` with its annotation file.

    Boxes that reach beyond a picture are cut to it, empty ones left out; missing and unreadable
    pictures are left out; classes that only one side knows are left out. Each is counted.

    Args:
        detect: from a picture to boxes (N, 4) in its pixels, scores (N,), class names (N,), then
            masks (N, H, W) where they are compared, then points (N, K, 3), NaN for objects of
            other classes, where those are.
        names: the classes that the detector knows, if not all of the file.
        masks: compare masks as well, where the annotations have them.
        points: compare the keypoints of this class as well, by their OKS.
        thirds: AP by thirds of the objects by area as well, for pictures that are not photos.

    Returns:
        Figures and counts by name. A Text ``evaluation/results`` before has COCO's result records.

    Raises:
        EngineError: no annotation file or one that is not right, no picture of it in the folder,
            or no class in common.
    """
    annotations = read_annotations(annotation_file(folder))
    chosen = _classes(annotations, names)
    index = {category: i for i, category in enumerate(chosen)}
    by_name = {annotations.categories[category]: category for category in chosen}
    counts: Counter[str] = Counter(pictures=0)
    counts["classes left out (unknown to one side)"] = len(annotations.categories) - len(chosen)
    areas = {**AREAS, **(_thirds(annotations, chosen) if thirds else {})}
    posing = None if points is None else index.get(by_name.get(points.name, -1))
    measures = _measures(len(chosen), areas, points, posing, masks=masks)
    records: list[dict[str, Any]] = []
    places = _places(folder)
    for at, picture in enumerate(annotations.pictures):
        host.progress(f"{picture.file}", at / len(annotations.pictures))
        photo = _read(host, folder, places, picture, counts)
        if photo is None:
            continue
        counts["pictures"] += 1
        boxes, scores, words, *rest = (_array(part) for part in detect(photo))
        known = np.array([word in by_name for word in words.tolist()], np.bool_)
        counts["detections of other classes"] += int((~known).sum())
        boxes, scores, words = (
            boxes.reshape(-1, 4)[known].astype(np.float64),
            scores[known],
            words[known],
        )
        stack = rest[0][known].astype(np.bool_) if masks else None
        spots = rest[-1][known].astype(np.float64) if points is not None else None
        categories = [by_name[word] for word in words.tolist()]
        labels = np.array([index[c] for c in categories], np.int64)
        found = Found(boxes, scores, labels, stack, spots)
        size = photo.pixels.shape[0], photo.pixels.shape[1]
        for one in measures:
            told = Counter[str]() if one.before else counts
            one.gathered.add(_truths(annotations, picture, size, index, told, one), found)
        records += result_records(picture.id, boxes, scores, categories, stack, spots)
        yield Boxes(f"evaluation/{picture.file}", boxes, scores, words.tolist())
    if not counts["pictures"]:
        raise EngineError(
            f"{folder.name}: none of the {len(annotations.pictures)} pictures that "
            f"{annotations.path.name} names is there and readable; put them beside it"
        )
    yield Text("evaluation/results", json.dumps(records))
    titles = [annotations.categories[c] for c in chosen]
    made: dict[str, float] = {}
    for one in measures:
        made |= _figures(one, titles)
    if thirds:
        made |= {f"{name}, area up to": areas[name][1] for name in THIRDS[:2]}
    return made | {name: float(count) for name, count in counts.items() if count}


def _measures(
    classes: int,
    areas: Mapping[str, tuple[float, float]],
    points: PointRule | None,
    posing: int | None,
    *,
    masks: bool,
) -> list[_Measure]:
    """What is compared, boxes first; ``posing`` is the class that has points."""
    made = [_Measure("", Gathered(range(classes), areas=areas))]
    if masks:
        made.append(_Measure("mask ", Gathered(range(classes)), masks=True))
    if points is not None and posing is not None:
        rule = partial(point_overlaps, sigmas=np.array(points.sigmas))
        gathered = Gathered((posing,), most=MOST, areas=POINT_AREAS, overlaps=rule)
        made.append(_Measure("keypoint ", gathered, points=len(points.sigmas)))
    return made


def _thirds(annotations: Annotations, categories: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Ranges of area that hold a third of the objects each."""
    areas = areas_of(annotations, categories)
    first, second = (float(v) for v in np.quantile(areas or [0.0], (1 / 3, 2 / 3)))
    top = AREAS["all"][1]
    return dict(zip(THIRDS, ((0.0, first), (first, second), (second, top)), strict=True))


def _classes(annotations: Annotations, names: Sequence[str] | None) -> list[int]:
    """The categories of the file that the detector knows, in order of their ids."""
    categories = annotations.categories
    chosen = sorted(c for c in categories if names is None or categories[c] in names)
    if not chosen:
        own, other = (", ".join(list(n)[:6]) for n in (names or (), categories.values()))
        raise EngineError(
            f"{annotations.path.name}: no class in common; the detector knows {own}; "
            f"the file has {other}"
        )
    return chosen


def _places(folder: Path) -> dict[str, Path]:
    """Pictures of the folder and its sub-folders by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: path for path in reversed(files)}


def _read(
    host: Host, folder: Path, places: Mapping[str, Path], picture: Picture, counts: Counter[str]
) -> ImageInput | None:
    """The picture, or None with its absence counted.

    Raises:
        EngineError: it has another size than the file says: every box would be wrong.
    """
    path = (folder / picture.file).resolve()
    if not path.is_file() or folder.resolve() not in path.parents:
        found = places.get(Path(picture.file).name)
        if found is None:
            counts["pictures missing"] += 1
            return None
        path = found
    try:
        photo = host.read_image(path)
    except ValueError:
        counts["pictures unreadable"] += 1
        return None
    height, width = photo.pixels.shape[:2]
    if picture.size is not None and picture.size != (height, width):
        said = f"{picture.size[1]} × {picture.size[0]}"
        raise EngineError(
            f"{picture.file} is {width} × {height} pixels, the annotations say {said}; "
            f"its boxes would lie wrong: put the picture in its own size"
        )
    return photo


def _truths(
    annotations: Annotations,
    picture: Picture,
    size: tuple[int, int],
    index: Mapping[int, int],
    counts: Counter[str],
    one: _Measure,
) -> Any:
    try:
        return truths_of(picture, size, index, counts, masks=one.masks, points=one.points)
    except ValueError as error:
        raise EngineError(f"{annotations.path.name}: {error}; mend the file") from error


def _figures(one: _Measure, titles: Sequence[str]) -> dict[str, float]:
    """AP and its relatives by name; what has no truths is left out."""
    gathered = one.gathered
    whole: AveragePrecision = gathered.figures()
    made = {"AP": whole.mean, "AP50": whole.at(0.5), "AP75": whole.at(0.75)}
    made |= {f"AP {area}": gathered.figures(area).mean for area in gathered.areas if area != "all"}
    made[f"AR{gathered.most}"] = whole.mean_recall
    if len(gathered.classes) <= FEW:
        made |= {f"AP of {titles[i]}": whole.of(i) for i in gathered.classes}
    return {one.before + name: value for name, value in made.items() if not np.isnan(value)}


def annotations_of(scenes: Mapping[str, Scene], names: Sequence[str]) -> dict[str, Any]:
    """Generated scenes by file name as an annotation file in COCO's format, corners included."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, (file, held) in enumerate(scenes.items(), 1):
        height, width = held.image.shape[:2]
        images.append({"id": image, "file_name": file, "height": height, "width": width})
        for box, label, mask, corners in zip(
            held.boxes, held.labels, held.masks, held.keypoints, strict=True
        ):
            x1, y1, x2, y2 = map(float, box)
            points = np.where(corners[:, 2:] > 0, [[1, 1, 2]], 0) * corners
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": encoded_mask(mask),
                    "keypoints": [round(float(v), 2) for v in points.reshape(-1)],
                    "num_keypoints": int((corners[:, 2] > 0).sum()),
                }
            )
    categories: list[dict[str, Any]] = [
        {"id": i, "name": name, "supercategory": "shape"} for i, name in enumerate(names, 1)
    ]
    categories[SQUARE] |= {"keypoints": list(CORNERS), "skeleton": [[1, 2], [2, 3], [3, 4], [4, 1]]}
    return {"images": images, "annotations": annotations, "categories": categories}


def _array(part: Any) -> npt.NDArray[Any]:
    return part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)
