"""What is shown of motion transfer: the film so far, its faces, its critic, and curves over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.motion.pix2pixhd import SCALE_NAMES, score_places
from engines.nn.motion.dance_baselines import baselines, nearest_pose, restlessness
from engines.nn.motion.dance_clips import Clip, training_clip
from engines.nn.motion.dance_faces import Faces
from engines.nn.motion.dance_learning import pixels
from engines.nn.motion.dance_training import Pairs, seen_by_critic, signed
from engines.nn.motion.pose_normalisation import Floor, Normalised, measured
from engines.nn.motion.posenet import JOINTS, SKELETON
from engines.nn.picture_scores import psnr, ssim
from engines.nn.translation.pix2pixhd import feature_matching
from explorer.api import Affine, Artefact, Curve, Field, Image, Keypoints, Matrix, Text

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
LOUDER = 4  # of a change of colours when it is shown


@dataclass(slots=True)
class Film:
    """What has been made so far, of each frame.

    Attributes:
        figures: (H, W, 3). ``frames``: with their faces corrected.
        inputs, before, raw, otherwise: (1, 3, H, W) in [-1, 1]: the figure, the frame that the
            generator was shown, what it made, and what it makes the other way about that frame.
        residuals: (1, 3, side, side), None where there was no face to correct.
    """

    figures: list[Bytes] = field(default_factory=list)
    frames: list[Bytes] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    before: list[Tensor] = field(default_factory=list)
    raw: list[Tensor] = field(default_factory=list)
    otherwise: list[Tensor] = field(default_factory=list)
    residuals: list[Tensor | None] = field(default_factory=list)

    def add(
        self, figure: Bytes, x: Tensor, before: Tensor, both: Tensor, whole: Tensor,
        residual: Tensor | None,
    ) -> None:  # fmt: skip
        """One more frame; ``both`` (2, 3, H, W) is as asked and the other way."""
        self.figures.append(figure)
        self.frames.append(pixels(whole)[0])
        self.inputs.append(x)
        self.before.append(before)
        self.raw.append(both[:1].detach())
        self.otherwise.append(both[1:].detach())
        self.residuals.append(None if residual is None else residual.detach())


def face_views(film: Film, where: Faces, t: int, truth: Bytes, step: int) -> Iterator[Artefact]:
    """The crop around the face before and after, what is added to it, and the true one."""
    x, y = (int(v) for v in where.corners[t])
    cut = (slice(y, y + where.side), slice(x, x + where.side))
    before, after = pixels(film.raw[-1])[0][cut], film.frames[-1][cut]
    residual = film.residuals[-1]
    assert residual is not None
    yield Image("face/1 generated", before, step=step, note=_nearness(before, truth[cut]))
    added = 127.5 * residual[0].mean(0).float().cpu().numpy()
    yield Field(
        "face/2 residual", added, scale="diverging", over=False, step=step,
        affine=Affine(tx=x, ty=y), note="what is added, mean of the colours in steps of 255",
    )  # fmt: skip
    yield Image("face/3 corrected", after, step=step, note=_nearness(after, truth[cut]))
    yield Image("face/4 true", truth[cut], step=step)


def critic_views(critic: nn.Module, film: Film, truth: Bytes, step: int) -> Iterator[Artefact]:
    """What the discriminators say of the last two frames, see `judged_by` and `verdicts`."""
    yield from verdicts(judged_by(critic, film, truth), step)


def judged_by(critic: nn.Module, film: Film, truth: Bytes) -> list[list[Tensor]]:
    """Features and scores of the last two frames as made (sample 0) and as they truly are (1).

    Args:
        truth: (2, H, W, 3). What is judged of ours has no corrected face, as in the training. Of
            the first frame a pair is made in which nothing moves.
    """
    device = film.raw[-1].device
    before = -min(2, len(film.raw))
    pairs = Pairs(film.inputs[before], film.inputs[-1], *signed(truth)[:, None].to(device))
    made = seen_by_critic(pairs, film.raw[before], film.raw[-1])
    both = torch.cat([made, seen_by_critic(pairs, pairs.y0, pairs.y1)])
    judged: list[list[Tensor]] = critic(both)
    return judged


def verdicts(judged: list[list[Tensor]], step: int) -> Iterator[Artefact]:
    """Score maps of both scales, made and true, and how far their features differ."""
    for name, features, affine in zip(SCALE_NAMES, judged, score_places(), strict=True):
        for i, whose in enumerate(("made", "true")):
            score = features[-1][i, 0].detach().float().cpu().numpy()
            yield Field(
                f"critic/{whose}, {name}", score, scale="diverging", affine=affine, step=step,
                note=f"mean {score.mean():.2f}; real 1, made 0",
            )  # fmt: skip
    parts = [[[f[i : i + 1] for f in scale] for scale in judged] for i in range(2)]
    table = feature_matching(*parts).detach().float().cpu().numpy()
    yield Matrix(
        "matching/features", table, rows=SCALE_NAMES, scale="sequential", step=step,
        columns=[f"layer {i}" for i in range(table.shape[1])],
        note=f"weighted mean |generated \u2212 true|; sum {table.sum():.3f}",
    )  # fmt: skip


def joints_of(pose: Floats, step: int) -> Keypoints:
    """The joints of a pose (17, 3) that are there, over the source."""
    seen = [int(j) for j in np.flatnonzero(pose[:, 2] > 0)]
    number = {joint: i for i, joint in enumerate(seen)}
    bones = [(number[a], number[b]) for a, b in SKELETON if a in number and b in number]
    return Keypoints(
        "frames/1 source's joints", pose[None, seen].astype(np.float32), skeleton=bones, step=step,
        labels=[JOINTS[j] for j in seen],
    )  # fmt: skip


def memory_views(film: Film, step: int) -> Iterator[Artefact]:
    """The frame that the generator was shown, and what has changed since the one before."""
    shown = pixels(film.before[-1])[0]
    yield Image("memory/frame before", shown, step=step, note="what the generator is shown")
    change = np.abs(film.frames[-1].astype(int) - film.frames[-min(2, len(film.frames))])
    louder = np.minimum(LOUDER * change, 255).astype(np.uint8)
    yield Image("memory/change", louder, step=step, note=f"× {LOUDER}; black is none")


def by_hand(film: Film) -> Iterator[Artefact]:
    """The first figure, to drag its joints, and what is made of it."""
    yield Image("hand/figure", film.figures[0], gestures={"drag": "moved+"},
                note="drag any joint")  # fmt: skip
    yield Image("hand/generated", film.frames[0], note="first frame of the film")


def is_far(away: float, usual: float) -> bool:
    """Whether a driving pose is unlike any that was learnt from."""
    return away > usual


def light(t: int, away: float, usual: float, step: int) -> Text:
    """The warning light of one frame, in words: is the driving pose like one that was learnt?"""
    far = is_far(away, usual)
    word, what = ("WARNING", ": nothing like it was learnt, expect smears") if far else ("Fine", "")
    rest = (
        f"frame {t}: the driving pose is {away:.2f} px from the nearest training pose; up to "
        f"{usual:.2f} px is usual{what}"
    )
    return Text("light/driving pose", f"{word}: {rest}", step=step)


def normalisation_curves(
    source: Floats, floor: Floor, made: Normalised, target: Floats, goal: Floor, step: int
) -> Iterator[Artefact]:
    """Toe rows and heights before and after, and the change of each frame, over whole clips."""
    count = len(source)
    x = np.arange(count)
    clips = [measured(poses[:count]) for poses in (source, made.poses, target)]
    names = ("source", "normalised", "target in training")
    for i, item in enumerate(("height", "toe row")):
        marks = {"closest, target": goal.maxtoe, "far end, target": goal.horizon}
        marks |= {"closest, source": floor.maxtoe, "far end, source": floor.horizon}
        yield Curve(
            f"normalisation/{item}", x, np.stack([filled(clip[i]) for clip in clips]),
            series=names, x_label="frame", unit="px", marks=marks if item == "toe row" else {},
            step=step,
        )  # fmt: skip
    yield Curve(
        "normalisation/scale", x, made.scale, x_label="frame", step=step,
        note="about the toes of each frame",
    )  # fmt: skip
    yield Curve(
        "normalisation/shift", x, made.shift, x_label="frame", unit="px", step=step,
        note="rows that the toes move down",
    )  # fmt: skip


def quality_curves(
    made: Bytes, truth: Bytes, training: Clip, driving: Floats, first: int, step: int
) -> Iterator[Artefact]:
    """Against the true frames, beside what needs no learning."""
    x = np.arange(first, first + len(made))
    shown = {"generated": made, **baselines(training.frames, training.poses, driving)}
    for name, measure, unit in (("PSNR", psnr, "dB"), ("SSIM", ssim, "")):
        rows = [[measure(a, b) for a, b in zip(film, truth, strict=True)]
                for film in shown.values()]  # fmt: skip
        means = ", ".join(
            f"{label} {np.mean(line):.2f}" for label, line in zip(shown, rows, strict=True)
        )
        yield Curve(
            f"quality/{name}", x, np.array(rows), series=tuple(shown), x_label="frame", unit=unit,
            note=f"means: {means}", step=step,
        )  # fmt: skip


def restless_curve(films: Mapping[str, Bytes], first: int, step: int) -> Curve:
    """Mean absolute change from frame to frame of each film, colours in [0, 1]."""
    rows = np.stack([restlessness(film) for film in films.values()])
    means = ", ".join(f"{name} {row.mean():.4f}" for name, row in zip(films, rows, strict=True))
    return Curve(
        "quality/frame change", np.arange(first + 1, first + 1 + rows.shape[1]),
        rows, series=tuple(films), x_label="frame", note=f"means: {means}", step=step,
    )  # fmt: skip


def warning_curve(away: Floats, usual: float, first: int, step: int) -> Curve:
    """How far each driving pose is from the nearest that was learnt from.

    Args:
        usual: distance beyond which a pose is unlike any training pose, as `usual_distance` says.
    """
    beyond = int((away > usual).sum())
    note = f"WARNING: {beyond} of {len(away)} frames are farther than usual from what was learnt"
    if not beyond:
        note = "fine: to the nearest pose that was learnt from"
    return Curve(
        "quality/pose distance", np.arange(first, first + len(away)), away,
        x_label="frame", unit="px", marks={"usual": usual}, note=note, step=step,
    )  # fmt: skip


@cache
def usual_distance(length: int) -> float:
    """`usual_among` the clips of ``length`` frames that were learnt from."""
    return usual_among(training_clip().poses, length)


def usual_among(poses: Floats, length: int) -> float:
    """The 99th percentile of how far poses of one clip are from those of the others.

    Args:
        poses: clips of ``length`` frames, one behind the other, at least two.
    """
    clips = poses.reshape(-1, length, *poses.shape[1:])
    away = [
        nearest_pose(clip[::10], np.concatenate([c for j, c in enumerate(clips) if j != i]))[1]
        for i, clip in enumerate(clips)
    ]
    return float(np.percentile(np.concatenate(away), 99))


def _nearness(crop: Bytes, truth: Bytes) -> str:
    return f"PSNR {min(psnr(crop, truth), 99):.1f} dB, SSIM {ssim(crop, truth):.2f}"


def filled(values: Floats) -> Floats:
    """Gaps bridged by straight lines: a curve is drawn through frames without a measure."""
    known = ~np.isnan(values)
    at = np.arange(len(values))
    return np.asarray(np.interp(at, at[known], values[known]))
