"""What a slot of an engine takes: picture, clip, text, folder or file; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ImageInput:
    """A picture: ``pixels`` (H, W, 3) uint8 sRGB, upright; ``sha256`` of the source file.

    ``note`` says what was done to get there (first of 12 frames, reduced to a quarter, ...).
    """

    pixels: Pixels
    name: str = ""
    path: Path | None = None
    sha256: str = ""
    frame: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class TextInput:
    """A text that was typed, dropped or read from a file."""

    text: str
    name: str = ""
    sha256: str = ""


class ClipInput(Protocol):
    """A clip or camera, read lazily: frames are (H, W, 3) uint8 sRGB."""

    @property
    def name(self) -> str:
        """The file's name, or what the camera is called."""

    @property
    def path(self) -> Path | None:
        """The file; None for a camera."""

    @property
    def sha256(self) -> str:
        """Of the file; empty for a camera. Hashes the file when first asked."""

    @property
    def fps(self) -> float:
        """Frames a second."""

    @property
    def live(self) -> bool:
        """A camera: no index, no end, stale frames are dropped."""

    def __len__(self) -> int:
        """Number of frames; 0 for a camera."""

    def __getitem__(self, index: int) -> Pixels:
        """The frame at ``index``; a camera ignores the index and gives its newest frame.

        Raises:
            IndexError: past the end, also when the file ends earlier than its header says.
        """

    def close(self) -> None:
        """Release the decoder or device."""


@dataclass(frozen=True, slots=True)
class FolderInput:
    """A folder of pictures in natural order; files left out are named in ``skipped``."""

    path: Path
    files: tuple[Path, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileInput:
    """Any other file an engine asks for by suffix."""

    path: Path
    sha256: str = ""


Input = ImageInput | TextInput | ClipInput | FolderInput | FileInput
Inputs = Mapping[str, Any]
