"""Golden files of the R-CNN networks: what torchvision makes of weights drawn key by key.

Run with a Python that has torchvision: ``python3 tests/golden/rcnn.py`` writes ``rcnn-KIND.npz``
beside this file. The tests fill our networks by the same rule and compare, without torchvision.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("faster", "mask", "keypoint", "faster_v2", "mask_v2")
SHORTEST, LONGEST = 160, 240  # small pictures, so that the test is quick
BEFORE, AFTER, MOST = 200, 100, 30  # proposals a level, proposals, detections
EVERY = 32  # so manieth channel of each level is kept
PASTED = 3  # masks that are kept in the size of the picture
GAINS = {
    "rpn.head.cls_logits.weight": 1.0,
    "rpn.head.bbox_pred.weight": 0.3,
    "roi_heads.box_predictor.cls_score.weight": 1.5,
    "roi_heads.box_predictor.bbox_pred.weight": 1.5,
}


def file(kind: str) -> Path:
    """Where the golden outputs of a network stand."""
    return Path(__file__).with_name(f"rcnn-{kind}.npz")


def filled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of one tensor of the state dict, float32, drawn by its name alone.

    Gains keep the maps near 1 through the 50 layers, and spread the scores so that none is tied.
    """
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    values = (2 * draw.random(shape, dtype=np.float32) - 1) * np.float32(np.sqrt(3))
    if name.endswith("running_var"):
        return 1 + 0.2 * values
    if ".body." in name and name.endswith((".bias", "running_mean")):
        return 0.1 * values
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if (
        name.endswith("weight") and len(shape) == 1
    ):  # the gain of a norm; small at the end of a branch
        return (0.3 if ".bn3." in name else 1.0) * (1 + 0.2 * values)
    if name.endswith(".bias"):
        return 0.1 * values
    fan = int(np.prod(shape[1:]))
    if "conv5_mask" in name or "kps_score" in name:  # transposed: inputs come first
        fan = shape[0] * (1 if "conv5_mask" in name else 4)
    gain = GAINS.get(name, np.sqrt(2.0) if "inner_blocks" not in name else 0.12)
    return np.float32(gain / np.sqrt(fan)) * values


def picture() -> np.ndarray:
    """A picture (90, 130, 3) uint8: coloured blocks of 10 pixels and some noise."""
    draw = np.random.default_rng(5)
    blocks = draw.integers(0, 256, (9, 13, 3)).repeat(10, 0).repeat(10, 1)
    return np.clip(blocks + draw.integers(-20, 21, blocks.shape), 0, 255).astype(np.uint8)


def network(kind: str) -> Any:
    """torchvision's network with frozen norms, whose eps is 0 as with the official weights."""
    from torchvision.models import detection
    from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.models.resnet import resnet50
    from torchvision.ops.misc import FrozenBatchNorm2d

    sizes = {
        "min_size": SHORTEST,
        "max_size": LONGEST,
        "rpn_pre_nms_top_n_test": BEFORE,
        "rpn_post_nms_top_n_test": AFTER,
        "box_detections_per_img": MOST,
    }
    if kind.endswith("_v2"):
        name = kind.replace("_v2", "rcnn_resnet50_fpn_v2")
        return getattr(detection, name)(weights=None, weights_backbone=None, **sizes).eval()
    body = resnet50(norm_layer=FrozenBatchNorm2d)
    build = {"faster": FasterRCNN, "mask": MaskRCNN, "keypoint": KeypointRCNN}[kind]
    made = build(
        _resnet_fpn_extractor(body, 0),
        2 if kind == "keypoint" else 91,
        **sizes,
    ).eval()
    for module in made.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
    return made


def stages(made: Any, x: Any) -> dict[str, np.ndarray]:
    """Outputs for one picture (3, H, W) in [0, 1]; of every stage where there are only boxes."""
    import torch

    kept: dict[str, Any] = {}
    made.backbone.register_forward_hook(lambda m, i, o: kept.update(levels=list(o.values())))
    made.rpn.head.register_forward_hook(lambda m, i, o: kept.update(logits=o[0], deltas=o[1]))
    made.rpn.anchor_generator.register_forward_hook(lambda m, i, o: kept.update(anchors=o[0]))
    made.rpn.register_forward_hook(lambda m, i, o: kept.update(proposals=o[0][0]))
    made.roi_heads.box_predictor.register_forward_hook(
        lambda m, i, o: kept.update(class_logits=o[0], class_deltas=o[1])
    )
    with torch.no_grad():
        found = made([x])[0]
    stored = {k: v for k, v in found.items() if k != "masks"}
    if stored.keys() == {"boxes", "scores", "labels"} and "masks" not in found:
        stored |= {
            "anchors": kept["anchors"][::7],
            "proposals": kept["proposals"],
            "class_logits": kept["class_logits"],
            "class_deltas": kept["class_deltas"][:, ::5],
        }
        for i, level in enumerate(kept["levels"]):
            stored[f"level{i}"] = level[0, ::EVERY]
            stored[f"logits{i}"] = kept["logits"][i][0]
            stored[f"deltas{i}"] = kept["deltas"][i][0, ::3]
    if "masks" in found:
        stored["masks"] = found["masks"][:PASTED, 0]
        stored["areas"] = found["masks"].sum((1, 2, 3))
    return {name: value.numpy() for name, value in stored.items()}


def main() -> None:
    """Write the three files and say what is in them."""
    import torch
    import torchvision

    torch.set_num_threads(1)
    for kind in KINDS:
        made = network(kind)
        state = {
            n: torch.from_numpy(filled(n, tuple(v.shape))) for n, v in made.state_dict().items()
        }
        made.load_state_dict(state)
        stored = stages(made, torch.from_numpy(picture()).permute(2, 0, 1).float() / 255)
        gaps = -np.diff(stored["scores"])
        sys.stdout.write(
            f"{kind}: {len(stored['boxes'])} boxes, scores {stored['scores'][-1]:.4f} to "
            f"{stored['scores'][0]:.4f}, smallest gap {gaps.min():.1e}\n"
        )
        assert gaps.min() > 1e-5, "scores are nearly tied: change the gains"
        np.savez_compressed(
            file(kind),
            torchvision=torchvision.__version__,
            torch=torch.__version__,
            parameters=sum(p.numel() for p in made.parameters()),
            keys=np.array(sorted(state)),
            **stored,
        )


if __name__ == "__main__":
    main()
