"""Motion transfer on clips of one's own: a target that is learnt, a source that drives it.

A step is a frame of the film; however long the film, only its last two frames are held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from engines.motion.dance_own_views import Piece, Quality, measured_by, measures, side_by_side
from engines.motion.dance_views import (
    Film,
    face_views,
    is_far,
    joints_of,
    judged_by,
    light,
    memory_views,
    usual_among,
    verdicts,
    warning_curve,
)
from engines.motion.dance_views import by_hand as hand_views
from engines.nn.loading import load_state
from engines.nn.motion.dance_baselines import nearest_pose
from engines.nn.motion.dance_clips import Clip, training_clip
from engines.nn.motion.dance_faces import Faces, face_side, faces_of
from engines.nn.motion.dance_learning import Material
from engines.nn.motion.dance_network import Dancer
from engines.nn.motion.footage import People, by_movenet, by_posenet, footage
from engines.nn.motion.limb_lengths import proportioned
from engines.nn.motion.movenet import MoveNet
from engines.nn.motion.own_people import (
    Cast,
    at_rate,
    brought,
    by_hand,
    cleaned,
    material,
    shaken,
    split,
)
from engines.nn.motion.pose_normalisation import median_window
from engines.nn.motion.posenet import PoseNet
from engines.nn.motion.stick_figures import draw
from explorer.api import (
    Artefact,
    EndOfStep,
    EngineError,
    Host,
    Image,
    Inputs,
    Outcome,
    Run,
    Text,
)

POSENET, MOVENET = "posenet", "movenet-lightning"
FINDERS = ("PoseNet", "MoveNet")
FINDERS_HELP = (
    "who finds them in your clips: PoseNet sees everybody, and whoever fills most is followed; "
    "MoveNet sees one person, more exactly"
)
FPS = 25.0  # of the rendered dancers
PARTS = 5  # of the target's clip: poses of one against those of the others are what is usual
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


class Maker(Protocol):
    """What the engine does frame by frame, whoever drives."""

    host: Host
    network: Dancer
    provenance: str

    def figure(self, pose: Floats, size: tuple[int, int], params: Any) -> Bytes:
        """The stick figure of a pose."""

    def next(self, film: Film, figure: Bytes, where: Faces, t: int, params: Any) -> None:
        """Make one more frame."""

    def dragged(self, poses: Floats, params: Any) -> Floats:
        """How far each joint (17, 2) was dragged by mouse in the first figure that is shown."""

    def knows(self, params: Any, clip: str) -> bool:
        """Whether the network has learnt this target: sha256 of a clip; "": the rendered dancer."""


def cast(maker: Maker, inputs: Inputs, slot: str, params: Any) -> Cast:
    """One of the clips, read and cleaned."""
    clip = footage(inputs[slot], params.side, params.most,
                   lambda: _people(maker.host, params.poses), maker.host.progress,
                   params.poses)  # fmt: skip
    return cleaned(clip, slot, params)


def lessons(
    maker: Maker, inputs: Inputs, params: Any
) -> tuple[Material, Material, tuple[int, ...]]:
    """What is learnt from, what is only measured, and lengths of the parts of the first."""
    if "target" not in inputs:
        raise EngineError(
            "a source alone teaches nothing: drop a clip of the person to learn as target"
        )
    learnt, held = split(cast(maker, inputs, "target", params))
    return material(learnt), material(held), learnt.lengths


def transferred(maker: Maker, inputs: Inputs, params: Any) -> Run:
    """A step a frame: source, figure, figure that drives, generated, true where it is known."""
    piece = _piece(maker, inputs, params)
    # The target's own frames lie where they should: medians of two parts of a clip would differ.
    normalised = params.normalise and piece.truth is None
    noisy = shaken(piece.source.poses, params.jitter, maker.host.seed)
    driving = replace(piece.source, poses=median_window(noisy, int(params.window)))
    if normalised and params.limbs:
        driving = replace(driving, poses=proportioned(driving.poses, piece.target.poses))
    way = brought(driving, piece.target, normalised=normalised)
    poses = by_hand(way.made.poses, way.anchors, params.size, params.lift)
    last = min(params.first + params.frames, len(poses))
    if params.first >= last:
        raise EngineError(
            f"source: the person is in {len(poses)} frames, so none is number {params.first}; "
            "lower first"
        )
    poses[..., :2] += maker.dragged(poses, params) * (poses[..., 2:] > 0)
    height, width = piece.target.size
    where = faces_of(poses, height, width, face_side(piece.target.poses, height, width))
    usual, away = _usual(piece.target.poses), np.zeros(0)
    film, quality = Film(), Quality.of(piece, maker.host.pause)
    for t in range(params.first, last):
        step = t - params.first
        maker.next(film, maker.figure(poses[t], (height, width), params), where, t, params)
        distance = nearest_pose(poses[[t]], piece.target.poses)[1]
        away = np.append(away, min(float(distance[0]), width))
        far = is_far(away[-1], usual)
        judged = _judged(maker, film, piece, t, params)
        yield from _row(maker, piece, t, film, step, params, far=far)
        if step == 0:
            yield from hand_views(film)
            yield Text("light/clips", "\n".join((measured_by(way, piece), *piece.remarks)))
        yield light(t, float(away[-1]), usual, step)
        if piece.truth is not None and params.faces and where.seen[t]:
            yield from face_views(film, where, t, piece.truth[t], step)
        if judged is not None:
            yield from verdicts(judged, step)
        quality.add(film, piece, where, poses[t], t)
        for kept in fields(film):
            del getattr(film, kept.name)[:-2]
        if t + 1 < last:
            yield EndOfStep()
    x = np.arange(params.first, last)
    yield from measures(piece, way, step)
    yield from quality.curves(x, step)
    yield warning_curve(away, usual, params.first, step)
    return Outcome()


def _people(host: Host, finder: str) -> People:
    if finder == "MoveNet":
        one = MoveNet()
        load_state(one, host.weights(MOVENET), MOVENET)
        return by_movenet(one, host.device)
    several = PoseNet()
    load_state(several, host.weights(POSENET), POSENET)
    return by_posenet(several, host.device)


def _piece(maker: Maker, inputs: Inputs, params: Any) -> Piece:
    """Without target the rendered dancer, without source the target's held-out frames."""
    if "target" not in inputs:
        clip: Clip = training_clip()
        target = Cast(clip.frames, clip.poses, (len(clip.frames),), FPS)
        source = at_rate(cast(maker, inputs, "source", params), FPS)
        return Piece(target, source, None)
    learnt, held = split(cast(maker, inputs, "target", params))
    sha256 = inputs["target"].sha256
    if "source" not in inputs:
        return Piece(learnt, held, held.frames, sha256)
    source = cast(maker, inputs, "source", params)
    return Piece(learnt, at_rate(source, learnt.fps), None, sha256)


