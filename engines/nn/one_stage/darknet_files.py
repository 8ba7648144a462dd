"""A person's own Darknet network: a cfg file, its weights and the names of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.nn.detection.coco_names import COCO_80
from engines.nn.one_stage.darknet import Darknet, Head, load_cfg
from engines.nn.one_stage.darknet_weights import load_weights
from explorer.api import EngineError

VOC_20 = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
FORM = "write the path of a cfg, then '; ' and its weights, then '; ' and its names"


@dataclass(frozen=True, slots=True)
class Own:
    """A filled network.

    Attributes:
        head: what its last layer says. names: of its classes.
        words: which files, and on how many pictures it was trained.
    """

    network: Darknet
    head: Head
    names: tuple[str, ...]
    words: str


def own_network(text: str, version: int) -> Own:
    """Load ``CFG; WEIGHTS; NAMES``.

    Files that are not named have the cfg's own name beside it, ending in .weights and .names; the
    classes of VOC and COCO need no names.

    Raises:
        EngineError: a file is missing or wrong, or the network is not of this version of YOLO.
    """
    parts = [Path(part.strip()).expanduser() for part in text.split(";") if part.strip()]
    if not 1 <= len(parts) <= 3:
        raise EngineError(f"{text!r} names {len(parts)} files; {FORM}")
    cfg = parts[0]
    weights = parts[1] if len(parts) > 1 else cfg.with_suffix(".weights")
    if not cfg.is_file():
        raise EngineError(f"{cfg} is not there; {FORM}")
    if not weights.is_file():
        raise EngineError(f"{cfg.name} needs its weights: {weights} is not there; {FORM}")
    network = load_cfg(cfg)
    head = network.head
    if head is None or head.version != version:
        last = network.sections[-1]
        wanted = "[detection]" if version == 1 else "[region]"
        raise EngineError(f"{last.where} ends a network that is no YOLO v{version}: that ends in "
                          f"{wanted}")  # fmt: skip
    seen = load_weights(network, weights)
    named = parts[2] if len(parts) > 2 else cfg.with_suffix(".names")
    names = _names(named, head.classes, wanted=len(parts) > 2)
    return Own(network, head, names, f"your {weights.name}, trained on {seen:,} pictures")


def _names(path: Path, count: int, *, wanted: bool) -> tuple[str, ...]:
    """One name a line; without a file those of VOC or COCO by their number, else numbers."""
    if wanted or path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"{path.name} cannot be read as names of classes: {error}") from error
        names = tuple(line.strip() for line in lines if line.strip())
        if len(names) != count:
            raise EngineError(f"{path.name} has {len(names)} names, the cfg {count} classes")
        return names
    known = {len(VOC_20): VOC_20, len(COCO_80): tuple(COCO_80)}
    return known.get(count, tuple(f"class {i}" for i in range(count)))
