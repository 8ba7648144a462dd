"""Files that were cut off or damaged: find it out cheaply, and make up an end to save the rest."""

from __future__ import annotations

import struct
import zlib
from itertools import takewhile

from explorer.core.reading.headers import Header, png_chunks


def sound(data: bytes, header: Header) -> bool:
    """Whether a PNG is whole, by its checksums; of other formats the decoder tells.

    The PNG decoder sets aside what a chunk claims, up to 4 GB, before it sees that it is short, and
    writes to stderr what it thinks of a damaged one.
    """
    if header.format != "PNG":
        return True
    view = memoryview(data)
    for kind, start, length in png_chunks(data):
        end = start + length
        if end + 4 > len(data):
            return False
        critical = kind[:1].isupper()  # the decoder passes over the others when they are broken
        if critical and zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            return False
    return True


def mended(data: bytes, header: Header) -> bytes:
    """The file with its lost end made up, so that the decoder gives the part that is there."""
    if header.format == "JPEG":
        return data.rstrip(b"\xff") + b"\xff\xd9"
    if header.format == "PNG":
        return _mended_png(data, header)
    if header.format in ("BMP", "WebP"):
        at, extra = (2, 0) if header.format == "BMP" else (4, 8)
        declared = struct.unpack_from("<I", data, at)[0] + extra
        if len(data) * 50 < declared:  # next to nothing is there: not worth showing as a picture
            return b""
    missing = header.width * header.height * header.channels * max(1, header.bits // 8)
    return data + bytes(missing + 1024)


def _mended_png(data: bytes, header: Header) -> bytes:
    """Keep the rows that inflate, add black ones; interlaced rows are no use without the rest.

    Empty when under a hundredth of the rows is there, or the header fails its own checksum: then
    the size is not to be believed either.
    """
    row = 1 + (header.width * header.channels * header.bits + 7) // 8
    packed, kept = bytearray(), []
    for kind, start, length in png_chunks(data):
        if kind == b"IDAT":
            packed += data[start : start + length]
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"):
            kept.append((kind, data[start : start + length]))
    head = zlib.crc32(data[12:29]) == int.from_bytes(data[29:33], "big")
    rows = _inflated(bytes(packed), row * header.height) if head and not header.interlaced else b""
    starts = range(0, len(rows) - row + 1, row)
    good = sum(1 for _ in takewhile(lambda start: rows[start] <= 4, starts))  # 4 filters are known
    if good * 100 < header.height:
        return b""
    packer = zlib.compressobj(1)
    body = packer.compress(rows[: good * row])
    black = bytes(row)
    body += b"".join(packer.compress(black) for _ in range(header.height - good)) + packer.flush()
    kept += [(b"IDAT", body), (b"IEND", b"")]
    return data[:8] + b"".join(_png_chunk(kind, content) for kind, content in kept)


def _inflated(packed: bytes, limit: int) -> bytes:
    """What comes out before the first broken piece, at most ``limit`` bytes."""
    inflater, out = zlib.decompressobj(), bytearray()
    for at in range(0, len(packed), 1024):
        try:
            out += inflater.decompress(packed[at : at + 1024], limit + 1 - len(out))
        except zlib.error:
            break
        if len(out) > limit:
            break
    return bytes(out[:limit])


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
