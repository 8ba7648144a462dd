"""Size, depth, orientation and frame count of a picture, read from its header without decoding.

A header is believed only for what it costs to decode; the decoder has the last word.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself.

    Attributes:
        width, height: as stored, before ``orientation``.
        bits: of one channel. ``channels``: as stored (a palette counts as 1).
        frames: of an animation, or pages. ``orientation``: EXIF 1 to 8.
        alpha: has transparent parts. ``progressive``: a JPEG that is held whole while decoded.
        interlaced: a PNG whose rows are not in order.
    """

    format: str
    width: int
    height: int
    bits: int = 8
    channels: int = 3
    frames: int = 1
    orientation: int = 1
    alpha: bool = False
    progressive: bool = False
    interlaced: bool = False


class HeaderError(ValueError):
    """The header is not one of a known format, or is cut off or wrong."""


def read_header(data: bytes) -> Header:
    """Read the header of a whole (or cut off) picture file.

    Raises:
        HeaderError: what is wrong with it, as the end of a sentence.
    """
    for magic, parse in _PARSERS:
        if re.match(magic, data, re.DOTALL):
            try:
                return parse(data)
            except (struct.error, IndexError) as error:
                raise HeaderError("cut off inside its header") from error
    raise HeaderError(f"not a picture (it starts with {_opening(data)})")


def _opening(data: bytes) -> str:
    head = data[:12]
    printable = all(32 <= byte < 127 for byte in head)
    return repr(head.decode()) if printable else head[:8].hex(" ")


def _png(data: bytes) -> Header:
    width, height, bits, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour)
    if channels is None:
        raise HeaderError(f"a PNG of unknown colour type {colour}")
    frames, orientation, alpha = 1, 1, colour in (4, 6)
    for kind, start, length in png_chunks(data):
        if kind == b"acTL" and start + 4 <= len(data):
            frames = max(1, struct.unpack_from(">I", data, start)[0])
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data[start : start + length])
    return Header(
        "PNG", width, height, bits, channels, frames, orientation, alpha, interlaced=bool(interlace)
    )


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start of content and length of each chunk; the last may reach past the end."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at + 8, length
        if kind == b"IEND":
            break
        at += 12 + length


def _jpeg(data: bytes) -> Header:
    at, orientation = 2, 1
    frame: tuple[int, int, int, int, int] | None = None
    while True:
        if data[at] != 0xFF:
            raise HeaderError("a JPEG with a broken header")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in (0x01, *range(0xD0, 0xD8)):
            at += 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[at + 10 : at + 2 + length])
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = (marker, *struct.unpack_from(">BHHB", data, at + 4))
        elif marker == 0xDA:
            break
        elif marker == 0xD9:
            raise HeaderError("a JPEG without a picture in it")
        at += 2 + length
    if frame is None:
        raise HeaderError("a JPEG with a broken header")
    marker, bits, height, width, channels = frame
    progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
    return Header(
        "JPEG", width, height, bits, channels, orientation=orientation, progressive=progressive
    )


def _gif(data: bytes) -> Header:
    width, height, packed = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    frames, alpha = 0, False
    while at < len(data) and data[at] in (0x21, 0x2C):
        if data[at] == 0x21:
            alpha = alpha or (data[at + 1] == 0xF9 and bool(data[at + 3] & 1))
            at += 2
        else:
            table = data[at + 9] if at + 9 < len(data) else 0
            frames += 1
            at += 11 + (3 << (table & 7) + 1 if table & 0x80 else 0)
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if not frames:
        raise HeaderError("a GIF without a picture in it")
    return Header("GIF", width, height, 8, 1, frames, alpha=alpha)


