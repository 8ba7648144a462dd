"""Arrays of a recorded frame, packed by zlib where that pays, and unpacked bit for bit."""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.kinds import field_names
from explorer.views import Frame

LEVEL = 1  # higher levels take three times as long for a tenth less
LEAST = 4096  # bytes: smaller arrays stay as they are
SAMPLE = 16_384  # bytes that are tried first
PAYS = 0.9  # share of the size above which an array stays as it is

Array = npt.NDArray[Any]
Pool = dict[int, tuple[Array, "Packed | Array"]]  # by identity: an array and what became of it


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """An array as zlib bytes; bytes of equal significance lie together, which packs better."""

    data: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the packed form."""
        return len(self.data)

    def array(self) -> Array:
        """The array as it was, read-only."""
        size = self.dtype.itemsize
        flat = np.frombuffer(zlib.decompress(self.data), np.uint8)
        if size > 1:
            flat = np.ascontiguousarray(flat.reshape(size, -1).T)
        values: Array = flat.reshape(-1).view(self.dtype).reshape(self.shape)
        values.flags.writeable = False
        return values


def pack(array: Array) -> Packed | Array:
    """The array packed, or itself where a sample says that it hardly shrinks."""
    if array.nbytes < LEAST or array.dtype.hasobject:
        return array
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    sample = flat[: SAMPLE // array.itemsize * array.itemsize]
    if len(flat) > 2 * SAMPLE and _squeezed(sample, array.itemsize, PAYS) is None:
        return array
    data = _squeezed(flat, array.itemsize, PAYS)
    return array if data is None else Packed(data, array.shape, array.dtype)


def packed(frame: Frame, pool: Pool) -> Frame:
    """The frame with its large arrays packed.

    Args:
        pool: arrays of the frame packed before; one that is still the same array is not packed
            again but shared. It holds those of this frame afterwards.
    """
    known, pooled = dict(pool), pool
    pooled.clear()

    def small(array: Array) -> Packed | Array:
        found = known.get(id(array))
        kept = found[1] if found is not None else pack(array)
        pooled[id(array)] = (array, kept)
        return kept

    return _mapped(frame, np.ndarray, small)


def unpacked(frame: Frame) -> Frame:
    """The frame as it was recorded."""
    return _mapped(frame, Packed, Packed.array)


def blocks(frame: Frame) -> list[Packed | Array]:
    """What the frame keeps in memory beside its statistics: arrays, packed or not."""
    found: list[Packed | Array] = [r.index for r in frame.rendered]
    for holder in (*frame.artefacts, *frame.rows):
        values = (getattr(holder, name) for name in field_names(type(holder)))
        found += [v for v in values if isinstance(v, np.ndarray | Packed)]
    return found


def _squeezed(flat: npt.NDArray[np.uint8], size: int, share: float) -> bytes | None:
    """zlib bytes, or None when they are more than ``share`` of the input."""
    if size > 1:
        flat = np.ascontiguousarray(flat.reshape(-1, size).T)
    data = zlib.compress(flat.data, LEVEL)
    return data if len(data) <= share * flat.nbytes else None


def _mapped(frame: Frame, kind: type, change: Any) -> Frame:
    """A copy of the frame in which every array field of that type is replaced."""
    return replace(
        frame,
        artefacts=tuple(_with(a, kind, change) for a in frame.artefacts),
        rows=tuple(_with(r, kind, change) for r in frame.rows),
        rendered=tuple(
            replace(r, index=change(r.index)) if isinstance(r.index, kind) else r
            for r in frame.rendered
        ),
    )


def _with(holder: Any, kind: type, change: Any) -> Any:
    held = {name: getattr(holder, name) for name in field_names(type(holder))}
    new = {name: change(value) for name, value in held.items() if isinstance(value, kind)}
    if not new:
        return holder
    own = copy.copy(holder)  # not replace(): the checks of a kind want arrays
    for name, value in new.items():
        object.__setattr__(own, name, value)
    return own
