"""Everybody Dance Now on rendered dancers: one person is made to move as another does.

Chan, Ginosar, Zhou, Efros, "Everybody Dance Now", 2019. Both people are rendered, so the frames
that a transfer should show are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.motion.dance_views import (
    normalisation_curves,
    quality_curves,
    usual_distance,
    warning_curve,
)
from engines.nn.dance_clips import DRIVES, Drive, drive, training_clip, training_figures
from engines.nn.dance_learning import HELD, learnt
from engines.nn.dance_training import RATE, generator, signed
from engines.nn.dancers import FRAMES, SIDE
from engines.nn.pix2pixhd import GlobalGenerator, initialise
from engines.nn.pose_normalisation import (
    Floor,
    Normalised,
    floor_of,
    median_window,
    normalise,
)
from engines.nn.posenet import JOINTS, SKELETON
from engines.nn.stick_figures import LIMBS, draw, draw_all, thickness
from explorer.api import (
    Artefact,
    Checkpoint,
    Curve,
    EndOfStep,
    Engine,
    Image,
    Inputs,
    Keypoints,
    Outcome,
    Run,
    Training,
    knob,
)

LIMB_NAMES = tuple(f"{JOINTS[a]} to {JOINTS[b]}" for a, b in LIMBS if not {a, b} & {1, 2, 3, 4})
BODY = tuple(name for name in JOINTS if "eye" not in name and "ear" not in name)
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DanceParams:
    """Knobs."""

    motion: str = knob(
        DRIVES[0], choices=DRIVES, help="who drives: another person, or the target unseen till now"
    )
    first: int = knob(0, low=0, high=FRAMES - 2, help="first frame of the motion that is shown")
    frames: int = knob(24, low=2, high=FRAMES, unit="frames", help="how many are made")
    normalise: bool = knob(True, help="bring the poses to the target's size and floor")
    size: float = knob(1.0, low=0.5, high=2.0, step=0.01, help="factor about the toes, by hand")
    lift: float = knob(0.0, low=-20, high=20, step=0.5, unit="px", help="rows upwards, by hand")
    feedback: bool = knob(True, help="show the generator the frame that it made before")
    jitter: float = knob(
        0.0, low=0, high=3, step=0.1, unit="px", help="noise on the joints, as pose networks have"
    )
    window: str = knob("1", choices=("1", "3", "5", "7", "9"), help="frames of the median")
    thick: float = knob(
        1.0, low=0.5, high=3, step=0.1, help="width of the limbs against that of the training"
    )
    drop: str = knob("none", choices=("none", *LIMB_NAMES), help="a limb that is not drawn")
    joint: str = knob("right wrist", choices=BODY, help="which joint a click on the figure moves")
    at: tuple[float, float] | None = knob(
        None, kind="point", help="where that joint is held; nowhere: where it dances"
    )
    rate: float = knob(
        RATE, low=1e-6, high=1e-2, log=True, effect="live", when="training",
        help="learning rate of Adam for both networks",
    )  # fmt: skip
    batch: int = knob(
        4, low=1, high=32, when="training", unit="pairs", help="pairs of neighbouring frames a step"
    )
    train_steps: int = knob(
        1000, low=1, high=100_000, when="training", unit="steps", help="steps of a whole training"
    )


class Dance(Engine[DanceParams]):
    """Needs no input: both people are rendered."""

    Params: ClassVar[type[Any]] = DanceParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Keypoints, Curve)
    network: GlobalGenerator
    provenance = "untrained"  # until `learnt` says otherwise

    def build(self, params: DanceParams) -> nn.Module:
        """A generator that has learnt nothing yet."""
        network = generator()
        initialise(network, self.host.generator())
        return network

    def run(self, inputs: Inputs, params: DanceParams, memory: Any = None) -> Run:
        """A step a frame: source, figure, normalised figure, generated, true; curves at the end."""
        training, driven = training_clip(), drive(params.motion)
        goal = floor_of(training.poses, SIDE)
        poses, floor, made = self._driving(driven, goal, params)
        last = min(params.first + params.frames, FRAMES)
        shown = range(params.first, last)
        film: list[Bytes] = []
        before: Tensor | None = None
        for t in shown:
            figure = self._figure(made.poses[t], params)
            before = self._next(figure, before if params.feedback else None)
            film.append(pixels(before))
            yield from self._row(t, driven, poses[t], figure, film, params)
            if t + 1 < last:
                yield EndOfStep()
        step, part = len(shown) - 1, slice(params.first, last)
        driving = made.poses[part]
        yield from normalisation_curves(poses, floor, made, training.poses, goal, step)
        yield from quality_curves(
            np.stack(film), driven.truth.frames[part], training, driving, params.first, step
        )
        usual = usual_distance(training.poses, FRAMES)
        yield warning_curve(driving, training.poses, usual, params.first, step)
        return Outcome()

    def _driving(
        self, driven: Drive, goal: Floor, params: DanceParams
    ) -> tuple[Floats, Floor, Normalised]:
        """The source's poses with their noise, their floor, and the poses that are drawn."""
        poses = driven.source.poses.copy()
        seen = poses[..., 2] > 0
        noise = np.random.RandomState(self.host.seed % 2**32).normal(0, 1, poses[..., :2].shape)
        poses[..., :2] += params.jitter * noise * seen[..., None]
        floor = floor_of(poses, SIDE)
        made = normalise(poses, floor, goal if params.normalise else floor)
        clean = median_window(made.poses, int(params.window))
        toes = np.max(np.where(clean[:, 15:, 2] > 0, clean[:, 15:, 1], 0), axis=1)[:, None]
        clean[..., 0] = SIDE / 2 + params.size * (clean[..., 0] - SIDE / 2)
        clean[..., 1] = toes + params.size * (clean[..., 1] - toes) - params.lift
        if params.at is not None:
            clean[:, JOINTS.index(params.joint)] = (*params.at, 1.0)
        clean[~seen] = 0
        return poses, floor, Normalised(clean, params.size * made.scale,
                                        made.shift - params.lift, made.good)  # fmt: skip

    def _figure(self, pose: Floats, params: DanceParams) -> Bytes:
        dropped = [
            i for i, (a, b) in enumerate(LIMBS) if f"{JOINTS[a]} to {JOINTS[b]}" == params.drop
        ]
        thick = params.thick * thickness(SIDE)
        return draw(pose, SIDE, SIDE, half_width=thick, without=dropped)

    def _next(self, figure: Bytes, before: Tensor | None) -> Tensor:
        device = next(self.network.parameters()).device
        x = signed(figure[None]).to(device)
        held = torch.zeros_like(x) if before is None else before
        made: Tensor = self.network(torch.cat([x, held], 1))
        return made

    def _row(
        self, t: int, driven: Drive, pose: Floats, figure: Bytes, film: list[Bytes],
        params: DanceParams,
    ) -> Iterator[Artefact]:  # fmt: skip
        step = t - params.first
        yield Image("frames/1 source", driven.source.frames[t], step=step)
        yield Keypoints(
            "frames/1 source's joints", pose[None].astype(np.float32), labels=JOINTS,
            skeleton=SKELETON, step=step,
        )  # fmt: skip
        yield Image("frames/2 its figure", draw(pose, SIDE, SIDE), step=step)
        yield Image(
            "frames/3 figure that drives", figure, step=step, gestures={"pick": "at"},
            note=f"click to hold the {params.joint}",
        )  # fmt: skip
        yield Image("frames/4 generated", film[-1], step=step, note=self.provenance)
        yield Image(
            "frames/5 true", driven.truth.frames[t], step=step, note="rendered, never trained on"
        )
        empty = np.full_like(film[-1], 128)  # 0 as the generator sees it
        before = film[-2] if len(film) > 1 else empty
        yield Image("memory/frame before", before if params.feedback else empty, step=step,
                    note="what the generator is shown beside the figure")  # fmt: skip
        change = np.abs(film[-1].astype(int) - before).astype(np.uint8)
        yield Image("memory/change since then", change, step=step)

    def train(
        self, inputs: Inputs, params: DanceParams, resume: Checkpoint | None = None
    ) -> Training:
        """Pairs of neighbouring frames of the training motions; the held-out motion is measured."""
        frames = training_clip().frames
        held = drive("own skeleton").truth
        unseen = (draw_all(held.poses[:HELD], SIDE, SIDE), held.frames[:HELD])
        lengths = (FRAMES,) * (len(frames) // FRAMES)
        yield from learnt(self, (training_figures(), frames), unseen, lengths, params, resume)


def pixels(made: Tensor) -> Bytes:
    """The first frame of (1, 3, H, W) in [-1, 1] as (H, W, 3)."""
    found: Bytes = (
        ((made[0].detach() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        .permute(1, 2, 0).cpu().numpy()
    )  # fmt: skip
    return found
