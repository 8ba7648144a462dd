"""Golden file of SSD300: what torchvision makes of weights that are drawn key by key.

Run with a Python that has torchvision: ``python3 tests/golden/ssd.py`` writes ``ssd.npz`` beside
this file. The tests fill our network by the same rule and compare; they need no torchvision.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("ssd.npz")
SIDE = 300
SAMPLED = 37  # every so manieth row of the heads' output is kept


def filled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of one tensor of the state dict, float32.

    Gains keep activations near 1 on all maps, so that no score is saturated or tied: the input has
    a standard deviation near 64, and every ReLU halves the mean square.
    """
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    values = draw.standard_normal(shape, dtype=np.float32)
    if name.endswith("scale_weight"):
        return 20 + values
    if name.endswith(".bias"):
        return 0.1 * values
    fan = int(np.prod(shape[1:]))
    gain = np.sqrt(2.0) / 64 if name == "backbone.features.0.weight" else np.sqrt(2.0)
    if "classification_head" in name:
        gain = 0.6
    return np.float32(gain / np.sqrt(fan)) * values


def picture(seed: int = 0) -> np.ndarray:
    """A picture (300, 300, 3) uint8: coloured blocks of 20 pixels and some noise."""
    draw = np.random.default_rng(seed)
    blocks = draw.integers(0, 256, (15, 15, 3)).repeat(20, 0).repeat(20, 1)
    noise = draw.integers(-20, 21, (SIDE, SIDE, 3))
    return np.clip(blocks + noise, 0, 255).astype(np.uint8)


TRUTH = np.array([[20, 30, 120, 200], [150, 40, 290, 110], [160, 150, 200, 190]], np.float32)
LABELS = np.array([3, 17, 90])


def main() -> None:
    """Build torchvision's SSD300, fill it, run it, and write the file."""
    import torch
    import torchvision
    from torchvision.models.detection import ssd300_vgg16

    torch.set_num_threads(1)
    network = ssd300_vgg16(weights=None, weights_backbone=None).eval()
    state = {
        name: torch.from_numpy(filled(name, tuple(value.shape)))
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    kept: dict[str, torch.Tensor] = {}
    network.backbone.register_forward_hook(lambda m, i, o: kept.update(o))
    network.head.register_forward_hook(lambda m, i, o: kept.update(o))
    network.anchor_generator.register_forward_hook(lambda m, i, o: kept.update(priors=o[0]))
    x = torch.from_numpy(picture()).permute(2, 0, 1).float() / 255
    with torch.no_grad():
        found = network([x])[0]
        network.train()
        truth = {"boxes": torch.from_numpy(TRUTH), "labels": torch.from_numpy(LABELS)}
        loss = network([x], [truth])
    gaps = -found["scores"].diff()
    sys.stdout.write(
        f"{len(gaps) + 1} boxes, scores {found['scores'][-1]:.4f} to {found['scores'][0]:.4f}, "
        f"smallest gap {gaps.min():.2e}; loss { ({k: float(v) for k, v in loss.items()}) }\n"
    )
    assert gaps.min() > 0, "scores are tied: change the gains"
    np.savez_compressed(
        FILE,
        torchvision=torchvision.__version__,
        torch=torch.__version__,
        parameters=sum(p.numel() for p in network.parameters()),
        keys=np.array(sorted(state)),
        priors=kept["priors"].numpy(),
        logits=kept["cls_logits"][0, ::SAMPLED].numpy(),
        offsets=kept["bbox_regression"][0, ::SAMPLED].numpy(),
        maps=np.array([float(kept[str(k)].abs().mean()) for k in range(6)]),
        conv4_3=kept["0"][0, :, 19, ::5].numpy(),
        boxes=found["boxes"].numpy(),
        scores=found["scores"].numpy(),
        labels=found["labels"].numpy(),
        loss_location=float(loss["bbox_regression"]),
        loss_confidence=float(loss["classification"]),
    )


if __name__ == "__main__":
    main()
