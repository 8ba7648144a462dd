"""Curves of motion transfer over a clip: normalisation, quality, and how far it is from known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engines.nn.dance_baselines import baselines, nearest_pose, restlessness
from engines.nn.dance_clips import Clip
from engines.nn.picture_scores import psnr, ssim
from engines.nn.pose_normalisation import Floor, Normalised, measured
from explorer.api import Artefact, Curve

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


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
    """Against the true frames, beside what needs no learning; and how restless the film is."""
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
    films = np.stack([restlessness(made), restlessness(truth)])
    yield Curve(
        "quality/change from frame to frame", x[1:], films, series=("generated", "true"),
        x_label="frame", note=f"means {films[0].mean():.4f} and {films[1].mean():.4f}", step=step,
    )  # fmt: skip


def warning_curve(driving: Floats, training: Floats, usual: float, first: int, step: int) -> Curve:
    """How far each driving pose is from the nearest that was learnt from.

    Args:
        usual: distance beyond which a pose is unlike any training pose, as `usual_distance` says.
    """
    _, away = nearest_pose(driving, training)
    beyond = int((away > usual).sum())
    note = f"{beyond} of {len(away)} frames lie farther from any training pose than usual"
    if not beyond:
        note = (
            "every driving pose is about as near to the training poses as those are to each other"
        )
    return Curve(
        "quality/distance to the nearest training pose", np.arange(first, first + len(away)), away,
        x_label="frame", unit="px", marks={"usual": usual}, note=note, step=step,
    )  # fmt: skip


def usual_distance(poses: Floats, length: int) -> float:
    """The 99th percentile of how far poses of one training clip are from those of the others.

    Args:
        poses: clips of ``length`` frames, one behind the other, at least two.
    """
    clips = poses.reshape(-1, length, *poses.shape[1:])
    away = [
        nearest_pose(clip[::10], np.concatenate([c for j, c in enumerate(clips) if j != i]))[1]
        for i, clip in enumerate(clips)
    ]
    return float(np.percentile(np.concatenate(away), 99))


def filled(values: Floats) -> Floats:
    """Gaps bridged by straight lines: a curve is drawn through frames without a measure."""
    known = ~np.isnan(values)
    at = np.arange(len(values))
    return np.asarray(np.interp(at, at[known], values[known]))
