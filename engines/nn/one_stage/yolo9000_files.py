"""The published YOLO9000 from a person's own files: Darknet's cfg, weights and tree."""

from __future__ import annotations

from pathlib import Path

from engines.nn.one_stage.darknet_files import own_network
from engines.nn.one_stage.wordtree import read_tree
from engines.nn.one_stage.yolo9000 import Yolo9000
from explorer.api import EngineError

WANTED = "write the path of yolo9000.cfg; with yolo9000.weights, 9k.tree and 9k.names beside it"


def own_yolo9000(text: str) -> tuple[Yolo9000, str]:
    """Load ``CFG; WEIGHTS; TREE``.

    Weights that are not named have the cfg's name beside it; the tree is the one that the cfg
    names, beside it or under ``data``; its names stand in a file .names beside the tree.

    Returns:
        The network, and in words which files it is of.

    Raises:
        EngineError: a file is missing or wrong, or they do not belong together; one line.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not 1 <= len(parts) <= 3:
        raise EngineError(f"{text!r} names {len(parts)} files; {WANTED}")
    cfg = Path(parts[0]).expanduser()
    own = own_network("; ".join(parts[:2]), 2)
    if not own.head.tree:
        raise EngineError(
            f"{cfg.name} names no tree in its [region]: it is a YOLO v2, for the engine yolo-v2"
        )
    named = Path(parts[2]).expanduser() if len(parts) > 2 else _beside(cfg, own.head.tree)
    tree = read_tree(named)
    if len(tree) != own.head.classes:
        raise EngineError(
            f"{cfg.name} has {own.head.classes} classes and {named.name} {len(tree)} nodes; take "
            "the tree of these weights"
        )
    darknet = own.network
    return Yolo9000(tree, darknet, own.head.anchors, darknet.stride, darknet.size), own.words


def _beside(cfg: Path, tree: str) -> Path:
    """The tree that the cfg names, beside it or under ``data`` as in Darknet's own folder."""
    name = Path(tree).name
    for place in (cfg.parent, cfg.parent / "data", cfg.parent.parent / "data"):
        if (place / name).is_file():
            return place / name
    raise EngineError(f"{cfg.name} names the tree {name}, which is not beside it; {WANTED}")
