"""Untrusted picture files and arrays to upright 8-bit RGB, within a bound on memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.core.opencv import opencv, quiet_decoders
from explorer.core.reading.formats import PICTURES, MediaError, amount, shown, trouble, whole_file
from explorer.core.reading.headers import Header, HeaderError, read_header
from explorer.core.reading.mending import mended, sound
from explorer.inputs import ImageInput, Pixels

MAX_PIXELS = 40_000_000
"""A larger picture is made smaller; a 8,000 × 5,000 one passes as it is."""
DECODE_BYTES = 1 << 29
"""What decoding may hold at once (512 MiB); a picture that needs more is refused."""
FILE_BYTES = 512_000_000

_AGAIN = "Copy or download it again"


def read_image(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> ImageInput:
    """Open a picture file, whatever it claims to be.

    EXIF rotation is applied, CMYK and 16-bit become 8-bit RGB, transparent parts are laid over
    white, of an animation or a multi-page file the first is taken, a file that was cut off gives
    the part that is there, more than ``max_pixels`` are reduced; the ``note`` says which of these.

    Raises:
        MediaError: not a picture, empty, zero-sized, too large to decode, or not decodable.
    """
    path = Path(path)
    data = whole_file(path, limit=FILE_BYTES, what="a picture")
    try:
        header = read_header(data)
    except HeaderError as error:
        raise trouble(path, str(error), PICTURES) from error
    if header.width < 1 or header.height < 1:
        size = f"{header.width} × {header.height}"
        raise trouble(path, f"its {header.format} header says {size} pixels", _AGAIN)
    reduced = _reduction(path, header, max_pixels)
    notes = _notes(header)
    array = _decode(data, header, reduced) if sound(data, header) else None
    if array is None:
        with quiet_decoders():
            array = _decode(mended(data, header), header, reduced)
        notes.append("the file is damaged or cut off: the rest is missing")
    if array is None:
        what = f"a {header.width} × {header.height} {header.format} that is damaged or cut off"
        raise trouble(path, what, _AGAIN)
    if header.alpha:
        laid = array.ndim == 3 and array.shape[2] == 4
        notes.append("transparent parts over white" if laid else "transparency left out")
    pixels, depth = _to_rgb(_limit(array, max_pixels), header)
    if header.width * header.height > max_pixels:
        notes.append(f"{header.width:,} × {header.height:,} reduced to {_size(pixels)}")
    return ImageInput(
        pixels, shown(path), path, hashlib.sha256(data).hexdigest(),
        note=", ".join([*notes, *depth]),
    )  # fmt: skip


def image_from_array(array: npt.ArrayLike, name: str) -> ImageInput:
    """A picture from the clipboard or Python: (H, W), (H, W, 1), RGB or RGBA, of any real type.

    Floats in [0, 1] are scaled by 255, other ranges to their own extremes.

    Raises:
        MediaError: another shape or type.
    """
    values = np.asarray(array)
    grey = values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 1)
    colour = values.ndim == 3 and values.shape[2] in (3, 4)
    if not (grey or colour) or 0 in values.shape or values.dtype.kind not in "buif":
        raise MediaError(
            f"{shown(name)}: an array of shape {values.shape} and type {values.dtype} is no "
            "picture. Give (H, W), (H, W, 3) or (H, W, 4) of numbers."
        )
    if values.shape[0] * values.shape[1] > DECODE_BYTES // 8:
        raise MediaError(
            f"{shown(name)}: {values.shape[1]:,} × {values.shape[0]:,} pixels are too many. "
            "Make the picture smaller."
        )
    eight, note = _eight_bits(values)
    if grey:
        eight = np.repeat(eight.reshape(*eight.shape[:2], 1), 3, axis=2)
    elif eight.shape[2] == 4:
        eight = _over_white(eight)
    pixels = _limit(np.array(eight, np.uint8, order="C"), MAX_PIXELS)
    return ImageInput(
        pixels, shown(name), sha256=hashlib.sha256(pixels.tobytes()).hexdigest(), note=note
    )


def _reduction(path: Path, header: Header, max_pixels: int) -> int:
    """By how much (1, 2, 4, 8) the decoder reduces, so that it stays within the bound."""
    count = header.width * header.height
    reduced = 1
    if header.format == "JPEG" and header.bits == 8:  # the one decoder that scales as it reads
        while reduced < 8 and count > max_pixels * reduced**2:
            reduced *= 2
        need = 6 * count // reduced**2 + (2 * count * header.channels if header.progressive else 0)
        fits = count <= max_pixels * reduced**2
    else:
        copies = 4 if header.frames > 1 else 2  # an animation is laid out on canvases of its own
        need = copies * count * max(3, header.channels) * max(1, header.bits // 8)
        fits = True
    if need > DECODE_BYTES or not fits:
        raise trouble(
            path,
            f"{header.width:,} × {header.height:,} pixels, which would need {amount(need)} to open",
            "Scale it to 8,000 pixels a side or less, or save it as a baseline JPEG",
        )
    return reduced


def _notes(header: Header) -> list[str]:
    notes = []
    if header.frames > 1:
        kind = "pages" if header.format == "TIFF" else "frames"
        notes.append(f"first of {header.frames} {kind}")
    return notes


def _decode(data: bytes, header: Header, reduced: int) -> npt.NDArray[Any] | None:
    """BGR or grey of any depth, upright; with a fourth channel only where there is transparency."""
    cv2 = opencv()
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
             8: cv2.IMREAD_REDUCED_COLOR_8}[reduced]  # fmt: skip
    raw = header.alpha or header.bits > 8
    if not data:
        return None
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED if raw else flags)
    except (cv2.error, MemoryError):
        return None
    if array is None or 0 in array.shape:
        return None
    if raw and header.format in ("PNG", "WebP"):  # IMREAD_UNCHANGED leaves these as stored
        array = _upright(array, header.orientation)
    decoded: npt.NDArray[Any] = array
    return decoded


def _upright(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _to_rgb(array: npt.NDArray[Any], header: Header) -> tuple[Pixels, list[str]]:
    """From what the decoder gave to (H, W, 3) uint8 RGB, and what had to be done for it."""
    eight, note = _eight_bits(array)
    if eight.ndim == 2:
        eight = np.repeat(eight[..., None], 3, axis=2)
    if eight.shape[2] == 4:
        eight = _over_white(eight, premultiplied=header.format == "TIFF" and header.bits == 8)
    pixels: Pixels = np.ascontiguousarray(eight[..., ::-1])
    return pixels, [note] if note else []


def _eight_bits(values: npt.NDArray[Any]) -> tuple[Pixels, str]:
    """Any real array to uint8; a 16-bit file that holds 8- or 12-bit values is not shown black."""
    if values.dtype == np.uint8:
        return values, ""
    if values.dtype == bool:
        return values.astype(np.uint8) * 255, ""
    if values.dtype == np.uint16:
        colour = values[..., :3] if values.ndim == 3 else values
        bits = _bits_in_use(int(colour.max()))
        scale = np.float32(255) / np.float32(2**bits - 1)
        scaled = np.minimum(colour * scale + np.float32(0.5), 255)
        if values.ndim == 3 and values.shape[2] == 4:
            alpha = values[..., 3:] / np.float32(257) + np.float32(0.5)
            scaled = np.concatenate([scaled, alpha], axis=2)
        return scaled.astype(np.uint8), "16-bit" if bits == 16 else f"{bits} bits of 16 in use"
    finite = np.where(np.isfinite(values), values, 0).astype(np.float32)
    low, high = float(finite.min()), float(finite.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.round(finite * 255).astype(np.uint8), ""
    if low >= 0 and high <= 255:
        return np.round(finite).astype(np.uint8), ""
    stretch: float = 255 / (high - low) if high > low else 0.0
    return np.round((finite - low) * stretch).astype(np.uint8), f"{low:g} to {high:g} shown"


def _bits_in_use(top: int) -> int:
    return next(bits for bits in (8, 12, 16) if top < 1 << bits)


def _over_white(pixels: Pixels, *, premultiplied: bool = False) -> Pixels:
    """Lay four channels over white, in place of a colour that the file does not have."""
    alpha = pixels[..., 3:].astype(np.uint16)
    colour = pixels[..., :3].astype(np.uint16)
    if not premultiplied:
        colour = (colour * alpha + 127) // 255
    laid: Pixels = np.minimum(colour + 255 - alpha, 255).astype(np.uint8)
    return laid


def _limit(array: npt.NDArray[Any], max_pixels: int) -> npt.NDArray[Any]:
    height, width = array.shape[:2]
    if height * width <= max_pixels:
        return array
    ratio = (max_pixels / (height * width)) ** 0.5
    size = max(1, int(width * ratio)), max(1, int(height * ratio))
    cv2 = opencv()
    smaller: npt.NDArray[Any] = cv2.resize(array, size, interpolation=cv2.INTER_AREA)
    return smaller


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]:,} × {pixels.shape[0]:,}"