def _webp(data: bytes) -> Header:
    width = height = frames = 0
    orientation, alpha, at = 1, False, 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        body = at + 8
        if kind == b"VP8X":
            alpha = bool(data[body] & 0x10)
            width = 1 + int.from_bytes(data[body + 4 : body + 7], "little")
            height = 1 + int.from_bytes(data[body + 7 : body + 10], "little")
        elif kind == b"VP8 " and not width:
            width, height = (v & 0x3FFF for v in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and not width:
            packed = struct.unpack_from("<I", data, body + 1)[0]
            width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
            alpha = bool(packed >> 28 & 1)
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            orientation = exif_orientation(data[body : body + length].removeprefix(b"Exif\0\0"))
        at = body + length + length % 2
    return Header("WebP", width, height, 8, 4, max(1, frames), orientation, alpha)


def _bmp(data: bytes) -> Header:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    return Header("BMP", abs(width), abs(height), 8, 4 if bits == 32 else 3)


def _tiff(data: bytes) -> Header:
    if data[2:4] in (b"+\0", b"\0+"):
        raise HeaderError("a BigTIFF, which is not read here")
    tags, pages = _first_directory(data)
    width, height = tags.get(256, 0), tags.get(257, 0)
    samples = tags.get(277, 1)
    colour_samples = {2: 3, 5: 4, 6: 3, 8: 3}.get(tags.get(262, 1), 1)
    return Header(
        "TIFF", width, height, tags.get(258, 1), samples, pages, _orientation(tags),
        alpha=samples > colour_samples,
    )  # fmt: skip


def _first_directory(data: bytes) -> tuple[dict[int, int], int]:
    """First value of each integer tag of the first directory, and the number of directories."""
    order = "<" if data[:2] == b"II" else ">"
    first = at = struct.unpack_from(f"{order}I", data, 4)[0]
    seen: set[int] = set()
    while 8 <= at <= len(data) - 2 and at not in seen and len(seen) < 10_000:
        seen.add(at)
        count = struct.unpack_from(f"{order}H", data, at)[0]
        end = at + 2 + 12 * count
        at = struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0
    tags: dict[int, int] = {}
    for entry in range(struct.unpack_from(f"{order}H", data, first)[0]):
        at = first + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
        if kind not in (3, 4) or not count:
            continue
        letter, size = ("H", 2) if kind == 3 else ("I", 4)
        inline = size * count <= 4
        where = at + 8 if inline else struct.unpack_from(f"{order}I", data, at + 8)[0]
        tags[tag] = struct.unpack_from(order + letter, data, where)[0]
    return tags, max(1, len(seen))


def exif_orientation(exif: bytes) -> int:
    """The orientation 1 to 8 in an EXIF block; 1 where there is none or the block is broken."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return _orientation(_first_directory(exif)[0])
    except struct.error:
        return 1


def _orientation(tags: dict[int, int]) -> int:
    value = tags.get(274, 1)
    return value if 1 <= value <= 8 else 1


def _avif(data: bytes) -> Header:
    sizes = [
        struct.unpack_from(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data)
    ]
    if not sizes:
        raise HeaderError("an AVIF without a size")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Header("AVIF", width, height, 8, 4, alpha=b"auxl" in data[:65536])


def _heif(data: bytes) -> Header:
    if b"avif" in data[8:64]:
        return _avif(data)
    raise HeaderError("a HEIC picture, which is not read here; save it as JPEG")


def _pnm(data: bytes) -> Header:
    bare = re.sub(rb"#[^\n]*\n", b" ", data[:4096])
    numbers = re.match(rb"P([1-6])\s+(\d{1,9})\s+(\d{1,9})(?:\s+(\d{1,5}))?", bare)
    if not numbers:
        raise HeaderError("a PNM with a broken header")
    kind, width, height, top = (int(v or 1) for v in numbers.groups())
    bits = 16 if kind % 3 != 1 and top > 255 else 8
    return Header("PNM", width, height, bits, 3 if kind % 3 == 0 else 1)


_PARSERS: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (rb"\x89PNG\r\n\x1a\n", _png),
    (rb"\xff\xd8\xff", _jpeg),
    (rb"GIF8[79]a", _gif),
    (rb"RIFF.{4}WEBP", _webp),
    (rb"BM.{12}", _bmp),
    (rb"II[*+]\0|MM\0[*+]", _tiff),
    (rb".{4}ftyp(?:avif|avis)", _avif),
    (rb".{4}ftyp(?:heic|heix|hevc|mif1|msf1)", _heif),
    (rb"P[1-6]\s", _pnm),
)
