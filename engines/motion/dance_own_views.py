"""What is shown of motion transfer between clips of one's own: the row, figures, curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from engines.motion.dance_views import Film, filled
from engines.nn.motion.bust import PAIRS, Bust
from engines.nn.motion.dance_baselines import mean_frame, nearest_pose
from engines.nn.motion.dance_faces import Faces
from engines.nn.motion.own_people import Brought, Cast
from engines.nn.motion.pose_normalisation import Floor, Normalised, measured
from engines.nn.picture_scores import psnr, ssim
from explorer.api import Artefact, Curve

TALLEST = 256  # rows that the film has at least, by whole factors
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Who is learnt, who drives, and the true frames where these are known.

    Attributes:
        target: what was learnt from. ``source``: what drives.
        truth: frames (T, H, W, 3) of the target in the source's poses.
        clip: sha256 of the target's clip; "" is the rendered dancer.
    """

    target: Cast
    source: Cast
    truth: Bytes | None
    clip: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of both clips."""
        return tuple(dict.fromkeys((*self.target.remarks, *self.source.remarks)))


def side_by_side(pictures: list[Bytes]) -> Bytes:
    """Pictures (H, W, 3) of any sizes in a row as high as the last, enlarged by a whole factor."""
    height, width = pictures[-1].shape[:2]
    row = np.concatenate([_fitted(picture, height, width) for picture in pictures], 1)
    factor = max(1, -(-TALLEST // height))
    enlarged: Bytes = row.repeat(factor, 0).repeat(factor, 1)
    return enlarged


def _fitted(picture: Bytes, height: int, width: int) -> Bytes:
    """Scaled into (height, width) with black bars; one that fits stays as it is."""
    if picture.shape[:2] == (height, width):
        return picture
    factor = min(height / picture.shape[0], width / picture.shape[1])
    size = (max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor)))
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    scaled = small[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    canvas[top : top + size[0], left : left + size[1]] = scaled
    return canvas


@dataclass(slots=True)
class Quality:
    """Figures of a film as it is made: against the truth, and from frame to frame.

    ``rows`` holds for each measure a line for each film, a number a frame. ``pause`` is called
    between two films.
    """

    mean: Bytes
    pause: Callable[[], None]
    rows: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    before: tuple[Bytes, Bytes] | None = None

    @classmethod
    def of(cls, piece: Piece, pause: Callable[[], None]) -> Quality:
        """Of the films that a piece will give."""
        return cls(mean_frame(piece.target.frames), pause)

    def add(self, film: Film, piece: Piece, where: Faces, pose: Floats, t: int) -> None:
        """Measure the newest frame."""
        made = film.frames[-1]
        true = made if piece.truth is None else np.asarray(piece.truth[t])
        if self.before is not None:
            pairs = {"generated": (made, self.before[0]), "true": (true, self.before[1])}
            for name, (now, then) in (
                pairs.items() if piece.truth is not None else (("generated", pairs["generated"]),)
            ):
                change = float(np.abs(now.astype(float) - then).mean() / 255)
                self._put("frame change", name, change)
        self.before = (made, true)
        if piece.truth is None:
            return
        nearest = int(nearest_pose(pose[None], piece.target.poses)[0][0])
        films = {
            "generated": made, "mean frame": self.mean, "last frame": piece.target.frames[-1],
            "nearest pose": piece.target.frames[nearest],
        }  # fmt: skip
        x, y = (int(v) for v in where.corners[t])
        head = (slice(y, y + where.side), slice(x, x + where.side))
        for name, frame in films.items():
            self.pause()
            self._put("PSNR", name, psnr(frame, true))
            self._put("SSIM", name, ssim(frame, true))
            self._put("PSNR of the head", name, psnr(frame[head], true[head]))
            self._put("SSIM of the head", name, ssim(frame[head], true[head]))

    def curves(self, x: npt.NDArray[np.int64], step: int) -> Iterator[Artefact]:
        """A curve for each measure; `x` are the frames of the film."""
        for name, lines in self.rows.items():
            values = np.array(list(lines.values()))
            means = ", ".join(f"{k} {v.mean():.4g}" for k, v in zip(lines, values, strict=True))
            yield Curve(
                f"quality/{name}", x[-values.shape[1] :], np.minimum(values, 99.0),
                series=tuple(lines), x_label="frame", unit="dB" if "PSNR" in name else "",
                note=f"means: {means}", step=step,
            )  # fmt: skip

    def _put(self, measure: str, film: str, value: float) -> None:
        self.rows.setdefault(measure, {}).setdefault(film, []).append(value)


def measured_by(way: Brought, piece: Piece) -> str:
    """How the poses were brought together, in words."""
    if piece.truth is not None:
        return "The target's own frames drive, those that were not learnt: nothing to normalise."
    if way.by == "nothing":
        return "The poses are not normalised: they keep their place in the picture."
    scale = f"{way.made.scale.min():.3g} to {way.made.scale.max():.3g}"
    if isinstance(way.source, Floor):
        return f"Both are seen from head to feet: normalised by toes and height, scale {scale}."
    return (
        f"No feet in view: normalised by the {way.by} (middle and distance, medians over the "
        f"clips), scale {scale}."
    )


def measures(piece: Piece, way: Brought, step: int) -> Iterator[Artefact]:
    """Row and size of what the clips were measured by, before and after; scale and shift."""
    x = np.arange(len(piece.source.poses))
    clips = {"source": piece.source.poses, "normalised": way.made.poses}
    item, size = "toe row", "height"
    if isinstance(way.source, Bust):
        item, size = f"row of the {way.by}", f"distance of the {way.by}"
    marks: Mapping[str, float] = {}
    if isinstance(way.target, Floor):
        marks = {"closest, target": way.target.maxtoe, "far end, target": way.target.horizon}
    elif isinstance(way.target, Bust):
        marks = {"target": way.target.y}
    rows = {name: _course(poses, way) for name, poses in clips.items()}
    for i, (name, at) in enumerate(((size, {}), (item, marks))):
        lines = {k: filled(v[i]) for k, v in rows.items() if not np.isnan(v[i]).all()}
        if lines:
            yield Curve(
                f"normalisation/{name}", x, np.stack(list(lines.values())), series=tuple(lines),
                x_label="frame", unit="px", marks=at, step=step,
            )  # fmt: skip
    made: Normalised = way.made
    yield Curve("normalisation/scale", x, made.scale, x_label="frame", step=step,
                note=f"by {way.by}")  # fmt: skip
    yield Curve("normalisation/shift", x, made.shift, x_label="frame", unit="px", step=step,
                note="rows downwards")  # fmt: skip


def _course(poses: Floats, way: Brought) -> tuple[Floats, Floats]:
    """Size and row (T,) of what the clips were measured by, NaN where it is not seen."""
    if not isinstance(way.source, Bust):
        return measured(poses)
    left, right = PAIRS[way.source.by]
    there = (poses[:, (left, right), 2] > 0).all(1)
    a, b = poses[:, left, :2], poses[:, right, :2]
    size = np.where(there, np.hypot(*(a - b).T), np.nan)
    return size, np.where(there, ((a + b) / 2)[:, 1], np.nan)
