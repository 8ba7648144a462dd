"""Photographs of a folder, cut for training: order and cuts follow the seed and the step alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from explorer.api import EngineError, FolderInput, Host, Preprocess, prepare

LARGER = 2  # a picture is kept with a short side of so many times the cut
DAMAGED = "damaged"  # the word for it in the note of a picture
KEPT = 256  # pictures in memory, the newest
Pixels = npt.NDArray[np.uint8]


class Photos:
    """Square cuts of a folder's pictures, flipped half the time.

    Attributes:
        unreadable: why a file was left out, by name.
    """

    def __init__(self, folder: FolderInput, side: int, host: Host) -> None:
        self._folder, self._side, self._host = folder, side, host
        self._kept: OrderedDict[Path, Pixels | None] = OrderedDict()
        self._pass: tuple[int, list[int]] = (-1, [])
        self.unreadable: dict[str, str] = {}

    def batch(self, step: int, size: int) -> Tensor:
        """The cuts (B, 3, side, side) in [0, 1] of a step, from 1; other steps have other ones.

        Raises:
            EngineError: no file of the folder can be read.
        """
        cuts = [self._cut((step - 1) * size + i) for i in range(size)]
        return torch.cat(cuts)

    @property
    def note(self) -> str:
        """How many pictures there are, and what was left out why."""
        count = len(self._folder.files) - len(self.unreadable)
        words = f"{count} picture{'s' * (count != 1)} of {self._folder.path.name or '.'}"
        if self.unreadable:
            first, why = next(iter(self.unreadable.items()))
            words += f"; {len(self.unreadable)} unreadable, such as {first}: {why}"
        if self._folder.skipped:
            words += f"; {len(self._folder.skipped)} files that are no pictures"
        return words

    def _cut(self, number: int) -> Tensor:
        """Cut ``number`` from 0: of each pass through the folder every picture once."""
        count = len(self._folder.files)
        draw = torch.Generator().manual_seed(1_000_003 * self._host.seed + number)
        pixels = None
        for file in self._after(number):
            pixels = self._read(file)
            if pixels is not None:
                break
        if pixels is None:
            first, why = next(iter(self.unreadable.items()))
            raise EngineError(
                f"none of the {count} pictures of {self._folder.path.name} can be read; {first}: "
                f"{why}. Choose another folder."
            )
        height, width = pixels.shape[:2]
        most = min(height, width)
        least = min(most, self._side)
        side = int(torch.randint(least, most + 1, (), generator=draw))
        top = int(torch.randint(0, height - side + 1, (), generator=draw))
        left = int(torch.randint(0, width - side + 1, (), generator=draw))
        square = pixels[top : top + side, left : left + side]
        cut, _ = prepare(square, Preprocess(size=self._side, fit="stretch"), self._host.device)
        return cut.flip(3) if bool(torch.randint(0, 2, (), generator=draw)) else cut

    def _after(self, number: int) -> Iterator[Path]:
        """The files in the order of this pass, from the one whose turn it is."""
        files = self._folder.files
        turn, at = divmod(number, len(files))
        if self._pass[0] != turn:
            draw = torch.Generator().manual_seed(1_000_033 * self._host.seed + turn)
            self._pass = turn, torch.randperm(len(files), generator=draw).tolist()
        order = self._pass[1]
        for i in range(len(files)):
            yield files[order[(at + i) % len(files)]]

    def _read(self, file: Path) -> Pixels | None:
        """A picture, no larger than is needed; None for one that cannot be read."""
        if file in self._kept:
            self._kept.move_to_end(file)
            return self._kept[file]
        pixels: Pixels | None = None
        try:
            found = self._host.read_image(file)
        except ValueError as error:
            self.unreadable[file.name] = str(error).removeprefix(f"{file.name}: ")
        else:
            if DAMAGED in found.note:  # half of it is black: nothing to learn from
                self.unreadable[file.name] = found.note
            else:
                pixels = self._small(found.pixels)
        self._kept[file] = pixels
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return pixels

    def _small(self, pixels: Pixels) -> Pixels:
        short = LARGER * self._side
        if min(pixels.shape[:2]) <= short:
            return pixels
        x, _ = prepare(pixels, Preprocess(size=short, fit="short"))
        made: Pixels = (x[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return made
