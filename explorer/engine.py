"""The contract between engines and explorer: a network and a generator of artefacts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.inputs import ClipInput as ClipInput  # the names stay importable from here
from explorer.inputs import FileInput as FileInput
from explorer.inputs import FolderInput as FolderInput
from explorer.inputs import ImageInput as ImageInput
from explorer.inputs import Input as Input
from explorer.inputs import Inputs as Inputs
from explorer.inputs import Pixels as Pixels
from explorer.inputs import TextInput as TextInput
from explorer.kinds import Affine, Artefact

P = TypeVar("P")


class EngineError(RuntimeError):
    """An engine cannot go on, for a reason that a person can mend: cause and remedy."""


class WeightsMissing(EngineError):
    """Weights that must be fetched first; ``name`` is their name in the weight catalogue."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Cancelled(BaseException):
    """Raised inside a network to stop it; a BaseException so that no engine swallows it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``run`` may return: ``memory`` for the next frame, ``kept`` for ``again``."""

    memory: Any = None
    kept: Any = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A resumable state of a training run.

    ``weights`` is what a finished training ships. ``state`` is whatever else a resume needs
    (optimiser, step, ...), nested dicts and lists of tensors and plain values; the session adds
    knobs and random states. ``score`` is the held-out figure at this step, if known.
    """

    step: int
    weights: Mapping[str, Tensor]
    state: Mapping[str, Any] = field(default_factory=dict)
    score: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndOfStep:
    """Yielded after the last artefact of a step when another step follows: it is shown at once.

    Without it a step is known to be over only when the next one's first artefact comes, and a knob
    or a cancel acts a step later. An engine whose steps take time yields it.
    """


class Host(Protocol):
    """What a running engine may ask of its session."""

    @property
    def device(self) -> torch.device:
        """Where the network runs."""

    @property
    def seed(self) -> int:
        """The session's seed."""

    def weights(self, name: str) -> dict[str, Tensor]:
        """Tensors of a catalogue entry, verified; noted as this network's provenance.

        Raises:
            WeightsMissing: they are not here yet; the message has the command that fetches them.
        """

    def has_weights(self, name: str) -> bool:
        """Whether ``weights(name)`` would succeed without a download."""

    def progress(self, text: str, fraction: float | None = None) -> None:
        """Tell the person what takes time; also a place where a cancel takes effect."""

    def pause(self) -> None:
        """Called every few milliseconds in long work of Python alone.

        A cancel takes effect, and a window that draws goes first: both need the interpreter.
        """

    def read_image(self, path: Path) -> ImageInput:
        """Read a picture of a folder that is being evaluated.

        Raises:
            ValueError: it is no readable picture; one line with cause and remedy.
        """

    def generator(self) -> torch.Generator:
        """A fresh CPU random generator, seeded with the session's seed."""


Run = Generator[Artefact | EndOfStep, Any, Outcome | None]
Training = Generator[Artefact | EndOfStep | Checkpoint, Any, None]


