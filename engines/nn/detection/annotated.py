"""What an annotation file says of the one picture that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engines.nn.detection.boxes import area, clip
from engines.nn.detection.coco_annotations import read_annotations
from explorer.api import ImageInput


@dataclass(frozen=True, slots=True)
class Annotated:
    """Boxes (T, 4) in input pixels, cut at the edges of the picture, and their labels (T,).

    ``empty`` further boxes have no area in the picture.
    """

    boxes: Tensor
    labels: Tensor
    empty: int = 0

    @property
    def words(self) -> str:
        """How many they are, and what was left out."""
        left_out = f"; {self.empty} without area in the picture left out" if self.empty else ""
        return f"{len(self.boxes)} annotated objects{left_out}"


def annotated(path: Path, photo: ImageInput, names: Sequence[str]) -> Annotated | None:
    """What the file says of ``photo``, which it knows by its name; None of another picture.

    Classes that are not among ``names`` and crowds are left out.

    Raises:
        EngineError: it is no annotation file, or something in it is wrong.
    """
    annotations = read_annotations(path)
    for picture in annotations.pictures:
        if Path(picture.file).name == Path(photo.name).name:
            rows = [
                (o.box, names.index(annotations.categories[o.category]))
                for o in picture.objects
                if not o.crowd and annotations.categories[o.category] in names
            ]
            boxes = torch.tensor([box for box, _ in rows]).reshape(-1, 4)
            boxes = clip(boxes, *photo.pixels.shape[:2])
            labels = torch.tensor([label for _, label in rows], dtype=torch.long)
            whole = area(boxes) > 0
            return Annotated(boxes[whole], labels[whole], int((~whole).sum()))
    return None
