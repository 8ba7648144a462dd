"""A training of motion transfer as it is watched: curves, held-out frames, checkpoints.

First the frames, then, with them as they are, the faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.nn.motion.dance_baselines import baselines
from engines.nn.motion.dance_faces import FaceLesson, Faces, face_side, faces_of, with_face
from engines.nn.motion.dance_network import Dancer
from engines.nn.motion.dance_training import Lesson, danced, pairs_of, signed, starts_of
from engines.nn.picture_scores import psnr, ssim
from engines.nn.training_log import History
from engines.nn.translation.pix2pixhd_training import halve, schedule
from explorer.api import Artefact, Checkpoint, Curve, Host, Image, Training

EVERY = 50  # steps between two measurements
HELD = 12  # held-out frames measured on the way
SHOWN = 6  # of them are shown
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Stick figures and frames (T, H, W, 3) of a clip, and its poses (T, 17, 3)."""

    figures: Bytes
    frames: Bytes
    poses: Floats


class Learner(Protocol):
    """What `learnt` asks of an engine."""

    host: Host
    network: Dancer
    provenance: str


@dataclass(slots=True)
class Course:
    """How a training went: terms of both losses, and (step, PSNR, SSIM) of both."""

    log: dict[str, History] = field(default_factory=dict)
    measured: list[tuple[float, ...]] = field(default_factory=list)
    faces: list[tuple[float, ...]] = field(default_factory=list)
    raw_face: tuple[float, ...] = ()  # PSNR and SSIM of the face without a correction

    def add(self, terms: dict[str, float]) -> None:
        """Note the terms of one step."""
        for name, value in terms.items():
            self.log.setdefault(name, History()).add(value)

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "log": {name: [h.values, h.stride, h.total, h.count] for name, h in self.log.items()},
            "measured": [list(row) for row in self.measured],
            "faces": [list(row) for row in self.faces],
            "raw face": list(self.raw_face),
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Course:
        """The reverse of `state`."""
        log = {name: History(*row) for name, row in state["log"].items()}
        rows = {
            name: [tuple(map(float, row)) for row in state[name]] for name in ("measured", "faces")
        }
        return cls(log, rows["measured"], rows["faces"], tuple(map(float, state["raw face"])))

    def score(self) -> dict[str, float]:
        """The newest figures by name."""
        found = dict(zip(("PSNR", "SSIM"), self.measured[-1][1:], strict=True))
        if self.faces:
            found |= dict(zip(("face PSNR", "face SSIM"), self.faces[-1][1:], strict=True))
        return found


@torch.enable_grad()
def learnt(
    engine: Learner, material: Material, held: Material, lengths: tuple[int, ...], params: Any,
    resume: Checkpoint | None,
) -> Training:  # fmt: skip
    """Teach the engine's networks; a Checkpoint ends every step.

    Args:
        material: of the clips of ``lengths``, one behind the other. ``held``: a clip that is only
            measured, of which the first `HELD` frames are taken.
        params: with ``rate`` (may change at every yield), ``batch``, ``train_steps``,
            ``face_steps`` and ``feedback``.
    """
    network, device = engine.network, engine.host.device
    if resume is None:
        network.start(engine.host.generator())
    network.requires_grad_(True)
    lesson = Lesson(network.generator, network.discriminator, feedback=params.feedback)
    on_faces = FaceLesson(network, feedback=params.feedback)
    course = Course()
    if resume is not None:
        network.load_state_dict(resume.state["network"])
        lesson.restore(resume.state["lesson"])
        on_faces.restore(resume.state["face lesson"])
        course = Course.restored(resume.state["course"])
    height, width = material.frames.shape[1:3]
    side = face_side(material.poses, height, width)
    faces = faces_of(material.poses, height, width, side)
    without = baselines(material.frames, material.poses, held.poses[:HELD])
    bars = {name: scores(film, held.frames[:HELD]) for name, film in without.items()}
    looks = Looks(network, held, bars, side, device)
    frames_only, steps = params.train_steps, params.train_steps + params.face_steps
    for step in range(lesson.steps + on_faces.steps + 1, steps + 1):
        starts = starts_of(step, lengths, params.batch)
        pairs = pairs_of(material.figures, material.frames, starts).to(device)
        if step <= frames_only:
            lesson.rate = params.rate * schedule(step, frames_only)
            course.add(lesson.step(pairs))
        else:
            on_faces.rate = params.rate * schedule(step - frames_only, params.face_steps)
            corners = np.stack([faces.corners[starts], faces.corners[np.array(starts) + 1]])
            course.add(on_faces.step(pairs, corners, side))
        engine.provenance = f"trained here, {step} steps"
        engine.host.progress(f"step {step} of {steps}", step / steps)
        if step in (frames_only, steps):
            # What is measured last is what ships, and what the faces are corrected on.
            halve(network.generator if step == frames_only else network)
        if step % EVERY == 0 or step in (1, frames_only, steps):
            for artefact in looks.at(step, course, params, faces=step > frames_only):
                params = yield artefact
        for artefact in looks.curves(step, course):
            params = yield artefact
        states = {"lesson": lesson.state(), "face lesson": on_faces.state()}
        params = yield _checkpoint(step, network, states, course)


