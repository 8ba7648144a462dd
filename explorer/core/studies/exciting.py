"""What excited each unit of a layer most: the best crops of all pictures and frames seen.

Yosinski et al., "Understanding Neural Networks Through Deep Visualization", 2015, kept the nine
best images of a data set for every unit; here they are collected while a clip or camera plays.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from explorer.core.geometry import Place
from explorer.core.opencv import opencv
from explorer.core.stores.atomic import atomic
from explorer.inputs import Pixels
from explorer.kinds import Array

KEEP = 9
SIDE = 48  # px of a crop; less where a layer has many units
CAP = 64 * 2**20  # bytes of crops
SMALLEST = 12  # px: a crop below it shows nothing
APART = 12  # frames: neighbours of a clip look alike, so only the better of them stays
LARGEST_FILE = 4 * CAP
_KEYS = ("point", "values", "crops", "frames", "sources", "names")


class ExcitingError(ValueError):
    """A kept file cannot be used; one line with cause and remedy."""


def strongest(tensor: Tensor) -> tuple[Array, Array]:
    """Maximum of each unit (C,) and its cell (C, 2) as y, x, in one transfer from the device.

    Units are the channels of maps (1, C, H, W), the features of tokens (1, T, C), whose cell is
    (token, 0), or the entries of a vector (1, C).
    """
    one = tensor[0].detach().float()
    if one.ndim < 2:
        one = one.reshape(-1, 1, 1)
    elif one.ndim == 2:
        one = one.T.unsqueeze(2)
    one = one.reshape(-1, *one.shape[-2:])
    values, places = one.flatten(1).max(1)
    both = torch.stack([values.double(), places.double()]).cpu().numpy()
    cells = np.stack(np.divmod(both[1].astype(np.int64), one.shape[2]), 1)
    return both[0].astype(np.float32), cells


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The crops (K, S, S, 3) uint8 that excited one unit, best first, and what each gave."""

    crops: Array
    values: Array
    names: Sequence[str]


