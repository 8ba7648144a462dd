"""Shapes in three colours, some discs with a hole: the scenes of YOLO9000's small tree.

`detection.shapes` draws the scene; here its objects are painted anew and named by the leaves of the
tree. Two kinds of pictures, as YOLO9000 has: scenes with boxes, and pictures of one object of which
only the name is known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.nn.detection.shapes import NAMES, SIDE, Scene, scene
from engines.nn.one_stage.wordtree import WordTree, parse_tree

COLOURS = {"red": (215, 60, 50), "green": (60, 190, 70), "blue": (60, 90, 220)}
KINDS = {"round": ("disc", "ring"), "polygon": ("square", "triangle")}
SHAPES = tuple(shape for shapes in KINDS.values() for shape in shapes)
LEAVES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
HOLE = 0.55  # radius of a ring's hole against that of the ring
JITTER, NOISE = 25.0, 8.0  # grey levels: of an object's colour, and of its pixels
STREAM = 9000  # sets these draws apart from those of the scene with the same seed


def coloured(seed: int, *, hard: bool = False, side: int = SIDE) -> Scene:
    """A scene whose labels index `LEAVES`; the same seed gives the same bytes."""
    return _painted(scene(seed, hard=hard, side=side), seed)


def single(seed: int, *, side: int = SIDE) -> Scene:
    """A picture of one object: the largest of a plain scene, the others painted over."""
    drawn = scene(seed, side=side)
    kept = int(drawn.masks.sum((1, 2)).argmax())
    image = drawn.image.copy()
    others = np.delete(drawn.masks, kept, 0).any(0)
    image[others] = _ground(drawn, np.random.RandomState([STREAM, seed, 1]))[others]
    one = slice(kept, kept + 1)
    left = Scene(image, drawn.boxes[one], drawn.labels[one], drawn.masks[one], drawn.keypoints[one])
    return _painted(left, seed)


def shapes_tree() -> WordTree:
    """object -> round, polygon -> disc, ring, square, triangle -> red, green, blue; 19 nodes."""
    words = ["object", *KINDS, *SHAPES, *LEAVES]
    above = dict.fromkeys(KINDS, "object")
    above |= {shape: kind for kind, shapes in KINDS.items() for shape in shapes}
    above |= {leaf: leaf.split()[1] for leaf in LEAVES}
    parents = [words.index(above[word]) if word in above else -1 for word in words]
    lines = [f"{w.replace(' ', '_')} {p}" for w, p in zip(words, parents, strict=True)]
    return parse_tree("\n".join(lines), "shapes.tree")


def leaf_nodes(tree: WordTree) -> npt.NDArray[np.int64]:
    """Node of the tree for each of `LEAVES`."""
    return np.array([tree.find(name) for name in LEAVES], np.int64)


def _painted(drawn: Scene, seed: int) -> Scene:
    draw = np.random.RandomState([STREAM, seed])
    image, ground = drawn.image.astype(np.float64), _ground(drawn, draw)
    labels, masks = [], drawn.masks.copy()
    for box, label, mask in zip(drawn.boxes, drawn.labels, masks, strict=True):
        colour, pierced = int(draw.randint(len(COLOURS))), bool(draw.uniform() < 0.5)
        paint = np.array(tuple(COLOURS.values())[colour]) + draw.uniform(-JITTER, JITTER, 3)
        shape = NAMES[int(label)]
        if shape == "disc" and pierced:
            shape, hole = "ring", mask & _inner(box.astype(np.float64), mask.shape[0])
            image[hole] = ground[hole]
            mask &= ~hole
        image[mask] = paint + draw.normal(0, NOISE, (int(mask.sum()), 3))
        labels.append(LEAVES.index(f"{tuple(COLOURS)[colour]} {shape}"))
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return Scene(pixels, drawn.boxes, np.array(labels, np.int64), masks, drawn.keypoints)


def _inner(box: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Pixels (side, side) that the hole of a ring in ``box`` takes."""
    at = np.arange(side) + 0.5
    x, y = (box[:2] + box[2:]) / 2
    radius = (box[2:] - box[:2]).mean() / 2
    return np.asarray(np.hypot(at[None, :] - x, at[:, None] - y) < HOLE * radius)


def _ground(drawn: Scene, draw: np.random.RandomState) -> npt.NDArray[np.float64]:
    """A background of the colour and noise of the scene's own, (H, W, 3)."""
    free = drawn.image[~drawn.masks.any(0)].astype(np.float64)
    return np.clip(draw.normal(free.mean(0), free.std(0), drawn.image.shape), 0, 255)