@dataclass(slots=True)
class Looks:
    """Measures and shows a training on held-out frames."""

    network: Dancer
    held: Material
    bars: dict[str, tuple[float, float]]  # PSNR and SSIM of what needs no learning
    side: int
    device: torch.device

    def at(self, step: int, course: Course, params: Any, *, faces: bool) -> Iterator[Artefact]:
        """Measure the frames, or the faces once these are learnt, and show some."""
        figures, truth = self.held.figures[:HELD], self.held.frames[:HELD]
        film = made(self.network.generator, figures, self.device, feedback=params.feedback)
        if not faces:
            course.measured.append((float(step), *scores(film, truth)))
            note = "a motion that is never trained on"
            yield _rows("held-out/figure, generated, true", (figures, film, truth), step, note)
            return
        height, width = film.shape[1:3]
        where = faces_of(self.held.poses[:HELD], height, width, self.side)
        after = faced(self.network.face, figures, film, where, self.device)
        crops = [boxes_of(clip, where) for clip in (figures, film, after, truth)]
        course.raw_face = scores(crops[1], crops[3])
        course.faces.append((float(step), *scores(crops[2], crops[3])))
        note = "around the nose of a motion that is never trained on"
        yield _rows("held-out/face: figure, generated, corrected, true", crops, step, note)

    def curves(self, step: int, course: Course) -> Iterator[Artefact]:
        """The training so far."""
        for name in ("training/loss", "training/face loss"):
            of_faces = "face loss" in name
            log = {k: h for k, h in course.log.items() if ("face" in k) is of_faces}
            if not log:
                continue
            lines = [h.values or [h.total / max(h.count, 1)] for h in log.values()]
            stride = next(iter(log.values())).stride
            yield Curve(
                name, stride * np.arange(1, len(lines[0]) + 1), np.array(lines), series=tuple(log),
                log=True, step=step, note=f"each batch, mean of {stride} steps a point",
            )  # fmt: skip
        raw = {"without the correction": course.raw_face}
        for rows, words, bars in ((course.measured, "", self.bars), (course.faces, "face ", raw)):
            if not rows:
                continue
            at, *both = np.array(rows).T
            for i, (name, line) in enumerate(zip(("PSNR", "SSIM"), both, strict=True)):
                marks = {bar: values[i] for bar, values in bars.items()}
                yield Curve(
                    f"training/{words}{name}", at, line, marks=marks, step=step,
                    unit="dB" if name == "PSNR" else "",
                    note=f"{len(self.held.frames[:HELD])} held-out frames: {line[-1]:.3g}",
                )  # fmt: skip


@torch.no_grad()
def made(network: nn.Module, figures: Bytes, device: torch.device, *, feedback: bool) -> Bytes:
    """The film (T, H, W, 3) of a clip of stick figures."""
    return pixels(torch.cat(list(danced(network, signed(figures).to(device), feedback=feedback))))


@torch.no_grad()
def faced(
    face: nn.Module, figures: Bytes, film: Bytes, where: Faces, device: torch.device
) -> Bytes:
    """The film (T, H, W, 3) with its faces corrected; frames without a head stay."""
    found = film.copy()
    x, y = signed(figures).to(device), signed(film).to(device)
    for t in np.flatnonzero(where.seen):
        one = slice(t, t + 1)
        found[one] = pixels(with_face(face, x[one], y[one], where.corners[t], where.side)[0])
    return found


def pixels(frames: Tensor) -> Bytes:
    """Frames (T, 3, H, W) in [-1, 1] as (T, H, W, 3)."""
    bytes_ = ((frames.detach() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    found: Bytes = bytes_.permute(0, 2, 3, 1).cpu().numpy()
    return found


def boxes_of(film: Bytes, where: Faces) -> Bytes:
    """The crops (N, side, side, 3) of those frames in which the face is seen."""
    side = where.side
    at = [(t, *where.corners[t]) for t in np.flatnonzero(where.seen)]
    return np.array([film[t, y : y + side, x : x + side] for t, x, y in at], np.uint8)


def scores(film: Bytes, truth: Bytes) -> tuple[float, float]:
    """Mean PSNR and SSIM over the frames."""
    pairs = list(zip(film, truth, strict=True))
    return float(np.mean([psnr(*p) for p in pairs])), float(np.mean([ssim(*p) for p in pairs]))


def _rows(name: str, clips: Any, step: int, note: str) -> Image:
    """Some frames of each clip side by side, the clips below each other."""
    at = np.linspace(0, len(clips[0]) - 1, SHOWN).astype(int)
    rows = [np.concatenate(list(clip[at]), 1) for clip in clips]
    return Image(name, np.concatenate(rows), step=step, note=note)


def _checkpoint(step: int, network: Dancer, states: dict[str, Any], course: Course) -> Checkpoint:
    """Half precision to ship, full precision to go on from."""
    weights: dict[str, Tensor] = {
        name: value.detach().half().cpu() if value.is_floating_point() else value.cpu()
        for name, value in network.state_dict().items()
    }
    state = {**states, "network": network.state_dict(), "course": course.state()}
    return Checkpoint(step, weights, state, course.score())
