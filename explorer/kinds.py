"""The closed set of artefacts that engines yield and panels draw, as numpy arrays.

Geometry: Image is uint8 sRGB; Boxes and Keypoints are in input pixels (continuous coordinates, the
centre of pixel ``i`` is ``i + 0.5``); grids carry the `Affine` that leads to input pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Scale = Literal["sequential", "diverging", "probability"]
Gesture = Literal["pick", "box", "drag", "paint", "type"]


# States of boxes: those that were taken away are drawn weaker, those still to be decided faint.
GONE = ("removed", "removed by it", "suppressed", "rejected", "below")
WAITING = "waiting"


class KindError(ValueError):
    """An artefact was given arrays of the wrong shape, type or range."""


@dataclass(frozen=True, slots=True)
class Affine:
    """Axis-aligned map from grid to input pixels, both continuous: ``x_in = sx * x + tx``."""

    sx: float = 1.0
    sy: float = 1.0
    tx: float = 0.0
    ty: float = 0.0
    approximate: bool = False

    def to_input(self, x: float, y: float) -> tuple[float, float]:
        """Map a grid position to input pixels."""
        return self.sx * x + self.tx, self.sy * y + self.ty

    def to_grid(self, x: float, y: float) -> tuple[float, float]:
        """Map an input position to grid coordinates."""
        return (x - self.tx) / self.sx, (y - self.ty) / self.sy

    def after(self, inner: Affine) -> Affine:
        """The map that applies ``inner`` first and then this one."""
        return Affine(
            self.sx * inner.sx,
            self.sy * inner.sy,
            self.sx * inner.tx + self.tx,
            self.sy * inner.ty + self.ty,
            self.approximate or inner.approximate,
        )


_NAMES: dict[type[Any], tuple[str, ...]] = {}  # of each kind's fields, which never change


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a dataclass; looked up at every frame, so they are kept."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in fields(kind))
    return _NAMES[kind]


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """What one ``yield`` hands out.

    Attributes:
        name: ``"group/item"``. One dock a group, the items of a group form a grid.
        step: index within a run; artefacts of one step are shown together.
        frame: index of the clip frame, set by the session.
        run: number of the run, set by the session.
        unit: of the values ("logit", "px", "nat"), shown in the title.
        note: one line that the panel shows below its title (provenance, what to look for).
        gestures: which mouse gesture on this artefact sets which knob.
        target: for Boxes and Scores, the capture point and index that attribution explains.
    """

    name: str
    step: int = field(default=0, kw_only=True)
    frame: int = field(default=0, kw_only=True)
    run: int = field(default=0, kw_only=True)
    unit: str = field(default="", kw_only=True)
    note: str = field(default="", kw_only=True)
    gestures: Mapping[Gesture, str] = field(default_factory=dict, kw_only=True)
    target: tuple[str, int] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        group, slash, item = self.name.partition("/")
        if not (group and slash and item):
            raise KindError(f"artefact name {self.name!r}: write it as 'group/item'")
        self.check()

    def check(self) -> None:
        """Raise KindError when an array has the wrong shape or type."""

    @property
    def group(self) -> str:
        """The dock that shows it."""
        return self.name.partition("/")[0]

    @property
    def item(self) -> str:
        """Its title within the dock."""
        return self.name.partition("/")[2]

    def arrays(self) -> dict[str, Array]:
        """The array fields by name, as `layerscope run` writes them to NPZ."""
        found = {name: getattr(self, name) for name in field_names(type(self))}
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}

    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(int(a.nbytes) for a in self.arrays().values())

    def _array(
        self,
        name: str,
        dims: int | tuple[int, ...],
        *,
        dtype: npt.DTypeLike | None = None,
        accept: str = "biuf",
    ) -> Array:
        """Convert a field to an array, check kind of dtype and number of axes, and store it."""
        value = np.asarray(getattr(self, name), dtype=dtype)
        allowed = (dims,) if isinstance(dims, int) else dims
        if value.dtype.kind not in accept or value.ndim not in allowed:
            raise KindError(
                f"{type(self).__name__} {self.name!r}: {name} has shape {value.shape} and type "
                f"{value.dtype}; wanted {' or '.join(map(str, allowed))} axes of numbers"
            )
        object.__setattr__(self, name, value)
        return value

    def _labels(self, name: str, length: int) -> None:
        """Store labels as a tuple of str of the wanted length (or empty)."""
        labels = tuple(map(str, getattr(self, name)))
        if labels and len(labels) != length:
            raise KindError(
                f"{type(self).__name__} {self.name!r}: {len(labels)} {name} for {length} values"
            )
        object.__setattr__(self, name, labels)


@dataclass(frozen=True, slots=True, eq=False)
class Image(Artefact):
    """A picture (H, W, 3) or a batch (N, H, W, 3), uint8 sRGB; ``labels`` name the tiles.

    ``fps`` above 0: the steps of the run are the frames of a film of that rate, written as MP4.
    """

    image: Array
    labels: Sequence[str] = ()
    affine: Affine | None = None
    fps: float = field(default=0.0, kw_only=True)

    def check(self) -> None:
        """Need uint8 and three channels."""
        image = self._array("image", (3, 4))
        if image.dtype != np.uint8 or image.shape[-1] != 3 or 0 in image.shape:
            raise KindError(
                f"Image {self.name!r}: need (H, W, 3) or (N, H, W, 3) uint8, "
                f"got {image.shape} {image.dtype}"
            )
        self._labels("labels", image.shape[0] if image.ndim == 4 else len(self.labels))


@dataclass(frozen=True, slots=True, eq=False)
class Boxes(Artefact):
    """Boxes (N, 4) as x1, y1, x2, y2 in input pixels, with scores (N,) and labels.

    ``ids``, ``sources`` (index of the anchor or proposal each came from), ``state`` (kept,
    removed, ...), ``cause_id`` and ``cause_iou`` (which box removed it, at which IoU) make an NMS
    film plain data. ``widths`` (N,) in [0, 1] say how thick each is drawn where a line's width
    tells something, a confidence say: 0 is a hairline.
    """

    boxes: Array
    scores: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    labels: Sequence[str] = ()
    ids: Sequence[int] = ()
    sources: Sequence[int] = ()
    state: Sequence[str] = ()
    cause_id: Sequence[int] = ()
    cause_iou: Sequence[float] = ()
    widths: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def check(self) -> None:
        """Need four columns and one score, label and width a box (or none)."""
        boxes = self._array("boxes", 2, dtype=np.float32)
        scores = self._array("scores", 1, dtype=np.float32)
        if boxes.shape[1] != 4 or len(scores) not in (0, len(boxes)):
            raise KindError(f"Boxes {self.name!r}: boxes {boxes.shape}, scores {scores.shape}")
        widths = self._array("widths", 1, dtype=np.float32)
        if len(widths) not in (0, len(boxes)) or not ((widths >= 0) & (widths <= 1)).all():
            raise KindError(
                f"Boxes {self.name!r}: widths are one a box, in [0, 1]; got {len(widths)} for "
                f"{len(boxes)}, {widths.min(initial=1):g} to {widths.max(initial=0):g}"
            )
        self._labels("labels", len(boxes))
        self._labels("state", len(boxes))


@dataclass(frozen=True, slots=True, eq=False)
class Masks(Artefact):
    """Masks (N, H, W), bool or probability in [0, 1], each with a label and a score."""

    masks: Array
    labels: Sequence[str] = ()
    scores: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    affine: Affine | None = None

    def check(self) -> None:
        """Need three axes."""
        masks = self._array("masks", 3)
        self._array("scores", 1, dtype=np.float32)
        self._labels("labels", len(masks))


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints(Artefact):
    """Points (P, K, 3): x, y in input pixels, score in [0, 1]; ``skeleton`` joins index pairs.

    ``ids`` number the figures from frame to frame: each keeps its colour.
    """

    points: Array
    labels: Sequence[str] = ()
    skeleton: Sequence[tuple[int, int]] = ()
    ids: Sequence[int] = ()

    def check(self) -> None:
        """Need (P, K, 3)."""
        points = self._array("points", 3, dtype=np.float32)
        if points.shape[2] != 3:
            raise KindError(f"Keypoints {self.name!r}: need (P, K, 3), got {points.shape}")
        if len(self.ids) not in (0, len(points)):
            raise KindError(f"Keypoints {self.name!r}: {len(self.ids)} ids for {len(points)}")
        self._labels("labels", points.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Field(Artefact):
    """A value (H, W) or vector (H, W, 2) per pixel: depth, flow, heat.

    ``over`` off shows it alone at first where there is a picture to lie on: a gradient is too fine.
    """

    values: Array
    scale: Scale = "sequential"
    affine: Affine | None = None
    over: bool = True

    def check(self) -> None:
        """Need (H, W) or (H, W, 2)."""
        values = self._array("values", (2, 3))
        if values.ndim == 3 and values.shape[2] != 2:
            raise KindError(f"Field {self.name!r}: need (H, W) or (H, W, 2), got {values.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMaps(Artefact):
    """Maps (C, H, W) of one layer; ``labels`` name the units."""

    maps: Array
    labels: Sequence[str] = ()
    affine: Affine | None = None

    def check(self) -> None:
        """Need (C, H, W)."""
        maps = self._array("maps", 3)
        self._labels("labels", len(maps))


@dataclass(frozen=True, slots=True, eq=False)
class Hypercolumn(Artefact):
    """The vector (D,) of all layers at one pixel; ``layers`` are (name, length), in order."""

    values: Array
    layers: Sequence[tuple[str, int]] = ()
    at: tuple[float, float] = (0.0, 0.0)

    def check(self) -> None:
        """The layer lengths add up to D."""
        values = self._array("values", 1)
        if self.layers and sum(n for _, n in self.layers) != len(values):
            raise KindError(
                f"Hypercolumn {self.name!r}: layer lengths do not add up to {len(values)}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Matrix(Artefact):
    """Values (..., R, C) with named leading axes such as layer and head.

    ``scale`` chooses the colour map: sequential, diverging (around 0) or probability ([0, 1]).
    ``own_scale`` False shares one range among the items of the group that have the same ``share``
    (a layer's name, say); without one, among all that have none.
    """

    values: Array
    axes: Sequence[str] = ()
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    scale: Scale = "diverging"
    own_scale: bool = False
    share: str = ""

    def check(self) -> None:
        """Need at least two axes, a name for each leading one, labels of the right length."""
        values = self._array("values", (2, 3, 4, 5))
        if len(self.axes) not in (0, values.ndim - 2):
            raise KindError(
                f"Matrix {self.name!r}: {len(self.axes)} axis names for "
                f"{values.ndim - 2} leading axes"
            )
        self._labels("rows", values.shape[-2])
        self._labels("columns", values.shape[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Scores(Artefact):
    """Scores (N,) with labels, in the order given; ``probability`` fixes the axis to [0, 1].

    ``full`` (M,) are those of all ``classes``, where ``scores`` are the best of them only.
    ``before`` (N,), set by the session, are the scores of the same labels without the edits in
    force; not a number where they are not known.
    """

    scores: Array
    labels: Sequence[str] = ()
    probability: bool = True
    full: Array | None = None
    classes: Sequence[str] = ()
    before: Array | None = None

    def check(self) -> None:
        """Need one label a score (or none)."""
        scores = self._array("scores", 1, dtype=np.float32)
        self._labels("labels", len(scores))
        if self.full is not None:
            count = len(self._array("full", 1, dtype=np.float32))
            if not (isinstance(self.classes, tuple) and len(self.classes) == count):
                self._labels("classes", count)  # the thousand of ImageNet are a tuple of str
        if self.before is not None and len(self._array("before", 1, dtype=np.float32)) != len(
            scores
        ):
            raise KindError(f"Scores {self.name!r}: before has not one value a score")


@dataclass(frozen=True, slots=True, eq=False)
class Histogram(Artefact):
    """Counts (N,) or (S, N) between edges (N + 1,); ``series`` name the S rows."""

    edges: Array
    counts: Array
    series: Sequence[str] = ()

    def check(self) -> None:
        """Edges are one longer than counts."""
        edges = self._array("edges", 1)
        counts = self._array("counts", (1, 2))
        if counts.shape[-1] + 1 != len(edges):
            raise KindError(f"Histogram {self.name!r}: {len(edges)} edges, counts {counts.shape}")
        self._labels("series", counts.shape[0] if counts.ndim == 2 else len(self.series))


@dataclass(frozen=True, slots=True, eq=False)
class Scatter(Artefact):
    """Points (N, 2) in a plane with a class label each; ``axes`` name the two directions."""

    points: Array
    labels: Sequence[str] = ()
    axes: Sequence[str] = ("x", "y")

    def check(self) -> None:
        """Need (N, 2)."""
        points = self._array("points", 2)
        if points.shape[1] != 2:
            raise KindError(f"Scatter {self.name!r}: need (N, 2), got {points.shape}")
        self._labels("labels", len(points))


@dataclass(frozen=True, slots=True, eq=False)
class Curve(Artefact):
    """``y`` (N,) or (S, N) over ``x`` (N,); ``series`` name the lines; ``log`` for a log y axis.

    A curve that grows is yielded whole each time. ``marks`` are labelled horizontal lines.
    """

    x: Array
    y: Array
    series: Sequence[str] = ()
    x_label: str = "step"
    log: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """x and the last axis of y agree."""
        x = self._array("x", 1)
        y = self._array("y", (1, 2))
        if y.shape[-1] != len(x):
            raise KindError(f"Curve {self.name!r}: x {x.shape}, y {y.shape}")
        self._labels("series", y.shape[0] if y.ndim == 2 else len(self.series))


@dataclass(frozen=True, slots=True, eq=False)
class Graph(Artefact):
    """Nodes and edges (E, 2) of node indices; ``weights`` (E,) and ``values`` (N,) colour them.

    ``chosen`` are nodes that stand out, with the edges between two of them: a path, say.
    """

    nodes: Sequence[str]
    edges: Array
    weights: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    values: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    chosen: Sequence[int] = ()

    def check(self) -> None:
        """Edges point at nodes."""
        if not np.size(self.edges):
            object.__setattr__(self, "edges", np.zeros((0, 2), np.int64))
        edges = self._array("edges", 2, accept="iu")
        weights = self._array("weights", 1, dtype=np.float32)
        values = self._array("values", 1, dtype=np.float32)
        wrong = edges.shape[1] != 2 or len(weights) not in (0, len(edges))
        if wrong or len(values) not in (0, len(self.nodes)):
            raise KindError(
                f"Graph {self.name!r}: {len(self.nodes)} nodes with {len(values)} values, edges "
                f"{edges.shape} with {len(weights)} weights"
            )
        self._labels("nodes", len(self.nodes))
        if self.edges.size and (self.edges.min() < 0 or self.edges.max() >= len(self.nodes)):
            raise KindError(f"Graph {self.name!r}: an edge points outside {len(self.nodes)} nodes")
        object.__setattr__(self, "chosen", tuple(int(n) for n in self.chosen))
        if any(not 0 <= n < len(self.nodes) for n in self.chosen):
            raise KindError(f"Graph {self.name!r}: chosen nodes outside {len(self.nodes)} nodes")


@dataclass(frozen=True, slots=True, eq=False)
class Text(Artefact):
    """A text, or tokens with an optional weight (N,) each."""

    text: str
    tokens: Sequence[str] = ()
    weights: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def check(self) -> None:
        """One weight a token (or none)."""
        weights = self._array("weights", 1, dtype=np.float32)
        object.__setattr__(self, "tokens", tuple(str(t) for t in self.tokens))
        if len(weights) not in (0, len(self.tokens)):
            raise KindError(
                f"Text {self.name!r}: {len(weights)} weights, {len(self.tokens)} tokens"
            )


KINDS: tuple[type[Artefact], ...] = (
    Image, Boxes, Masks, Keypoints, Field, FeatureMaps, Hypercolumn, Matrix, Scores, Histogram,
    Scatter, Curve, Graph, Text,
)  # fmt: skip
KIND: Mapping[str, type[Artefact]] = {kind.__name__: kind for kind in KINDS}

# Fields of the artefact itself, which run.json holds, and what lies behind it.
_ABOUT = {
    "name", "step", "frame", "run", "unit", "note", "gestures", "target", "affine", "full",
    "classes", "fps",
}  # fmt: skip


def named_arrays(artefact: Artefact) -> dict[str, Array]:
    """All that an artefact holds under the names of its fields, as an NPZ has it.

    Names of rows, labels and the like become arrays of text; ``layers`` of a Hypercolumn are split
    into names and ``lengths``.
    """
    arrays: dict[str, Array] = {}
    for field_ in fields(artefact):
        value = getattr(artefact, field_.name)
        if field_.name in _ABOUT or isinstance(value, bool | dict | None):
            continue
        if field_.name == "layers":
            arrays["layers"] = np.array([name for name, _ in value], dtype=np.str_)
            arrays["lengths"] = np.array([length for _, length in value], dtype=np.int64)
        elif field_.name == "text":
            arrays["text"] = np.array(value, dtype=np.str_)
        elif isinstance(value, np.ndarray):
            arrays[field_.name] = value
        elif not isinstance(value, str):
            items = list(value)
            arrays[field_.name] = np.array(items) if items else np.array([], dtype=np.str_)
    return arrays
