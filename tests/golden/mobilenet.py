"""Golden files of the detectors on MobileNetV3: what torchvision makes of weights drawn by name.

Run with a Python that has torchvision: ``python3 tests/golden/mobilenet.py`` writes
``mobilenet-NAME.npz`` beside this file. The tests fill our networks by the same rule and compare.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("ssdlite320", "fpn", "320_fpn")
# One to be resized up in one direction and down in the other; two to be doubled, which is exact in
# single precision: odd ratios differ by 5e-5 between versions of torch, and anchors of 512 px then
# move their boxes by more than a thousandth of a pixel.
PICTURES = {"ssdlite320": (250, 410), "fpn": (80, 120), "320_fpn": (160, 200)}
SMALLER = {"min_size": 160, "max_size": 240, "box_detections_per_img": 50}  # so that it is quick
SAMPLED = 37  # every so manieth row of the heads' output is kept
EVERY = 16  # so manieth channel of each level is kept
LAYERS = ("backbone.body.", "backbone.features.", "backbone.extra.", "head.")
PLACES = 6  # values that are kept of every layer's output, beside its mean size
GAINS = {
    "rpn.head.cls_logits.weight": 1.5,
    "rpn.head.bbox_pred.weight": 0.15,
    "roi_heads.box_predictor.cls_score.weight": 1.2,
    "roi_heads.box_predictor.bbox_pred.weight": 1.5,
}


def file(name: str) -> Path:
    """Where the golden outputs of a network stand."""
    return Path(__file__).with_name(f"mobilenet-{name}.npz")


def filled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of one tensor of the state dict, float32, drawn by its name alone.

    Gains keep the maps near 1 through all blocks, and spread the scores so that none is tied.
    """
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    values = (2 * draw.random(shape, dtype=np.float32) - 1) * np.float32(np.sqrt(3))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return 1 + 0.2 * values
    if name.endswith((".bias", "running_mean")):
        return 0.1 * values
    fan = int(np.prod(shape[1:]))
    gain = GAINS.get(name, np.sqrt(2.0))
    if name.startswith("backbone.") and shape[2:] == (1, 1):
        gain = 0.1 if "inner_blocks" in name else 1.25
    if name.startswith("head.") and name.endswith(".1.weight"):
        gain = 0.9
    return np.float32(gain / np.sqrt(fan)) * values


def picture(name: str) -> np.ndarray:
    """A picture (h, w, 3) uint8: coloured blocks of 10 pixels and some noise."""
    height, width = PICTURES[name]
    draw = np.random.default_rng(7)
    blocks = draw.integers(0, 256, (height // 10, width // 10, 3)).repeat(10, 0).repeat(10, 1)
    return np.clip(blocks + draw.integers(-20, 21, blocks.shape), 0, 255).astype(np.uint8)


def sampled(values: np.ndarray) -> np.ndarray:
    """What is kept of the output of one layer: its mean size and a few values."""
    flat = values.reshape(-1)
    places = np.linspace(0, len(flat) - 1, PLACES).round().astype(int)
    return np.concatenate([[np.abs(flat).mean(dtype=np.float64)], flat[places]]).astype(np.float32)


def network(name: str) -> Any:
    """torchvision's network as its official weights have it: frozen norms in the two-stage ones."""
    from torchvision.models import detection

    if name == "ssdlite320":
        build = detection.ssdlite320_mobilenet_v3_large
        return build(weights=None, weights_backbone=None).eval()
    build = getattr(detection, f"fasterrcnn_mobilenet_v3_large_{name}")
    more = SMALLER if name == "fpn" else {}
    made = build(weights=None, weights_backbone=None, **more)
    freeze(made)  # without weights torchvision makes norms that learn
    return made.eval()


def freeze(module: Any) -> None:
    """Frozen norms in place of those that learn, with the same ``eps``."""
    from torch import nn
    from torchvision.ops.misc import FrozenBatchNorm2d

    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, eps=child.eps))
        else:
            freeze(child)


def stages(made: Any, x: Any) -> dict[str, Any]:
    """Outputs of every stage and layer for one picture (3, H, W) in [0, 1]."""
    import torch

    kept: dict[str, Any] = {}
    nodes: dict[str, np.ndarray] = {}
    for layer, module in made.named_modules():
        if layer.startswith(LAYERS) and not list(module.children()):
            module.register_forward_hook(
                lambda m, i, o, layer=layer: nodes.update({layer: sampled(o.numpy().copy())})
            )
    made.transform.register_forward_hook(lambda m, i, o: kept.update(fed=o[0].tensors))
    if hasattr(made, "head"):
        made.head.register_forward_hook(
            lambda m, i, o: kept.update(
                logits=o["cls_logits"][0, ::SAMPLED], offsets=o["bbox_regression"][0, ::SAMPLED]
            )
        )
        made.anchor_generator.register_forward_hook(lambda m, i, o: kept.update(priors=o[0]))
    else:
        made.backbone.register_forward_hook(
            lambda m, i, o: kept.update(
                {f"level{n}": v[0, ::EVERY] for n, v in enumerate(o.values())}
            )
        )
        made.rpn.head.register_forward_hook(
            lambda m, i, o: kept.update({f"logits{n}": v[0] for n, v in enumerate(o[0])})
        )
        made.rpn.anchor_generator.register_forward_hook(
            lambda m, i, o: kept.update(anchors=o[0][::7])
        )
        made.rpn.register_forward_hook(lambda m, i, o: kept.update(proposals=o[0][0]))
    with torch.no_grad():
        found = made([x])[0]
    kept["fed"] = kept["fed"][0, :, ::9, ::9]
    stored = {name: value.numpy() for name, value in {**kept, **found}.items()}
    return {**stored, "nodes": np.array(list(nodes)), "node_values": np.stack(list(nodes.values()))}


def main() -> None:
    """Write the files and say what is in them."""
    import torch
    import torchvision

    torch.set_num_threads(1)
    for name in NAMES:
        made = network(name)
        state = {
            n: torch.from_numpy(filled(n, tuple(v.shape))) for n, v in made.state_dict().items()
        }
        made.load_state_dict(state)
        x = torch.from_numpy(picture(name)).permute(2, 0, 1).float() / 255
        stored = stages(made, x)
        gaps, sizes = -np.diff(stored["scores"]), stored["node_values"][:, 0]
        sys.stdout.write(
            f"{name}: {len(stored['boxes'])} boxes, scores {stored['scores'][-1]:.4f} to "
            f"{stored['scores'][0]:.4f}, smallest gap {gaps.min():.1e}; {len(sizes)} layers, mean "
            f"sizes {sizes.min():.2g} to {sizes.max():.2g}; "
            f"{len(stored.get('proposals', ()))} proposals\n"
        )
        assert gaps.min() > 0, "scores are tied: change the gains"
        np.savez_compressed(
            file(name),
            torchvision=torchvision.__version__,
            torch=torch.__version__,
            parameters=sum(p.numel() for p in made.parameters()),
            keys=np.array(sorted(state)),
            **stored,
        )


if __name__ == "__main__":
    main()
