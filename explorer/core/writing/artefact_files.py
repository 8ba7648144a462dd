"""One artefact to one file: PNG, SVG or NPZ, whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from explorer.core.opencv import opencv
from explorer.core.writing.clip_writer import ExportError, writing
from explorer.core.writing.drawing import Pixels, svg
from explorer.core.writing.picture import dressed, picture
from explorer.core.writing.plots import PLOTS
from explorer.kinds import Artefact, named_arrays
from explorer.views import Rendered


def save_npz(artefact: Artefact, path: Path) -> None:
    """Write the fields of a kind as arrays under their own names, names as text arrays.

    Raises:
        ExportError: the file cannot be written.
    """
    arrays: dict[str, Any] = named_arrays(artefact)
    with writing(Path(path)) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def encode_png(pixels: Pixels) -> bytes:
    """PNG bytes of (H, W, 3) uint8 sRGB."""
    done, data = opencv().imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    if not done:
        raise ExportError(f"a picture of shape {pixels.shape} cannot be written as PNG")
    encoded: bytes = data.tobytes()
    return encoded


def save_png(
    artefact: Artefact | Rendered, path: Path, scale: int = 1, on: Pixels | None = None
) -> None:
    """Write a picture.

    Args:
        scale: 1 to 4 enlarges and adds title strip and colour bar; 0 writes the bare pixels.
        on: the input picture under boxes, masks and keypoints.

    Raises:
        ExportError: the file cannot be written.
    """
    pixels = dressed(artefact, scale, on) if scale >= 1 else picture(artefact, on)
    data = encode_png(pixels)
    with writing(Path(path)) as part:
        part.write_bytes(data)


def has_svg(artefact: Artefact | Rendered) -> bool:
    """Whether the artefact is a plot, which SVG suits."""
    return type(artefact) in PLOTS


def save_svg(artefact: Artefact, path: Path) -> None:
    """Write a plot as SVG.

    Raises:
        ExportError: the kind is a picture, not a plot, or the file cannot be written.
    """
    plot = PLOTS.get(type(artefact))
    if plot is None:
        raise ExportError(
            f"{artefact.name}: {type(artefact).__name__} is a picture without lines; save it as PNG"
        )
    document = svg(plot(artefact))
    with writing(Path(path)) as part:
        part.write_text(document, encoding="utf-8")
