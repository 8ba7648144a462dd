"""Pictures of every awkward sort against Pillow, which reads them with other code."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from explorer.core.media import MediaError, assets, image_from_array, read_image

TURNS = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
LOSSLESS = {"PNG": {}, "TIFF": {}, "BMP": {}, "WEBP": {"lossless": True, "exact": True}}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(Image.open(assets() / "chelsea.png").convert("RGB"))[:120, :200].copy()


def saved(folder: Path, picture: Image.Image, kind: str, name: str = "", **options: object) -> Path:
    path = folder / (name or f"picture.{kind.lower()}")
    picture.save(path, kind, **options)
    return path


def pillow(path: Path) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_very_pixels(
    tmp_path: Path, photo: np.ndarray, kind: str
) -> None:
    found = read_image(saved(tmp_path, Image.fromarray(photo), kind, **LOSSLESS[kind]))
    assert found.pixels.dtype == np.uint8
    assert found.pixels.flags["C_CONTIGUOUS"]
    assert np.array_equal(found.pixels, photo)
    assert found.note == ""
    assert len(found.sha256) == 64


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("alpha", [False, True])
def test_exif_orientation_is_applied(
    tmp_path: Path, photo: np.ndarray, kind: str, orientation: int, alpha: bool
) -> None:
    if alpha and kind == "JPEG":
        kind = "PNG"
    picture = Image.fromarray(photo)
    if alpha:
        mask = np.full(photo.shape[:2], 255, np.uint8)
        mask[:10, :10] = 254
        picture.putalpha(Image.fromarray(mask))
    exif = Image.Exif()
    exif[274] = orientation
    options = dict(LOSSLESS.get(kind, {"quality": 95}))
    options |= {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    path = saved(tmp_path, picture, kind, **options)
    found = read_image(path).pixels
    turn = TURNS[orientation]
    upright = Image.fromarray(photo) if turn is None else Image.fromarray(photo).transpose(turn)
    assert found.shape[:2] == ((120, 200) if orientation < 5 else (200, 120))
    assert difference(found, np.asarray(upright)) < 2.0  # a wrong turn differs by 30 and more


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg_has_its_colours(tmp_path: Path, photo: np.ndarray, adobe: bool) -> None:
    path = saved(tmp_path, Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95)
    if not adobe:  # the marker that says whether ink is stored inverted
        data = path.read_bytes()
        at = data.index(b"\xff\xee")
        length = struct.unpack_from(">H", data, at + 2)[0]
        path.write_bytes(data[:at] + data[at + 2 + length :])
    assert Image.open(path).mode == "CMYK"
    found = read_image(path)
    assert difference(found.pixels, pillow(path)) < 3.0
    assert difference(found.pixels, photo) < 3.0


def test_cmyk_tiff_has_its_colours(tmp_path: Path, photo: np.ndarray) -> None:
    path = saved(tmp_path, Image.fromarray(photo).convert("CMYK"), "TIFF")
    assert difference(read_image(path).pixels, photo) < 3.0


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (mode, kind)
        for mode in ("1", "L", "P", "LA", "RGBA", "PA")
        for kind in ("PNG", "TIFF", "GIF", "WEBP", "BMP")
        if (mode, kind) != ("LA", "BMP")  # Pillow cannot write it
    ],
)
def test_every_mode_looks_as_pillow_lays_it_over_white(
    tmp_path: Path, photo: np.ndarray, mode: str, kind: str
) -> None:
    picture = Image.fromarray(photo)
    if "A" in mode:
        ramp = np.tile(np.linspace(0, 255, photo.shape[1]).astype(np.uint8), (len(photo), 1))
        picture.putalpha(Image.fromarray(ramp))
        picture = picture.quantize(64) if mode == "PA" else picture.convert(mode)
    else:
        picture = picture.convert(mode)
    path = saved(tmp_path, picture, kind, **LOSSLESS.get(kind, {}))
    white = Image.new("RGBA", (photo.shape[1], photo.shape[0]), "white")
    stored = Image.open(path).convert("RGBA")
    if (mode, kind) == ("LA", "TIFF"):  # the decoder leaves this alpha out; the note says so
        stored.putalpha(255)
        assert read_image(path).note == "transparency left out"
    expected = Image.alpha_composite(white, stored).convert("RGB")
    assert difference(read_image(path).pixels, np.asarray(expected)) < 1.0


def test_transparent_parts_are_said_and_white(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:, :4] = (200, 30, 10, 255)
    found = read_image(saved(tmp_path, Image.fromarray(picture), "PNG"))
    assert tuple(found.pixels[0, 0]) == (200, 30, 10)
    assert tuple(found.pixels[0, 7]) == (255, 255, 255)
    assert "over white" in found.note


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_to_8(tmp_path: Path, kind: str) -> None:
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    found = read_image(saved(tmp_path, Image.fromarray(values), kind))
    assert np.array_equal(found.pixels[..., 0], np.round(values / 257).astype(np.uint8))
    assert found.note == "16-bit"


def test_16_bit_colour_keeps_its_channels(tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png(200, 120, b"".join(b"\0" + row.tobytes() for row in
                     (photo.astype(">u2") * 257)), bits=16))  # fmt: skip
    assert np.array_equal(read_image(path).pixels, photo)


def test_12_bits_in_16_are_not_shown_black(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 4096).astype(np.uint16).reshape(64, 64)
    found = read_image(saved(tmp_path, Image.fromarray(values), "PNG"))
    assert found.pixels.min() == 0
    assert found.pixels.max() == 255
    assert "12 bits" in found.note


def test_float_tiff_in_zero_to_one(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    values[0, 0] = np.nan
    found = read_image(saved(tmp_path, Image.fromarray(values), "TIFF")).pixels[..., 0]
    assert found[0, 0] == 0
    assert np.array_equal(found.flat[1:], np.round(values.flat[1:] * 255).astype(np.uint8))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_opens_as_its_first_frame_and_says_so(
    tmp_path: Path, photo: np.ndarray, kind: str
) -> None:
    frames = [Image.fromarray(np.roll(photo, 40 * i, axis=1)) for i in range(5)]
    options = LOSSLESS.get(kind, {}) | ({} if kind == "TIFF" else {"duration": 80})
    path = saved(tmp_path, frames[0], kind, save_all=True, append_images=frames[1:], **options)
    found = read_image(path)
    assert difference(found.pixels, photo) < 8.0  # the second frame differs by 40 and more
    assert found.note.startswith("first of 5 ")


def test_one_pixel(tmp_path: Path) -> None:
    for kind in (*LOSSLESS, "GIF", "JPEG"):
        found = read_image(saved(tmp_path, Image.new("RGB", (1, 1), (200, 100, 50)), kind))
        assert found.pixels.shape == (1, 1, 3), kind
        assert difference(found.pixels, np.array([[[200, 100, 50]]])) < 4


@pytest.mark.parametrize("text", [b"P2 2 1 255\n0 255\n", b"P5 2 1 255\n\x00\xff"])
def test_pnm(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "plain.pgm"
    path.write_bytes(text)
    assert read_image(path).pixels[..., 0].tolist() == [[0, 255]]


def test_avif(tmp_path: Path, photo: np.ndarray) -> None:
    path = saved(tmp_path, Image.fromarray(photo), "AVIF", quality=90)
    assert difference(read_image(path).pixels, photo) < 6


# ---- cut off, empty, lying, and far too large


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_a_file_that_was_cut_off_gives_what_is_there(
    tmp_path: Path,
    photo: np.ndarray,
    kind: str,
    share: float,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = saved(tmp_path, Image.fromarray(photo), kind, **LOSSLESS.get(kind, {"quality": 90}))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    found = read_image(path)
    assert found.pixels.shape == photo.shape
    assert "cut off" in found.note
    whole = np.abs(found.pixels.astype(int) - photo).mean(axis=(1, 2)) < 6  # row by row
    assert share - 0.25 < whole.mean() < 1.0
    assert whole[-1 if kind == "BMP" else 0]  # a BMP starts at its lower edge
    assert not whole[0 if kind == "BMP" else -1]
    assert capfd.readouterr().err == ""  # the decoders' own words would stand beside ours


def test_a_progressive_jpeg_that_was_cut_off_is_whole_but_coarse(
    tmp_path: Path, photo: np.ndarray
) -> None:
    path = saved(tmp_path, Image.fromarray(photo), "JPEG", quality=90, progressive=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    assert difference(read_image(path).pixels, photo) < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("keep", [3, 12, 20, 40])
def test_cut_off_in_the_header_is_one_line(
    tmp_path: Path, photo: np.ndarray, kind: str, keep: int
) -> None:
    path = saved(tmp_path, Image.fromarray(photo), kind, name="broken.bin")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert_message(str(caught.value), "broken.bin", f"{keep} bytes")


def test_what_does_no_harm_is_not_called_damage(tmp_path: Path, photo: np.ndarray) -> None:
    path = saved(tmp_path, Image.fromarray(photo), "PNG")
    data = path.read_bytes()
    comment = struct.pack(">I", 4) + b"tEXt" + b"a\0bc" + b"\0\0\0\0"  # with a wrong checksum
    for changed in (data + b"behind the end" * 9, data[:33] + comment + data[33:]):
        path.write_bytes(changed)
        found = read_image(path)
        assert np.array_equal(found.pixels, photo)
        assert found.note == ""


def test_a_corrupt_middle_is_mended_or_named(tmp_path: Path, photo: np.ndarray) -> None:
    path = saved(tmp_path, Image.fromarray(photo), "PNG")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    found = read_image(path)
    assert "damaged" in found.note
    assert np.array_equal(found.pixels[:20], photo[:20])


def assert_message(message: str, *parts: str) -> None:
    assert "\n" not in message
    assert message.endswith(".")
    assert message.count(". ") >= 1  # a cause, then a remedy
    for part in parts:
        assert part in message, message


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing.png"
    path.touch()
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert_message(str(caught.value), "nothing.png", "empty")


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"%PDF-1.7" + bytes(292))
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert_message(str(caught.value), "broken.jpg: 300 bytes, not a picture", "PNG, JPEG")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(MediaError, match="a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (0, 0)])
def test_zero_sized(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "flat.png"
    path.write_bytes(png(width, height, b""))
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert_message(str(caught.value), "flat.png", f"{width} × {height}")


def png(width: int, height: int, rows: bytes, *, bits: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = rows if rows.startswith(b"\x78") else zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bomb(side: int, *, colour: int) -> bytes:
    """A PNG of side × side black pixels, made row by row so that it is never held whole."""
    packer, row = zlib.compressobj(9), bytes(1 + side * {0: 1, 2: 3, 6: 4}[colour])
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png(side, side, packed, colour=colour)


@pytest.mark.parametrize("colour", [0, 6])
def test_20000_x_20000_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: int
) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(bomb(20_000, colour=colour))
    assert path.stat().st_size < 3_000_000
    monkeypatch.setattr(
        "explorer.core.reading.pictures._decode", lambda *_: pytest.fail("the decoder was called")
    )
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert_message(str(caught.value), "huge.png", "20,000 × 20,000", "GB", "8,000")


@pytest.mark.parametrize("header", [
    b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x2c" + bytes(9) + b"\x02\0\x3b",
    b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 200_000, 200_000, 1, 24) + bytes(24),
    b"P6 90000 90000 255\n",
])  # fmt: skip
def test_other_bombs_are_refused_too(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "huge.bin"
    path.write_bytes(header)
    with pytest.raises(MediaError, match="which would need"):
        read_image(path)


def test_a_large_jpeg_is_read_reduced(tmp_path: Path) -> None:
    y, x = np.mgrid[:300, :400]
    small = np.dstack([x * 0.6, y * 0.8, (x + y) * 0.3]).astype(np.uint8)
    big = Image.fromarray(small).resize((8000, 6000), Image.Resampling.BILINEAR)
    found = read_image(saved(tmp_path, big, "JPEG", quality=90))
    assert found.pixels.shape == (3000, 4000, 3)
    assert "8,000 × 6,000 reduced to 4,000 × 3,000" in found.note
    expected = np.asarray(big.resize((4000, 3000), Image.Resampling.BOX))
    assert difference(found.pixels, expected) < 2


def test_a_progressive_jpeg_of_any_size_is_refused_for_its_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (8, 8)), "JPEG", progressive=True)
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 20_000, 20_000)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"20,000 × 20,000 .* baseline JPEG"):
        read_image(path)


def test_a_large_png_is_reduced_to_the_limit(tmp_path: Path, photo: np.ndarray) -> None:
    path = saved(tmp_path, Image.fromarray(photo), "PNG")
    found = read_image(path, max_pixels=6000)
    assert found.pixels.shape == (60, 100, 3)
    expected = np.asarray(Image.fromarray(photo).resize((100, 60), Image.Resampling.BOX))
    assert difference(found.pixels, expected) < 1


def test_a_chunk_that_claims_gigabytes_costs_nothing(tmp_path: Path, photo: np.ndarray) -> None:
    """libpng sets the claimed length aside at once; a fresh process shows the peak."""
    path = saved(tmp_path, Image.fromarray(photo), "PNG")
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT")
    data[at - 4 : at] = struct.pack(">I", 0xF0000000)
    path.write_bytes(data)
    code = (
        "import sys; from explorer.core.media import read_image\n"
        "print(read_image(sys.argv[1]).pixels.shape)\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    run = [sys.executable, "-c", code, str(path)]
    shape, peak = subprocess.run(
        run, check=True, capture_output=True, text=True, timeout=60
    ).stdout.split("\n")[:2]
    assert shape == str(photo.shape)
    assert int(peak) < 600_000  # kB; cv2 and numpy alone take some 100,000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF"])
def test_damaged_at_random_gives_a_picture_or_one_line(
    tmp_path: Path, photo: np.ndarray, kind: str
) -> None:
    rng = np.random.default_rng(sum(kind.encode()))
    good = saved(tmp_path, Image.fromarray(photo[:40, :60]), kind).read_bytes()
    path, opened, messages = tmp_path / "damaged.bin", 0, []
    for _ in range(120):
        data = bytearray(good)
        for at in rng.integers(0, rng.choice([30, 200, len(data)]), rng.integers(1, 6)):
            data[at % len(data)] = rng.integers(256)
        if rng.random() < 0.3:
            del data[rng.integers(len(data)) :]
        path.write_bytes(data)
        try:
            pixels = read_image(path, max_pixels=1_000_000).pixels
        except MediaError as error:
            messages.append(str(error))
        else:
            opened += 1
            assert pixels.dtype == np.uint8
            assert pixels.ndim == pixels.shape[2] == 3
    assert opened
    assert messages
    assert all(line.startswith("damaged.bin: ") and "\n" not in line for line in messages)


HOSTILE = [
    "näme 写真 🐈.png", "two\nlines.png", "right\u202eto-left.png", "a" * 240 + ".png",
    "-rf.png", "camera:0.png", "http:x.png", "%05d.png", "quote'\".png", "\udcff.png",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_no_obstacle_and_shown_in_one_line(
    tmp_path: Path, photo: np.ndarray, name: str
) -> None:
    path = tmp_path / name
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    found = read_image(path)
    assert np.array_equal(found.pixels, photo)
    assert found.path == path
    assert found.name.isprintable()
    assert 0 < len(found.name) <= 80
    path.write_bytes(b"not a picture")
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert_message(str(caught.value), found.name)
    str(caught.value).encode("utf-8")  # can be printed


def test_a_name_with_a_nul_is_no_file() -> None:
    with pytest.raises(MediaError):
        read_image(Path("nul\0.png"))


# ---- arrays


def test_arrays_of_every_shape(photo: np.ndarray) -> None:
    grey = photo[..., 0]
    assert np.array_equal(image_from_array(photo, "a").pixels, photo)
    assert np.array_equal(image_from_array(grey, "a").pixels, np.dstack([grey] * 3))
    assert np.array_equal(image_from_array(grey[..., None], "a").pixels, np.dstack([grey] * 3))
    clear = np.dstack([photo, np.zeros_like(grey)])
    assert (image_from_array(clear, "a").pixels == 255).all()
    assert np.array_equal(image_from_array(photo / 255.0, "a").pixels, photo)
    assert np.array_equal(image_from_array(photo.astype(np.uint16) * 257, "a").pixels, photo)
    assert image_from_array(grey > 100, "a").pixels.max() == 255


def test_an_array_is_copied(photo: np.ndarray) -> None:
    mine = photo.copy()
    found = image_from_array(mine, "pasted")
    mine[:] = 0
    assert np.array_equal(found.pixels, photo)


@pytest.mark.parametrize("shape", [(3,), (0, 4, 3), (4, 4, 2), (2, 4, 4, 3)])
def test_arrays_that_are_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(MediaError, match="no picture"):
        image_from_array(np.zeros(shape), "array")


@pytest.mark.parametrize("value", ["text", [["a"]], np.zeros((2, 2), complex)])
def test_things_that_are_no_array(value: object) -> None:
    with pytest.raises(MediaError, match="no picture"):
        image_from_array(value, "array")  # type: ignore[arg-type]