class Engine(Generic[P]):
    """One system of the literature.

    Class attributes:
        Params: the frozen dataclass of knobs.
        emits: the kinds that ``run`` and ``train`` yield.
        warm_up: frames to run before a sought frame, to fill the memory.
        random: the output depends on random numbers beyond ``seed`` knobs.
        optimises: ``run`` is an optimisation, step by step, until stopped.
        categories: published numbers of a detector's classes, for files of results.
        replays: a part of the network whose output is known need not run again below an edit; False
            where the engine looks into parts while they run.
        layout: how maps lie in memory on a CPU. NHWC makes depthwise convolution and pooling 1.1 to
            2.6 times as fast; ``view`` of a map may then fail where ``reshape`` does not.
        fuses: on a clip, convolutions may run as one with the padding, norm and activation around
            them where nobody looks in between, equal to 2e-5 of the range. To be set where that is
            quicker, ``run`` takes no gradients and puts no module in the place of another.
    """

    Params: ClassVar[type[Any]]
    emits: ClassVar[tuple[type[Artefact], ...]] = ()
    warm_up: ClassVar[int] = 0
    optimises: ClassVar[bool] = False
    replays: ClassVar[bool] = True
    layout: ClassVar[Literal["NCHW", "NHWC"]] = "NCHW"
    fuses: ClassVar[bool] = False

    host: Host
    network: nn.Module
    provenance: str = ""  # where the weights come from, when not from the weight catalogue
    remarks: tuple[str, ...] = ()  # what a person should know about this network, a line each
    categories: Mapping[str, int] = {}

    def described(self) -> Mapping[str, Any]:
        """Fields of the catalogue row (``inputs``, ``sample``, ``points``) that are known only once
        the network is built; the window and the command line go by them from then on."""
        return {}

    def channels_last(self, point: str) -> bool:
        """Whether the four axes of what this module returns are (N, H, W, C)."""
        return False

    def build(self, params: P) -> nn.Module:
        """Make the network and load its weights through ``self.host.weights(name)``.

        The session moves it to the device, puts it in eval mode and stores it as ``self.network``.
        """
        raise NotImplementedError

    def run(self, inputs: Inputs, params: P, memory: Any = None) -> Run:
        """Yield artefacts of one frame (or of every step of one optimisation or sequence).

        Every ``yield`` gives back the Params as they are then: ``params = yield artefact``.
        """
        raise NotImplementedError

    def again(self, kept: Any, params: P) -> Iterator[Artefact]:
        """Post-process ``Outcome.kept`` with changed knobs, without calling the network."""
        raise NotImplementedError

    def train(self, inputs: Inputs, params: P, resume: Checkpoint | None = None) -> Training:
        """Train the network; yield curves and samples, and now and then a Checkpoint."""
        raise NotImplementedError

    def evaluate(self, folder: Path, params: P) -> Generator[Artefact, Any, Mapping[str, float]]:
        """The field's metric over an annotated folder; returns metric name to value."""
        raise NotImplementedError


class Probe(nn.Identity):
    """A capture point for an inner tensor that no module returns: ``A = self.attention(A)``."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How one checkpoint wants its pictures.

    Attributes:
        size: side (or height, width) of the network input; None keeps the picture's own size.
        fit: ``crop`` (short side to ``size / crop``, then the centre), ``stretch``, ``letterbox``
            (long side to ``size``, grey bars) or ``short`` (short side to ``size``, nothing cut).
        mean, std: subtracted and divided after scaling to [0, ``scale``].
        order: of the channels. ``scale``: 1 or 255.
        multiple: pad right and bottom to a multiple of this many pixels.
    """

    size: int | tuple[int, int] | None = 224
    fit: str = "crop"
    crop: float = 0.875
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    order: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    multiple: int = 1
    fill: float = 0.5


FITS = ("crop", "stretch", "letterbox", "short")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def prepare(
    image: Pixels, how: Preprocess, device: torch.device | str = "cpu"
) -> tuple[Tensor, Affine]:
    """Turn a picture (H, W, 3) uint8 into a batch (1, 3, h, w) float32, and say where it lies.

    The affine leads from tensor pixels to picture pixels (continuous, half-pixel centres).
    """
    height, width = image.shape[:2]
    target = (how.size, how.size) if isinstance(how.size, int) else how.size
    new_h, new_w = resized(height, width, target, how)
    # Inputs are read-only once they were shown; torch wants memory that it may write.
    pixels = torch.from_numpy(np.array(image, order="C")).to(device)
    x = pixels.permute(2, 0, 1).unsqueeze(0)
    if (new_h, new_w) != (height, width):
        x = F.interpolate(x, (new_h, new_w), mode="bilinear", antialias=True)
    x = x.float()
    left = top = 0
    if target is not None and how.fit in ("crop", "letterbox"):
        # Negative padding crops, positive padding adds bars: one call for both fits.
        top, left = (target[0] - new_h) // 2, (target[1] - new_w) // 2
        pad = (left, target[1] - new_w - left, top, target[0] - new_h - top)
        x = F.pad(x, pad, value=255.0 * how.fill)
    down, right = -x.shape[2] % how.multiple, -x.shape[3] % how.multiple
    if down or right:
        x = F.pad(x, (0, right, 0, down), value=255.0 * how.fill)
    if how.order == "BGR":
        x = x.flip(1)
    x = _normalised(x, how)  # of our own memory since `float`
    sx, sy = width / new_w, height / new_h
    affine = Affine(sx, sy, -left * sx, -top * sy)
    place(x, affine).layerscope_prepared = (image, how)  # type: ignore[attr-defined]
    return x, affine