class Exciting:
    """The ``keep`` best crops of every unit of one layer, in bounded memory.

    ``seen`` counts the frames that were looked at, one that is run again and again once.
    """

    def __init__(
        self, point: str, units: int, *, keep: int = KEEP, side: int = SIDE, cap: int = CAP
    ) -> None:
        fits = int((cap / (3 * max(1, units) * keep)) ** 0.5)
        if fits < SMALLEST:
            raise ExcitingError(
                f"{point} has {units} units; {keep} crops of each do not fit in {cap >> 20} MiB"
            )
        self.point = point
        self.side = min(side, fits)
        self.values = np.full((units, keep), -np.inf, np.float32)
        self.crops = np.zeros((units, keep, self.side, self.side, 3), np.uint8)
        self.frames = np.zeros((units, keep), np.int64)
        self.sources = np.full((units, keep), -1, np.int64)
        self.seen = 0
        self._latest = (-1, -1)
        self._names: dict[int, str] = {}
        self._ids: dict[str, int] = {}

    def add(
        self, best: Array, cells: Array, pixels: Pixels, place: Place | None, name: str, frame: int
    ) -> int:
        """Look at one frame; how many units kept something of it.

        The same frame of the same source counts once; so do its neighbours in a clip.

        Args:
            best: the maximum of each unit (C,). cells: where it is, (C, 2) as y, x.
            pixels: the picture (H, W, 3) uint8.
            place: where cells lie in it; None takes its middle.
        """
        source = self._id(name)
        self.seen += self._latest != (source, frame)
        self._latest = (source, frame)
        near = (self.sources == source) & (np.abs(self.frames - frame) <= APART)
        slots = np.where(near.any(1), near.argmax(1), self.values.argmin(1))
        rows = np.arange(len(slots))
        # NaN compares false: a broken activation is no record.
        better = np.flatnonzero(best > self.values[rows, slots])
        made: dict[tuple[int, int], Array] = {}
        for unit in better.tolist():
            cell = (int(cells[unit, 0]), int(cells[unit, 1]))
            if cell not in made:
                made[cell] = self._crop(pixels, place, *cell)
            self.crops[unit, slots[unit]] = made[cell]
        self.values[better, slots[better]] = best[better]
        self.frames[better, slots[better]] = frame
        self.sources[better, slots[better]] = source
        return len(better)

    def of(self, unit: int) -> Best:
        """The kept crops of one unit, best first; fewer than ``keep`` at the beginning."""
        order = np.argsort(-self.values[unit], kind="stable")
        order = order[np.isfinite(self.values[unit, order])]
        names = [
            f"{self._names[int(self.sources[unit, i])]} #{self.frames[unit, i]}"
            if self.frames[unit, i]
            else self._names[int(self.sources[unit, i])]
            for i in order
        ]
        return Best(self.crops[unit, order], self.values[unit, order], names)

    @property
    def nbytes(self) -> int:
        """Bytes of everything kept, names apart."""
        kept = (self.values, self.crops, self.frames, self.sources)
        return sum(array.nbytes for array in kept)

    def save(self, path: Path) -> None:
        """Write all of it to an NPZ file, whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        self._forget_names()
        ids = sorted(self._names)
        sources = np.searchsorted(ids, self.sources) if ids else np.zeros_like(self.sources)
        sources[self.sources < 0] = -1
        with atomic(path.with_suffix(".npz")) as part:
            np.savez(
                part, point=np.array(self.point), values=self.values, crops=self.crops,
                frames=self.frames, sources=sources,
                names=np.array([self._names[i] for i in ids] or [""]),
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Exciting:
        """Read what `save` wrote; nothing in the file is run, and nothing wrong in it is taken.

        Raises:
            ExcitingError: it is no such file, or damaged.
        """
        found = _arrays(path)
        values, crops = found["values"], found["crops"]
        units, keep = values.shape if values.ndim == 2 else (0, 0)
        side = crops.shape[2] if crops.ndim == 5 else 0
        wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
            "point": ("U", ()), "values": ("f4", (units, keep)),
            "crops": ("u1", (units, keep, side, side, 3)), "frames": ("i8", (units, keep)),
            "sources": ("i8", (units, keep)), "names": ("U", (found["names"].size,)),
        }  # fmt: skip
        for key, (dtype, shape) in wanted.items():
            right = found[key].dtype.kind == "U" if dtype == "U" else found[key].dtype == dtype
            if not right or found[key].shape != shape or 0 in shape:
                raise ExcitingError(
                    f"{path.name}: {key} is {found[key].shape} {found[key].dtype}; "
                    "no file of top images, or a damaged one"
                )
        if found["sources"].max() >= found["names"].size or found["sources"].min() < -1:
            raise ExcitingError(f"{path.name}: a crop has no name; the file is damaged")
        kept = cls(str(found["point"]), units, keep=keep, side=side, cap=LARGEST_FILE)
        kept.values, kept.crops = values, crops
        kept.frames, kept.sources = found["frames"], found["sources"]
        kept._names = dict(enumerate(found["names"].tolist()))
        kept._ids = {name: i for i, name in kept._names.items()}
        return kept

    def _crop(self, pixels: Pixels, place: Place | None, row: int, column: int) -> Array:
        """The square (S, S, 3) that the cell sees, moved into the picture; all of it if larger."""
        height, width = pixels.shape[:2]
        side = float(min(height, width))
        x, y = width / 2, height / 2
        if place is not None:
            x, y = place.affine.to_input(column + 0.5, row + 0.5)
            seen = place.receptive or (4 * place.affine.sx, 4 * place.affine.sy)
            side = min(side, max(*seen, 8.0))
        whole = max(1, round(side))
        left = round(min(max(x - side / 2, 0), width - whole))
        top = round(min(max(y - side / 2, 0), height - whole))
        cv2 = opencv()
        part = np.ascontiguousarray(pixels[top : top + whole, left : left + whole])
        way = cv2.INTER_AREA if whole > self.side else cv2.INTER_NEAREST
        made: Array = cv2.resize(part, (self.side, self.side), interpolation=way)
        return made

    def _id(self, name: str) -> int:
        if name not in self._ids:
            if len(self._names) > 2 * self.sources.size + 64:
                self._forget_names()
            made = max(self._names, default=-1) + 1
            self._ids[name], self._names[made] = made, name
        return self._ids[name]

    def _forget_names(self) -> None:
        """Drop the names of pictures of which no crop is left."""
        used = set(np.unique(self.sources).tolist())
        self._names = {i: name for i, name in self._names.items() if i in used}
        self._ids = {name: i for i, name in self._names.items()}


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an NPZ file with exactly our keys, read without running anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST_FILE:
            raise ExcitingError(f"{path.name}: {size >> 20} MiB; top images take less than that")
        with np.load(path, allow_pickle=False) as file:
            if sorted(file.files) != sorted(_KEYS):
                raise ExcitingError(f"{path.name}: no file of top images; it has {file.files[:8]}")
            return {key: file[key] for key in _KEYS}
    except ExcitingError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ExcitingError(f"{path.name} cannot be read as top images: {error}") from error
