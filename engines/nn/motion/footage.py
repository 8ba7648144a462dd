"""A clip of one person as motion transfer takes it: small frames in a file, a pose for each."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.motion.movenet import MoveNet
from engines.nn.motion.movenet_reading import looked, pose
from engines.nn.motion.pose_decoding import grids, several
from engines.nn.motion.pose_normalisation import one_person
from engines.nn.motion.posenet import PoseNet
from explorer.api import Affine, ClipInput, EngineError, Preprocess, prepare

POSE_SIDE = 257  # px that PoseNet sees
UNSEEN = 0.5  # score of a joint that a pose begins with
MULTIPLE, SMALLEST = 8, 32  # sides of the small frames: the generator halves them three times
KEPT = 4  # clips that are not read again

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
People = Callable[[Bytes], Floats]
"""Everybody in a picture (H, W, 3): poses (P, 17, 3) in its pixels."""
Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """Somebody in front of a camera.

    Attributes:
        frames: (T, H, W, 3), read-only, in a temporary file.
        poses: (T, 17, 3) in pixels of the frames, confidence 0 where that person is not seen.
        fps: frames a second.
        remarks: what a person should know of how it was read.
    """

    name: str
    frames: Bytes
    poses: Floats
    fps: float
    remarks: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.frames.shape[1], self.frames.shape[2]


_known: OrderedDict[tuple[str, int, int, str], Footage] = OrderedDict()


def footage(
    clip: ClipInput, side: int, most: int, people: Callable[[], People], progress: Progress,
    finder: str = "",
) -> Footage:  # fmt: skip
    """Read a clip frame by frame; the same file at the same size is not read twice.

    Args:
        side: of the longer side of the small frames. ``most``: frames that are read.
        people: makes what finds poses, when it is needed. ``finder``: its name.

    Raises:
        EngineError: no clip with an end, no frame or nobody in it, or no room for the small frames.
    """
    if getattr(clip, "live", True) or not hasattr(clip, "fps"):
        raise EngineError(
            f"{getattr(clip, 'name', 'this')} is no clip with an end; film one, save it as MP4 and "
            "drop that"
        )
    key = (clip.sha256, side, most, finder)
    if key not in _known:
        _known[key] = _read(clip, side, most, people(), progress)
        while len(_known) > KEPT:
            _known.popitem(last=False)
    _known.move_to_end(key)
    return _known[key]


def by_posenet(network: PoseNet, device: torch.device) -> People:
    """Everybody by PoseNet, in pixels of the picture."""
    how = Preprocess(POSE_SIDE, "letterbox", mean=(0.5,) * 3, std=(0.5,) * 3, fill=0.0)
    network.to(device).eval().requires_grad_(False)

    def people(pixels: Bytes) -> Floats:
        x, affine = prepare(pixels, how, device)
        found = several(grids(network(x)), threshold=UNSEEN)
        # The network counts from the middle of the first pixel, poses here from its corner.
        return _placed(found + np.array([0.5, 0.5, 0.0]), affine)

    return people


def by_movenet(network: MoveNet, device: torch.device) -> People:
    """The one person whom MoveNet sees, followed from frame to frame; pixels of the picture."""
    network.to(device).eval().requires_grad_(False)
    before: list[Floats | None] = [None]

    def people(pixels: Bytes) -> Floats:
        found = pose(looked(network, pixels, before[0], device))
        before[0] = found
        placed: Floats = found[None] + np.array([0.5, 0.5, 0.0])  # counted as PoseNet does
        return placed

    return people


def working_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width near ``side`` for the longer one, multiples of `MULTIPLE`."""
    scale = side / max(height, width) / MULTIPLE
    least = SMALLEST // MULTIPLE
    return (
        MULTIPLE * max(round(height * scale), least), MULTIPLE * max(round(width * scale), least)
    )  # fmt: skip


def filed(frames: Iterable[Bytes]) -> Bytes:
    """Frames (T, H, W, 3) in a file that goes with the array; at least one.

    Raises:
        EngineError: the disk is full.
    """
    shape: tuple[int, ...] = ()
    count = 0
    try:
        with tempfile.TemporaryFile(prefix="layerscope-frames-") as file:
            for frame in frames:
                shape = frame.shape
                file.write(np.ascontiguousarray(frame).data)
                count += 1
            file.flush()
            found: Bytes = np.memmap(file, np.uint8, "r", shape=(count, *shape))
    except OSError as error:
        raise EngineError(
            f"{count} small frames were written to {tempfile.gettempdir()}, then: "
            f"{error.strerror or error}; make room there, or read fewer frames"
        ) from error
    return found


def parts(good: npt.NDArray[np.bool_]) -> list[range]:
    """Runs of frames that follow one another, of those that are ``good`` (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [range(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _read(clip: ClipInput, side: int, most: int, people: People, progress: Progress) -> Footage:
    found: list[Floats] = []
    announced = min(len(clip), most)

    def small() -> Iterator[Bytes]:
        for i, pixels in enumerate(_frames(clip, most)):
            progress(f"{clip.name}: pose in frame {i + 1} of {announced}", (i + 1) / announced)
            size = working_size(pixels.shape[0], pixels.shape[1], side)
            x, affine = prepare(pixels, Preprocess(size, crop=1.0, scale=255.0))
            back = Affine(1 / affine.sx, 1 / affine.sy, -affine.tx / affine.sx,
                          -affine.ty / affine.sy)  # fmt: skip
            found.append(_placed(people(pixels), back))
            yield _bytes(x)

    try:
        frames = filed(small())
    except ValueError as error:  # of no frames there is no array
        if found:
            raise
        raise EngineError(f"{clip.name} has no frame; take another clip") from error
    try:
        poses, crowded = one_person(found)
    except ValueError as error:
        raise EngineError(
            f"{clip.name}: {error}, with head and shoulders at least and the face in light"
        ) from error
    remarks = tuple(_remarks(clip, found, poses, crowded, most))
    return Footage(clip.name, frames, poses, clip.fps, remarks)


def _frames(clip: ClipInput, most: int) -> Iterator[Bytes]:
    """As many frames as there are: a broken file ends earlier than it says."""
    for i in range(min(len(clip), most)):
        try:
            pixels = clip[i]
        except IndexError:
            return
        yield pixels


def _remarks(
    clip: ClipInput, found: list[Floats], poses: Floats, crowded: int, most: int
) -> Iterator[str]:
    count, whole = len(poses), len(clip)
    if count == most < whole:
        yield f"the first {count} of {whole} frames are read"
    unseen = int((poses[..., 2] <= 0).all(1).sum())
    if unseen:
        yield f"nobody, or not the same person, in {unseen} of {count} frames: left out"
    if crowded:
        largest = max(len(people) for people in found)
        yield (
            f"up to {largest} people in {crowded} of {count} frames; who fills most of "
            "the clip is taken"
        )
    if not getattr(clip, "steady", True):
        yield (
            "frames of unequal length; they are taken one by one, as if each lasted "
            f"1/{clip.fps:.3g} s"
        )


def _placed(poses: Floats, affine: Affine) -> Floats:
    """Poses (P, 17, 3) in pixels of the picture that ``affine`` leads to."""
    made: Floats = poses.copy()
    made[..., 0] = affine.sx * poses[..., 0] + affine.tx
    made[..., 1] = affine.sy * poses[..., 1] + affine.ty
    return made


def _bytes(x: Tensor) -> Bytes:
    """A picture (1, 3, H, W) in [0, 255] as (H, W, 3)."""
    pixels: Bytes = x[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return pixels
