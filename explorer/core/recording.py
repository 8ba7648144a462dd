"""What can be read out of a record: where a unit jumped, and the values of a span as NPZ."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.core.writing.clip_writer import ClipWriter, ExportError, writing
from explorer.kinds import Artefact, Image
from explorer.views import NOT_FINITE, TOP, Frame, Rendered

WINDOW = 25  # steps before a change that say how much a unit usually moves: a second of video
LEAST = 3  # steps before a change without which nothing is known of its spread
FLOOR = 1e-3  # of the layer's largest mean: smaller spreads are rounding

Frames = Callable[[], Iterator[Frame]]  # the span again from its start, at each call


@dataclass(frozen=True, slots=True)
class Jump:
    """A unit whose mean changed at a step: ``size`` times as much as it usually moves."""

    index: int
    unit: int
    size: float


def jump_sizes(
    means: npt.NDArray[Any], window: int = WINDOW, least: int = LEAST
) -> npt.NDArray[np.float64]:
    """Change of every unit against the step before, over its running spread.

    The spread is the standard deviation over the ``window`` steps before the change, at least
    ``FLOOR`` of the largest mean of the layer, so that a unit that was constant does not win by
    rounding. The first ``least`` steps have no spread yet and no size.

    Args:
        means: (T, C), one row a step.

    Returns:
        (T, C), 0 and larger.
    """
    x = np.asarray(means, np.float64)
    sizes = np.zeros_like(x)
    if len(x) <= least:
        return sizes
    spread = _running_spread(x, window)[least:]
    floor = max(FLOOR * float(np.abs(x).max(initial=0.0)), np.finfo(np.float64).tiny)
    sizes[least:] = np.abs(np.diff(x, axis=0))[least - 1 :] / np.maximum(spread, floor)
    return sizes


def jumps(means: npt.NDArray[Any], unit: int | None = None, count: int = 10) -> list[Jump]:
    """The steps with the largest jumps, largest first; one a step.

    Args:
        means: (T, C). ``unit``: look at this one alone.
    """
    sizes = jump_sizes(means)
    if not sizes.size:
        return []
    units = sizes.argmax(1) if unit is None else np.full(len(sizes), unit)
    best = sizes[np.arange(len(sizes)), units]
    order = np.argsort(-best, kind="stable")[:count]
    return [Jump(int(i), int(units[i]), float(best[i])) for i in order if best[i] > 0]


def _running_spread(x: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """Standard deviation (T, C) of up to ``window`` rows before each row; 0 for the first."""
    centred = x - x.mean(0)  # sums of squares of large means would lose the digits that count
    sums = np.cumsum(np.concatenate([np.zeros_like(x[:1]), centred]), 0)
    squares = np.cumsum(np.concatenate([np.zeros_like(x[:1]), centred**2]), 0)
    end = np.arange(len(x))
    begin = np.maximum(end - window, 0)
    count = np.maximum(end - begin, 1)[:, None]
    mean = (sums[end] - sums[begin]) / count
    variance: npt.NDArray[np.float64] = (squares[end] - squares[begin]) / count - mean**2
    return np.sqrt(np.maximum(variance, 0.0))


def decoded(rendered: Rendered) -> npt.NDArray[np.float32]:
    """Values of the maps in a picture (C, h, w), in the order of ``rendered.order``.

    They are good to half a 253rd of the range and cut off at its ends; what was not finite is NaN.
    """
    height, width = rendered.tile
    columns, gap, count = rendered.columns, rendered.gap, len(rendered.order)
    index = rendered.index
    rows = index.shape[0] // (height + gap)
    tiles = index.reshape(rows, height + gap, columns, width + gap)[:, :height, :, :width]
    maps = tiles.transpose(0, 2, 1, 3).reshape(-1, height, width)[:count]
    limits = np.asarray(rendered.limits, np.float32).reshape(-1, 2)
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    values: npt.NDArray[np.float32] = low + maps.astype(np.float32) * (
        (high - low) / np.float32(TOP)
    )
    values[maps == NOT_FINITE] = np.nan
    return values


def save_layer_span(path: Path, frames: Frames, point: str) -> int:
    """Write a layer's recorded maps and statistics of its units as NPZ; returns the steps written.

    Steps on which the layer was drawn in another size or with other units than on the last one
    are left out. ``values`` (T, C, h, w) float32 follow the order of ``units`` (T, C).

    Raises:
        ExportError: the file cannot be written, or the layer was never shown.
    """

    def found() -> Iterator[tuple[Frame, Rendered]]:
        return ((f, r) for f in frames() for r in f.rendered if r.view.point == point)

    forms = [(f.frame, f.step, _form(r)) for f, r in found()]
    if not forms:
        raise ExportError(f"{point} is in none of the recorded steps; open its maps first")
    form = forms[-1][2]
    times = [(frame, step) for frame, step, other in forms if other == form]

    def kept() -> Iterator[Rendered]:
        return (r for _, r in found() if _form(r) == form)

    count = len(times)
    with writing(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
        _stream(file, "values", count, (decoded(r) for r in kept()))
        _stream(file, "units", count, (r.order for r in kept()))
        for name in ("unit_mean", "unit_low", "unit_high"):
            _stream(file, name, count, (getattr(r.statistics, name) for r in kept()))
        _stream_times(file, times)
    return count


def save_film(path: Path, frames: Frames, name: str) -> int:
    """Write the recorded pictures of an Image whose steps make up a film; returns their number.

    Only the newest run counts: those before it had other knobs.

    Raises:
        ExportError: the file cannot be written, or there is no such film.
    """

    def pictures() -> Iterator[Image]:
        named = (a for f in frames() for a in f.artefacts if a.name == name)
        return (a for a in named if isinstance(a, Image) and a.fps)

    rates = {picture.run: picture.fps for picture in pictures()}
    if not rates:
        raise ExportError(f"{name} is no film of its steps; save it as PNG")
    newest, count = max(rates), 0
    with ClipWriter(path, rates[newest]) as film:
        for picture in pictures():
            if picture.run == newest:
                film.write(picture.image)
                count += 1
    return count


def save_artefact_span(path: Path, frames: Frames, name: str) -> int:
    """Write an artefact's recorded arrays as NPZ, (T, ...) a field; returns the steps written.

    Steps on which a field has another shape or type than on the last one are left out.

    Raises:
        ExportError: the file cannot be written, or the artefact has no arrays.
    """

    def found() -> Iterator[tuple[Frame, Artefact]]:
        return ((f, a) for f in frames() for a in f.artefacts if a.name == name)

    forms = [(f.frame, f.step, _fields(a)) for f, a in found()]
    if not forms or not forms[-1][2]:
        raise ExportError(f"{name} has no numbers in the recorded steps; save it as PNG")
    form = forms[-1][2]
    times = [(frame, step) for frame, step, other in forms if other == form]

    def values(field: str) -> Iterator[npt.NDArray[Any]]:
        return (getattr(a, field) for _, a in found() if _fields(a) == form)

    with writing(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
        for field, _, _ in form:
            _stream(file, field, len(times), values(field))
        _stream_times(file, times)
    return len(times)


def _form(rendered: Rendered) -> tuple[Any, ...]:
    return rendered.tile, len(rendered.order), rendered.reduced, rendered.shape[1:]


def _fields(artefact: Artefact) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    """Name, shape and type of the array fields."""
    values = ((f.name, getattr(artefact, f.name)) for f in fields(artefact))
    return tuple((n, v.shape, v.dtype.str) for n, v in values if isinstance(v, np.ndarray))


def _stream_times(file: zipfile.ZipFile, times: Sequence[tuple[int, int]]) -> None:
    for column, name in enumerate(("frame", "step")):
        _stream(file, name, len(times), (np.int64(row[column]) for row in times))


def _stream(file: zipfile.ZipFile, name: str, count: int, arrays: Iterator[Any]) -> None:
    """One array of an NPZ, row after row: a long span need not fit into memory at once."""
    first = np.asarray(next(arrays))
    about = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (count, *first.shape),
    }
    with file.open(f"{name}.npy", "w", force_zip64=True) as out:
        np.lib.format.write_array_header_2_0(out, about)
        out.write(first.tobytes())
        for row in arrays:
            out.write(np.asarray(row).tobytes())