def _row(
    maker: Maker, piece: Piece, t: int, film: Film, step: int, params: Any, *, far: bool
) -> Iterator[Artefact]:
    source, pose = piece.source.frames[t], piece.source.poses[t]
    note = "WARNING: unlike what was learnt" if far else maker.provenance
    if not maker.knows(params, piece.clip):
        note = "WARNING: this person is not learnt yet: train on the target"
    yield Image("input/generated", film.frames[-1], step=step, note=note)
    yield Image("frames/1 source", source, step=step)
    yield joints_of(pose, step)
    yield Image("frames/2 its figure", draw(pose, *piece.source.size), step=step,
                note="as it stands there")  # fmt: skip
    yield Image("frames/3 drives", film.figures[-1], step=step, note="where the target stands")
    yield Image("frames/4 generated", film.frames[-1], step=step, note=note)
    if piece.truth is not None:
        yield Image("frames/5 true", piece.truth[t], step=step, note="never trained on")
    yield Image(
        "film/side by side", step=step, fps=piece.target.fps,
        image=side_by_side([source, film.figures[-1], film.frames[-1]]),
        note="source | figure that drives | generated",
    )  # fmt: skip
    yield from memory_views(film, step)


def _judged(
    maker: Maker, film: Film, piece: Piece, t: int, params: Any
) -> list[list[Tensor]] | None:
    """What the discriminators say of the newest frame, where the truth is known."""
    if piece.truth is None:
        return None
    truth = np.asarray(piece.truth[[max(t - 1, params.first), t]])
    return judged_by(maker.network.discriminator, film, truth)


def _usual(poses: Floats) -> float:
    """How far poses of one fifth of the target's clip usually are from those of the others."""
    length = len(poses) // PARTS
    return usual_among(poses[: PARTS * length], length)
