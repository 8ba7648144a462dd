"""Every picture of the documentation, made by the real program: `python -m docs.pictures [NAME]`.

Each is one `layerscope shot`, whose words stand in ``SHOTS``; nothing is drawn by hand. The faces
and VGG-16 must be there: `layerscope weights fetch vgg16-hed dcgan-faces`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "pictures"
ASSETS = HERE.parent / "assets"
PLACES = {"assets": ASSETS.as_posix(), "examples": (HERE / "examples").as_posix()}
WEIGHTS = ("vgg16-hed", "dcgan-faces")
LIMIT = 300_000  # bytes of one picture
EXACT = 64  # colours kept as they are: the planes, letters and lines of the window
DITHER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32)

SHOTS: dict[str, str] = {
    "classify": "{assets}/chelsea.png --engine classify --capture _act0",
    "classify-clip": "{assets}/bunny.mp4 --engine classify --frame 40 --capture _blocks.2",
    "classify-edit": "{assets}/coffee.png --engine classify --capture _blocks.7 "
    "--edit _blocks.7:20,21,22,23,24,25=zero",
    "vgg": "{assets}/chelsea.png --engine vgg --capture features.1 --capture features.22",
    "resnet": "--engine resnet --set bypass=3,1 --size 1600x1000",
    "style": "--engine style --steps 60 --size 1600x1000",
    "fast-style": "{assets}/bunny.mp4 --engine fast-style --frame 30 --set spot=430,120 "
    "--size 1600x1000",
    "fast-style-training": "--engine fast-style --set features=efficientnet-lite0 "
    "--set train_steps=30 --do train --size 1600x1000",
    "nanodet": "--engine nanodet --set score=0.3 --size 1440x900",
    "ssd": "--engine ssd --size 1600x1000",
    "ssd-face": "--engine ssd-face --size 1600x1000",
    "posenet": "--engine posenet --set joint='right elbow' --size 1600x1000",
    "movenet": "{assets}/astronaut.png --engine movenet --size 1600x1000",
    "pix2pixhd": "--engine pix2pixhd --set 'painted=12,14,5,1;18,16,5,1;24,20,5,1' "
    "--capture generator.model.24 --size 1600x1000",
    "dance": "--engine dance --set 'moved=51,23;49,10' --size 1600x1000",
    "dance-jumper": "--engine dance-jumper --set 'moved=46,12;38,40' --size 1600x1000",
    "fast-weights": "--engine fast-weights --size 1440x960",
    "dcgan": "--engine dcgan --size 1600x1000",
    "sppnet": "--engine sppnet --size 1600x1000",
    "fast-rcnn": "--engine fast-rcnn --size 1600x1000",
    "yolo-v1": "--engine yolo-v1 --set cursor=36,30 --size 1600x1000",
    "yolo-v2": "--engine yolo-v2 --set cursor=36,30 --size 1600x1000",
    "yolo-v2-face": "--engine yolo-v2-face --size 1440x960",
    "faster-rcnn": "--engine faster-rcnn --set cursor=20,20 --size 1600x1000",
    "mask-rcnn": "{assets}/shapes-hard.png --engine mask-rcnn --set model=shapes-mask-rcnn-hard "
    "--set cursor=32,52 --size 1600x1000",
    "keypoint-rcnn": "--engine keypoint-rcnn --set cursor=32,50 --size 1600x1000",
    "fpn": "--engine fpn --set off=0,1 --size 1600x1000",
    "yolo9000": "--engine yolo9000 --set cursor=17,47 --size 1600x1000",
    "own-models": "{assets}/coffee.png --engine docs.examples.unet:balanced "
    "--capture down1.2 --size 1600x1000",
    "inspect-overview": "{assets}/chelsea.png --engine classify --inspect overview",
    "inspect-unit": "{assets}/chelsea.png --engine classify --capture _act1 --inspect unit "
    "--set unit.layer=_act1 --set unit.unit=112 --set unit.explain=prediction --size 1600x1000",
    "inspect-maximise": "{assets}/flower.jpg --engine vgg --set size=128 --capture features.20 "
    "--inspect maximise --set maximise.layer=features.20 --set maximise.unit=7 "
    "--set maximise.steps=96 --set maximise.size=128",
    "inspect-worlds": "{assets}/chelsea.png --engine classify --inspect worlds "
    "--set worlds.precision=bfloat16 --set worlds.layer=_act0 --capture _act0",
    "inspect-surgery": "{assets}/chelsea.png --engine classify --capture _blocks.7 "
    "--edit _blocks.7:*[0:14,0:7]=zero --edit _blocks.12:20-29=scale:2",
    "inspect-time": "--engine style --steps 40 --scrub 12 --size 1600x1000",
    "inspect-proof": "{assets}/chelsea.png --engine classify --capture _blocks.7 "
    "--edit _blocks.2:3=zero --inspect pixel --size 1600x1000",
    "inspect-pixel": "{assets}/chelsea.png --engine vgg --capture features.22 --inspect pixel "
    "--set pixel.cursor=200,120 --set pixel.layer=features.22 --size 1600x1000",
    "inspect-gram": "{assets}/chelsea.png --engine classify --inspect gram "
    "--set gram.layer=_blocks.10",
    "inspect-session": "{examples}/study.layerscope --engine classify",
    "inspect-keys": "--engine classify --do keys",
    "light": "{assets}/flower.jpg --engine classify --theme light",
}
"""Arguments of `layerscope shot` by the name of the picture; 1440 x 900 unless it says so."""

Bytes = npt.NDArray[np.uint8]


def command(name: str, out: Path) -> list[str]:
    """The words of the command line that makes a picture."""
    return ["shot", str(out), *shlex.split(SHOTS[name].format(**PLACES))]


def make(name: str) -> str:
    """Take one picture, make it small and put it in its place; returns what went wrong, or ""."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / f"{name}.png"
        # Settings of the person who calls this, such as a saved layout, stay out of the picture.
        environment = {**os.environ, "XDG_CONFIG_HOME": scratch, "QT_QPA_PLATFORM": "offscreen"}
        words = [sys.executable, "-m", "explorer.cli", *command(name, raw)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no message"])[-1]
        picture = cv2.imread(str(raw), cv2.IMREAD_COLOR)
        if picture is None:
            return "the picture could not be read again"
        size = write_small(FOLDER / f"{name}.png", np.asarray(picture, np.uint8))
    return "" if size < LIMIT else f"{size:,} bytes are more than {LIMIT:,}"


def write_small(path: Path, picture: Bytes) -> int:
    """Write a picture (H, W, 3) BGR as a PNG; returns its size in bytes.

    In all its colours where that is below the limit, else in 256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    how = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]
    done, whole = cv2.imencode(".png", picture, how)
    if done and whole.nbytes < LIMIT:
        path.write_bytes(whole.tobytes())
    else:
        write_indexed(path, picture)
    return path.stat().st_size


def write_indexed(path: Path, picture: Bytes) -> None:
    """Write a picture (H, W, 3) BGR as a PNG of 256 colours."""
    from PySide6.QtGui import QImage, qRgb

    index, colours = quantised(picture)
    height, width = index.shape
    data = np.ascontiguousarray(index).data
    image = QImage(data, width, height, width, QImage.Format.Format_Indexed8)
    image.setColorTable([qRgb(int(r), int(g), int(b)) for b, g, r in colours])
    if not image.save(str(path), "PNG", 0):
        raise OSError(f"{path} cannot be written")


def quantised(picture: Bytes) -> tuple[Bytes, Bytes]:
    """Index image (H, W) and colours (at most 256, 3) of a picture (H, W, 3).

    The most frequent colours stay exact, so that flat planes and letters do; the rest are means,
    with an ordered dither against bands in the colour bars and photos.
    """
    flat = picture.reshape(-1, 3)
    found, where, counts = np.unique(flat, axis=0, return_inverse=True, return_counts=True)
    often = counts.argsort()[::-1]
    exact, rest = found[often[:EXACT]], often[EXACT:]
    if len(rest) <= 256 - EXACT:
        colours = found[often]
        return nearest(found, colours)[where.reshape(-1)].reshape(picture.shape[:2]), colours
    cv2.setRNGSeed(0)
    weight = np.sqrt(counts[rest])
    draw = np.random.default_rng(0).choice(rest, 20_000, p=weight / weight.sum())
    stop = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 20, 0.5)
    points, start = found[draw].astype(np.float32), np.zeros(0, np.int32)
    means = cv2.kmeans(points, 256 - EXACT, start, stop, 1, cv2.KMEANS_PP_CENTERS)[2]
    colours = np.concatenate([exact, means.round().astype(np.uint8)])
    index = nearest(found, colours)[where.reshape(-1)]
    loose = np.flatnonzero((colours[index] != flat).any(1))
    y, x = np.divmod(loose, picture.shape[1])
    noise = (DITHER[y % 4, x % 4][:, None] - 7.5) * 0.8
    index[loose] = nearest(flat[loose] + noise, colours)
    return index.reshape(picture.shape[:2]), colours


def nearest(points: npt.NDArray[Any], colours: Bytes) -> Bytes:
    """Index (N,) of the nearest of the ``colours`` (K, 3) to each of the points (N, 3)."""
    table = colours.astype(np.float32)
    found = np.empty(len(points), np.uint8)
    for part in range(0, len(points), 65536):
        some = points[part : part + 65536].astype(np.float32)
        distance = np.square(table).sum(1) - 2 * some @ table.T
        found[part : part + 65536] = distance.argmin(1)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Make the named pictures, or all."""
    parser = argparse.ArgumentParser(prog="python -m docs.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOTS))
    names = parser.parse_args(words).names or list(SHOTS)
    wrong = [name for name in names if name not in SHOTS]
    if wrong:
        parser.error(f"no picture {wrong[0]!r}; there are {', '.join(SHOTS)}")
    failed = 0
    for name in names:
        problem = make(name)
        failed += bool(problem)
        path = FOLDER / f"{name}.png"
        size = f"{path.stat().st_size / 1024:.0f} KiB" if path.is_file() else "not made"
        print(f"{name:16} {problem or size}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
