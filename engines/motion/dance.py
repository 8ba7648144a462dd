"""Everybody Dance Now: one person is made to move as another does.

Chan, Ginosar, Zhou, Efros, "Everybody Dance Now", 2019. Without clips both people are rendered, so
that the frames that a transfer should show are known; with them see `dance_own`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.motion.dance_own import FINDERS, FINDERS_HELP, FPS, lessons, transferred
from engines.motion.dance_own_views import side_by_side
from engines.motion.dance_views import (
    Film,
    by_hand,
    face_views,
    is_far,
    joints_of,
    judged_by,
    light,
    memory_views,
    normalisation_curves,
    quality_curves,
    restless_curve,
    usual_distance,
    verdicts,
    warning_curve,
)
from engines.nn.loading import load_state
from engines.nn.motion.dance_baselines import nearest_pose
from engines.nn.motion.dance_clips import (
    DRIVES,
    Clip,
    Drive,
    drive,
    training_clip,
    training_figures,
)
from engines.nn.motion.dance_faces import Faces, face_side, faces_of, with_face
from engines.nn.motion.dance_learning import HELD, Material, learnt, pixels
from engines.nn.motion.dance_network import Dancer
from engines.nn.motion.dance_training import RATE, signed
from engines.nn.motion.dancers import FRAMES
from engines.nn.motion.limb_lengths import proportioned
from engines.nn.motion.own_people import shaken
from engines.nn.motion.pose_normalisation import (
    Floor,
    Normalised,
    floor_of,
    median_window,
    normalise,
)
from engines.nn.motion.posenet import JOINTS
from engines.nn.motion.stick_figures import LIMBS, draw, draw_all, thickness
from explorer.api import (
    Artefact,
    Checkpoint,
    Curve,
    EndOfStep,
    Engine,
    EngineError,
    Field,
    Image,
    Inputs,
    Keypoints,
    Matrix,
    Outcome,
    Run,
    Text,
    Training,
    knob,
)

WEIGHTS, OWN = "dancers", "own-dancer"
TAUGHT = "trained here,"  # how `learnt` begins to say where a network comes from
LIMB_NAMES = tuple(f"{JOINTS[a]} to {JOINTS[b]}" for a, b in LIMBS if not {a, b} & {1, 2, 3, 4})
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DanceParams:
    """Knobs."""

    motion: str = knob(
        DRIVES[0], choices=DRIVES, help="who drives: another person, or the target unseen till now"
    )
    first: int = knob(0, low=0, high=1_000_000, help="first frame of the motion that is shown")
    frames: int = knob(24, low=2, high=1_000_000, unit="frames", help="how many are made")
    moved: tuple[XY, ...] = knob(
        (), kind="points",
        help="joints dragged in the first figure, as from, to, from, to; each keeps its way to go",
    )  # fmt: skip
    normalise: bool = knob(True, help="bring the poses to the target's size and floor")
    limbs: bool = knob(
        False, help="normalise further than the paper: give the limbs the target's proportions too"
    )  # fmt: skip
    size: float = knob(1.0, low=0.5, high=2.0, step=0.01, help="factor about the toes, by hand")
    lift: float = knob(0.0, low=-20, high=20, step=0.5, unit="px", help="rows upwards, by hand")
    feedback: bool = knob(True, help="show the generator the frame that it made before")
    faces: bool = knob(True, help="correct the face with the residual of FaceGAN")
    jitter: float = knob(
        0.0, low=0, high=3, step=0.1, unit="px", help="noise on the joints, as pose networks have"
    )
    window: str = knob("1", choices=("1", "3", "5", "7", "9"), help="frames of the median")
    thick: float = knob(
        1.0, low=0.5, high=3, step=0.1, help="width of the limbs against that of the training"
    )
    drop: str = knob("none", choices=("none", *LIMB_NAMES), help="a limb that is not drawn")
    weights: str = knob(
        "trained here", choices=("trained here", "random", OWN), effect="build",
        help=f"random: nothing learnt yet; {OWN}: a file that was trained on a clip of yours",
    )  # fmt: skip
    side: int = knob(
        88, low=64, high=256, step=8, unit="px", when="inputs",
        help="longer side at which your clips are learnt and shown",
    )  # fmt: skip
    most: int = knob(
        3000, low=30, high=1_000_000, unit="frames", when="inputs",
        help="frames that are read of each of your clips",
    )  # fmt: skip
    poses: str = knob(
        FINDERS[0], choices=FINDERS, when="inputs", help=FINDERS_HELP
    )  # fmt: skip
    confidence: float = knob(
        0.3, low=0.05, high=0.95, step=0.01, when="inputs",
        help="from which a joint in your clips is believed",
    )  # fmt: skip
    clean: str = knob(
        "5", choices=("1", "3", "5", "7", "9"), when="inputs",
        help="frames of the median over the poses in your clips",
    )  # fmt: skip
    rate: float = knob(
        RATE, low=1e-6, high=1e-2, log=True, effect="live", when="training",
        help="learning rate of every Adam; it falls to 0 over the second half of either part",
    )  # fmt: skip
    batch: int = knob(
        4, low=1, high=32, when="training", unit="pairs", help="pairs of neighbouring frames a step"
    )
    train_steps: int = knob(
        1000, low=1, high=100_000, when="training", unit="steps", help="steps that teach the frames"
    )
    face_steps: int = knob(
        400, low=0, high=100_000, when="training", unit="steps",
        help="steps after these that teach the faces, with the frames as they are",
    )  # fmt: skip


class Dance(Engine[DanceParams]):
    """Both people are rendered, unless clips of a target or a source are given."""

    Params: ClassVar[type[Any]] = DanceParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Keypoints, Field, Matrix, Curve, Text)
    ready: ClassVar[str] = WEIGHTS  # that come with the program
    network: Dancer

    def build(self, params: DanceParams) -> nn.Module:
        """The dancer that was trained here, or one that has learnt nothing and says so."""
        network = Dancer()
        if params.weights == "random":
            network.start(self.host.generator())
            self.provenance = "untrained"
        else:
            name = OWN if params.weights == OWN else self.ready
            load_state(network, self.host.weights(name), name)
            self.provenance = ""
        return network

    def run(self, inputs: Inputs, params: DanceParams, memory: Any = None) -> Run:
        """A step a frame, from the source to the generated and the true one; curves at the end."""
        if inputs:
            return (yield from transferred(self, inputs, params))
        if params.first > FRAMES - 2:
            raise EngineError(f"the motion has {FRAMES} frames, numbered from 0; lower first")
        training, driven = training_clip(), drive(params.motion)
        height, width = training.frames.shape[1:3]
        goal = floor_of(training.poses, width)
        poses, floor, made = self._driving(driven, goal, params)
        where = faces_of(made.poses, height, width, face_side(training.poses, height, width))
        last = min(params.first + params.frames, len(poses))
        part = slice(params.first, last)
        usual, away = usual_distance(FRAMES), []
        film = Film()
        for t in range(params.first, last):
            step, truth = t - params.first, driven.truth.frames
            self.next(film, self.figure(made.poses[t], (height, width), params), where, t, params)
            judged = judged_by(
                self.network.discriminator, film, truth[[max(t - 1, params.first), t]]
            )
            away.append(float(nearest_pose(made.poses[[t]], training.poses)[1][0]))
            yield from self._row(t, driven, poses[t], film, params, far=is_far(away[-1], usual))
            if step == 0:
                yield from by_hand(film)
            yield light(t, away[-1], usual, step)
            if params.faces and where.seen[t]:
                yield from face_views(film, where, t, truth[t], step)
            yield from verdicts(judged, step)
            if t + 1 < last:
                yield EndOfStep()
        yield from normalisation_curves(poses, floor, made, training.poses, goal, step)
        yield from self._at_the_end(film, driven.truth, training, made.poses[part], params, step)
        yield warning_curve(np.array(away), usual, params.first, step)
        return Outcome()

    def _driving(
        self, driven: Drive, goal: Floor, params: DanceParams
    ) -> tuple[Floats, Floor, Normalised]:
        """The source's poses with their noise, their floor, and the poses that are drawn."""
        poses = shaken(driven.source.poses, params.jitter, self.host.seed)
        width = driven.source.frames.shape[2]
        floor = floor_of(poses, width)
        if params.normalise and params.limbs:
            own = proportioned(poses, training_clip().poses)
            made = normalise(own, floor_of(own, width), goal)
        else:
            made = normalise(poses, floor, goal if params.normalise else floor)
        clean = median_window(made.poses, int(params.window))
        toes = np.max(np.where(clean[:, 15:, 2] > 0, clean[:, 15:, 1], 0), axis=1)[:, None]
        middle = goal.width / 2
        clean[..., 0] = middle + params.size * (clean[..., 0] - middle)
        clean[..., 1] = toes + params.size * (clean[..., 1] - toes) - params.lift
        clean[..., :2] += dragged(clean[params.first], params.moved)
        clean[clean[..., 2] <= 0] = 0
        return poses, floor, Normalised(clean, params.size * made.scale,
                                        made.shift - params.lift, made.good)  # fmt: skip

    def dragged(self, poses: Floats, params: DanceParams) -> Floats:
        """How far each joint (17, 2) was dragged by mouse in the first figure that is shown."""
        return dragged(poses[params.first], params.moved)

    def knows(self, params: DanceParams, clip: str) -> bool:
        """Whether the network has learnt this target: sha256 of a clip; "": the rendered dancer."""
        taught = self.provenance.startswith(TAUGHT)
        return taught or params.weights == (OWN if clip else "trained here")

    def figure(self, pose: Floats, size: tuple[int, int], params: DanceParams) -> Bytes:
        """The stick figure of a pose, without the limb that is dropped."""
        dropped = [
            i for i, (a, b) in enumerate(LIMBS) if f"{JOINTS[a]} to {JOINTS[b]}" == params.drop
        ]
        return draw(pose, *size, half_width=params.thick * thickness(size[0]), without=dropped)

    def next(self, film: Film, figure: Bytes, where: Faces, t: int, params: DanceParams) -> None:
        """Make one more frame, in one pass as asked and the other way about the frame before."""
        x = signed(figure[None]).to(next(self.network.parameters()).device)
        nothing = torch.zeros_like(x)
        before = film.raw[-1] if film.raw else nothing
        otherwise = film.otherwise[-1] if film.otherwise else nothing
        shown, other = (before, nothing) if params.feedback else (nothing, otherwise)
        both: Tensor = self.network(torch.cat([x, x]), torch.cat([shown, other]))
        whole, residual = both[:1], None
        if params.faces and where.seen[t]:
            # The frame that is fed back is the uncorrected one, as the generator learnt.
            whole, residual = with_face(self.network.face, x, both[:1], where.corners[t],
                                        where.side)  # fmt: skip
        film.add(figure, x, shown, both, whole, residual)

    def _row(
        self, t: int, driven: Drive, pose: Floats, film: Film, params: DanceParams, *, far: bool
    ) -> Iterator[Artefact]:
        step, size = t - params.first, driven.source.frames.shape[1:3]
        unlike = "WARNING: unlike what was learnt" if far else self.provenance
        yield Image("input/generated", film.frames[-1], step=step, note=unlike)
        yield Image("frames/1 source", driven.source.frames[t], step=step, note=params.motion)
        yield joints_of(pose, step)
        yield Image("frames/2 its figure", draw(pose, *size), step=step, note="as it stands there")
        yield Image("frames/3 drives", film.figures[-1], step=step, note="where the target stands")
        yield Image("frames/4 generated", film.frames[-1], step=step, note=unlike or "made of 3")
        yield Image("frames/5 true", driven.truth.frames[t], step=step, note="never trained on")
        yield Image(
            "film/side by side", step=step, fps=FPS,
            image=side_by_side([
                driven.source.frames[t], film.figures[-1], film.frames[-1], driven.truth.frames[t],
            ]), note="source | figure that drives | generated | true",
        )  # fmt: skip
        yield from memory_views(film, step)

    def _at_the_end(
        self, film: Film, truth: Clip, training: Clip, driving: Floats, params: DanceParams,
        step: int,
    ) -> Iterator[Artefact]:  # fmt: skip
        true = truth.frames[params.first : params.first + len(film.frames)]
        films = {"generated": np.stack(film.frames)}
        yield from quality_curves(films["generated"], true, training, driving, params.first, step)
        other = pixels(torch.cat(film.otherwise))
        raw = pixels(torch.cat(film.raw))
        names = ("with feedback", "without feedback")
        pair = dict(zip(names if params.feedback else names[::-1], (raw, other), strict=True))
        yield restless_curve({name: pair[name] for name in names} | {"true": true},
                             params.first, step)  # fmt: skip

    def train(
        self, inputs: Inputs, params: DanceParams, resume: Checkpoint | None = None
    ) -> Training:
        """Pairs of neighbouring frames of the training motions; the held-out motion is measured.

        A target of one's own is learnt from in its place.
        """
        if inputs:
            ours, theirs, lengths = lessons(self, inputs, params)
            yield from learnt(self, ours, theirs, lengths, params, resume)
            return
        clip, held = training_clip(), drive("own skeleton").truth
        size = clip.frames.shape[1:3]
        material = Material(training_figures(), clip.frames, clip.poses)
        figures = draw_all(held.poses[:HELD], *size)
        unseen = Material(figures, held.frames[:HELD], held.poses[:HELD])
        lengths = (FRAMES,) * (len(clip.frames) // FRAMES)
        yield from learnt(self, material, unseen, lengths, params, resume)


def dragged(pose: Floats, moved: tuple[XY, ...]) -> Floats:
    """How far each joint (17, 2) of a pose (17, 3) was dragged, by pairs of from and to.

    The joint nearest to where a drag began goes to where it ended; later drags start from there. To
    a last place without a partner the nearest joint goes.
    """
    way = np.zeros((len(pose), 2))
    seen = pose[:, 2] > 0
    places = (*moved, moved[-1]) if len(moved) % 2 else moved
    for start, end in zip(places[::2], places[1::2], strict=True):
        if seen.any():
            away = np.where(seen, np.hypot(*(pose[:, :2] + way - start).T), np.inf)
            joint = int(away.argmin())
            way[joint] = np.array(end) - pose[joint, :2]
    return way
