"""Masks of the mask branch as artefacts: maps of all classes, and one pasted into the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.two_stage.class_tiles import tiles
from engines.nn.two_stage.mask_head import paste
from explorer.api import Affine, Artefact, FeatureMaps, Field, Masks, Scores

SHOWN = 12  # classes in a row of tiles, those with the surest cells


def instances(
    masks: Tensor, labels: Sequence[str], scores: Tensor, affine: Affine, threshold: float, *,
    missing: int = 0,
) -> Masks:  # fmt: skip
    """All masks (D, H, W) of a picture; ``missing`` detections have none yet."""
    note = f"resized to their boxes, then cut at {threshold:g}" if len(masks) else "no detection"
    if missing:
        note += f"; {missing} more get theirs in the next run"
    return Masks(
        "detections/masks", masks.cpu().numpy(), labels=list(labels), scores=array(scores),
        affine=affine, note=note,
    )  # fmt: skip


def instance(
    logits: Tensor, label: int, used: int, names: Sequence[str], box: Tensor, threshold: float,
    affine: Affine, size: tuple[int, int],
) -> Iterator[Artefact]:  # fmt: skip
    """The maps of one detection, class by class, and the used one on its way into the picture.

    Args:
        logits: (K, m, m). ``label``: the class of the box. ``used``: the map that is pasted.
        names: of the maps.
        box: (4,) in pixels of the network's input. ``affine`` leads to input pixels, ``size`` is
            (height, width) there.
    """
    x1, y1, x2, y2 = box.tolist()
    cells = logits.shape[-1]
    place = affine.after(Affine(max(x2 - x1, 1e-3) / cells, max(y2 - y1, 1e-3) / cells, x1, y1))
    yield FeatureMaps(
        "classes/logits", array(logits), labels=list(names), affine=place, unit="logit",
        note=f"unit {used}, {names[used]}, is used; the others learn nothing from this object",
    )  # fmt: skip
    chances = logits.sigmoid()
    shown = surest(chances, used)
    words = [names[k] for k in shown]
    yield tiles(
        "classes/sigmoid", array(chances[shown]), words, shown.index(used),
        note=f"each class by itself, black 0 to white 1; the box says {names[label]}",
    )  # fmt: skip
    above = (chances > threshold).float().mean((1, 2))
    yield Scores(
        "classes/cells above the threshold", array(above[shown]), labels=words,
        note="share of the map; classes do not compete, so they need not add up to 1",
    )  # fmt: skip
    picture = paste(chances[used], box, *size)
    yield Field(
        "pasted/probability", array(picture), scale="probability", affine=affine,
        note=f"{cells} × {cells} cells resized to the box, before the threshold",
    )  # fmt: skip
    cut = (picture > threshold).cpu().numpy()
    yield Masks(
        "pasted/after the threshold", cut[None], labels=[names[label]], affine=affine,
        note=f"{int(cut.sum())} pixels of the network's input above {threshold:g}",
    )  # fmt: skip


def surest(chances: Tensor, used: int) -> list[int]:
    """The maps (K, m, m) to show in the order of K: all, or those with the largest mean."""
    if len(chances) <= SHOWN:
        return list(range(len(chances)))
    best = chances.mean((1, 2)).topk(SHOWN).indices.tolist()
    return sorted({used, *best[: SHOWN - 1]} if used not in best else set(best))


def array(t: Tensor) -> npt.NDArray[np.float32]:
    """A tensor as an array of single precision."""
    values: npt.NDArray[np.float32] = t.detach().to("cpu", torch.float32).numpy()
    return values