def _normalised(x: Tensor, how: Preprocess) -> Tensor:
    """``x`` (1, 3, h, w) of 0 to 255 scaled, less the mean, over the deviation; in place."""
    if how.scale != 255.0:
        x.mul_(how.scale / 255.0)
    if any(how.mean):
        x.sub_(torch.tensor(how.mean, device=x.device).view(1, 3, 1, 1))
    if any(std != 1.0 for std in how.std):
        x.div_(torch.tensor(how.std, device=x.device).view(1, 3, 1, 1))
    return x


def unprepare(x: Tensor, how: Preprocess) -> Pixels:
    """The picture (h, w, 3) uint8 of a tensor (1, 3, h, w) made by `prepare`, clamped."""
    mean = torch.tensor(how.mean, device=x.device).view(3, 1, 1)
    std = torch.tensor(how.std, device=x.device).view(3, 1, 1)
    y = (x.detach()[0] * std + mean) * (255.0 / how.scale)
    if how.order == "BGR":
        y = y.flip(0)
    pixels: Pixels = y.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return pixels


def place(x: Tensor, affine: Affine) -> Tensor:
    """Note on a network input where its pixels lie in the picture: probes and cursors link."""
    x.layerscope_affine = affine  # type: ignore[attr-defined]
    return x


def placed(x: Tensor) -> Affine | None:
    """The affine that `place` noted, if any."""
    return getattr(x, "layerscope_affine", None)


def prepared_from(x: Tensor) -> tuple[Pixels, Preprocess] | None:
    """The picture that `prepare` made this very tensor of, and how; a proof does it once more."""
    return getattr(x, "layerscope_prepared", None)


def resized(
    height: int, width: int, target: tuple[int, int] | None, how: Preprocess
) -> tuple[int, int]:
    """(height, width) that a picture takes before it is cut or padded to ``target``."""
    if how.fit not in FITS:
        raise ValueError(f"Preprocess.fit is {how.fit!r}; it is one of {', '.join(FITS)}")
    if target is None:
        return height, width
    if how.fit == "stretch":
        return target
    ratios = (target[0] / height, target[1] / width)
    ratio = min(ratios) if how.fit == "letterbox" else max(ratios)
    if how.fit == "crop":
        ratio /= how.crop
    floor = target if how.fit == "crop" else (1, 1)
    return max(floor[0], round(height * ratio)), max(floor[1], round(width * ratio))


Reader = Callable[[Path], dict[str, Tensor]]


def mismatches(
    expected: Mapping[str, Sequence[int]], got: Mapping[str, Sequence[int]]
) -> list[str]:
    """How named shapes differ, one line each: missing, then wrong shape, then unexpected."""
    missing = [
        f"{name} {_shape(expected[name])} is missing" for name in expected if name not in got
    ]
    wrong = [
        f"{name} is {_shape(got[name])}, wanted {_shape(expected[name])}"
        for name in expected
        if name in got and tuple(got[name]) != tuple(expected[name])
    ]
    extra = [f"{name} {_shape(got[name])} is not expected" for name in got if name not in expected]
    return missing + wrong + extra


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "scalar"
