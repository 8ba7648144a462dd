"""Golden file of the R-CNN losses: what torchvision's own training code makes of drawn inputs.

Run with a Python that has torchvision: ``python3 tests/golden/rcnn_losses.py`` writes
``rcnn_losses.npz`` beside this file. The sampler takes everything, so that nothing is random.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("rcnn_losses.npz")
SIDE, CLASSES, POINTS, CELLS = 48, 4, 5, 14


def boxes(draw: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (count, 4) inside the picture, float32."""
    size = draw.uniform(6, 30, (count, 2))
    corner = draw.uniform(0, 1, (count, 2)) * (SIDE - size)
    return np.concatenate([corner, corner + size], 1).astype(np.float32)


def inputs() -> dict[str, np.ndarray]:
    """Two pictures: truths, anchors near and far, outputs of the heads."""
    draw = np.random.default_rng(11)
    made: dict[str, np.ndarray] = {}
    anchors = boxes(draw, 96)
    for i, count in enumerate((3, 2)):
        truth = boxes(draw, count)
        masks = np.zeros((count, SIDE, SIDE), bool)
        for mask, (x1, y1, x2, y2) in zip(masks, truth, strict=True):
            mask[int(y1) : int(y2) + 1, int(x1) : int((x1 + x2) / 2)] = True
        centre = draw.uniform(0, 1, (count, POINTS, 2))
        points = truth[:, None, :2] + centre * (truth[:, None, 2:] - truth[:, None, :2])
        visible = (draw.random((count, POINTS, 1)) < 0.7).astype(np.float32)
        near = truth.repeat(6, 0) + draw.normal(0, 2.0, (6 * count, 4))
        made |= {
            f"truth{i}": truth,
            f"labels{i}": draw.integers(1, CLASSES, count),
            f"masks{i}": masks,
            f"points{i}": np.concatenate([points, visible], 2).astype(np.float32),
            f"proposals{i}": np.concatenate([near, boxes(draw, 20)]).astype(np.float32),
        }
        anchors = np.concatenate(
            [anchors, truth.repeat(3, 0) + draw.normal(0, 1.5, (3 * count, 4))]
        )
    made["anchors"] = anchors.astype(np.float32)
    made["objectness"] = draw.normal(0, 2, (2, len(anchors))).astype(np.float32)
    made["shifts"] = draw.normal(0, 0.3, (2, len(anchors), 4)).astype(np.float32)
    return made


def outputs(draw: np.random.Generator, rows: int, positive: int) -> dict[str, np.ndarray]:
    """What the heads say of so many regions."""
    return {
        "class_logits": draw.normal(0, 2, (rows, CLASSES)).astype(np.float32),
        "class_shifts": draw.normal(0, 1, (rows, 4 * CLASSES)).astype(np.float32),
        "mask_logits": draw.normal(0, 2, (positive, CLASSES, CELLS, CELLS)).astype(np.float32),
        "point_logits": draw.normal(0, 2, (positive, POINTS, CELLS, CELLS)).astype(np.float32),
    }


def main() -> None:
    """Write the file and say what is in it."""
    import torch
    import torchvision
    from torchvision.models.detection import roi_heads as tv
    from torchvision.models.detection.rpn import RegionProposalNetwork

    made = inputs()
    given = {name: torch.from_numpy(value) for name, value in made.items()}
    truths = [{"boxes": given[f"truth{i}"], "labels": given[f"labels{i}"]} for i in range(2)]
    none = {"training": 0, "testing": 0}
    rpn = RegionProposalNetwork(None, None, 0.7, 0.3, 10_000, 1.0, none, none, 0.7)
    anchors = [given["anchors"]] * 2
    labels, matched = rpn.assign_targets_to_anchors(anchors, truths)
    wanted = rpn.box_coder.encode(matched, anchors)
    stored: dict[str, object] = {f"anchor_labels{i}": labels[i].numpy() for i in range(2)}
    pair = rpn.compute_loss(
        given["objectness"].reshape(-1, 1), given["shifts"].reshape(-1, 4), labels, wanted
    )
    stored |= {"objectness_loss": float(pair[0]), "anchor_loss": float(pair[1])}

    heads = tv.RoIHeads(None, None, None, 0.5, 0.5, 10_000, 1.0, None, 0.05, 0.5, 100)
    proposals, matches, labels, wanted = heads.select_training_samples(
        [given["proposals0"], given["proposals1"]], truths
    )
    held = [torch.where(each > 0)[0] for each in labels]
    rows, positive = sum(map(len, labels)), sum(map(len, held))
    made |= outputs(np.random.default_rng(12), rows, positive)
    said = {name: torch.from_numpy(value) for name, value in made.items()}
    pair = tv.fastrcnn_loss(said["class_logits"], said["class_shifts"], labels, wanted)
    stored |= {"class_loss": float(pair[0]), "box_loss": float(pair[1])}
    inside = [p[k] for p, k in zip(proposals, held, strict=True)]
    truth = [m[k] for m, k in zip(matches, held, strict=True)]
    masks, points = ([said[f"{n}{i}"] for i in range(2)] for n in ("masks", "points"))
    true_labels = [t["labels"] for t in truths]
    mask_loss = tv.maskrcnn_loss(said["mask_logits"], inside, masks, true_labels, truth)
    keypoint_loss = tv.keypointrcnn_loss(said["point_logits"], inside, points, truth)
    stored |= {"mask_loss": float(mask_loss), "keypoint_loss": float(keypoint_loss)}
    stored["mask_targets0"] = tv.project_masks_on_boxes(
        masks[0], inside[0], truth[0], CELLS
    ).numpy()
    for i in range(2):
        stored |= {
            f"regions{i}": proposals[i].numpy(),
            f"region_labels{i}": labels[i].numpy(),
            f"region_shifts{i}": wanted[i].numpy(),
        }
    sys.stdout.write(f"{rows} regions, {positive} of them positive\n")
    np.savez_compressed(
        FILE, torchvision=torchvision.__version__, torch=torch.__version__, **made, **stored
    )


if __name__ == "__main__":
    main()
