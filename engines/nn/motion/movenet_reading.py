"""What MoveNet sees in a picture, in its pixels; on a clip it looks around the person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.nn.motion.movenet import SIDE, STRIDE, Joints
from engines.nn.motion.tracking import SEEN
from explorer.api import Affine, Preprocess, prepare

PREPROCESS = Preprocess(size=SIDE, fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3, fill=0.0)
MARGIN = 0.25  # of the pose's larger side, around it on each side, when it is followed


@dataclass(frozen=True, slots=True)
class Kept:
    """What the heads said, and where the network's 192 px lie in the picture."""

    joints: Joints
    affine: Affine
    size: tuple[int, int]
    window: tuple[int, int, int, int] | None


def looked(
    network: nn.Module,
    pixels: npt.NDArray[np.uint8],
    before: npt.NDArray[np.float64] | None,
    device: torch.device,
) -> Kept:
    """One pass over a picture (H, W, 3), around the pose (17, 3) of the frame before if any."""
    size = pixels.shape[0], pixels.shape[1]
    window = around(before, size)
    cut, shift = (pixels, Affine()) if window is None else cropped(pixels, window)
    x, affine = prepare(cut, PREPROCESS, device)
    return Kept(network(x), shift.after(affine), size, window)


def pose(kept: Kept) -> npt.NDArray[np.float64]:
    """The person (17, 3) as x, y, score, in pixels of the picture."""
    made = torch.cat([placed(kept.joints.points, kept), kept.joints.scores[:, None]], 1)
    found: npt.NDArray[np.float64] = made.double().numpy(force=True)
    return found


def placed(points: Tensor, kept: Kept) -> Tensor:
    """Places (17, 2) as y, x in cells, to x, y in pixels of the picture."""
    a = kept.affine
    scale = points.new_tensor([a.sx * STRIDE, a.sy * STRIDE])
    return points.flip(-1) * scale + points.new_tensor([a.tx, a.ty])


def around(
    before: npt.NDArray[np.float64] | None, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """A square window x1, y1, x2, y2 around the pose of the frame before; None: the whole picture.

    So as in the publisher's use on video; it may reach beyond the picture. It wants shoulders or
    hips, or else the person may be no person.
    """
    if before is None or before[[5, 6, 11, 12], 2].max() < SEEN:
        return None
    seen = before[before[:, 2] >= SEEN, :2]
    low, high = seen.min(0), seen.max(0)
    middle = (low + high) / 2
    half = float((high - low).max()) * (0.5 + MARGIN)
    if 2 * half >= max(size) or half < 8:
        return None
    x1, y1, x2, y2 = (round(float(v)) for v in (*(middle - half), *(middle + half)))
    return x1, y1, x2, y2


def cropped(
    pixels: npt.NDArray[np.uint8], window: tuple[int, int, int, int]
) -> tuple[npt.NDArray[np.uint8], Affine]:
    """The window of a picture, black beyond its edges, and where it lies."""
    x1, y1, x2, y2 = window
    height, width = pixels.shape[:2]
    made = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    made[top - y1 : bottom - y1, left - x1 : right - x1] = pixels[top:bottom, left:right]
    return made, Affine(tx=float(x1), ty=float(y1))
