"""Faster, Mask and Keypoint R-CNN on a feature pyramid, with torchvision's names of all tensors.

Ren et al., 2015; Lin et al., "Feature Pyramid Networks", 2017; He et al., "Mask R-CNN", 2017. A
network is run stage by stage, so that each stage can be seen and the later ones run again:

    framed = frame(pixels, network.framing)
    pyramid = network.backbone(framed.x)
    rpn = network.rpn(pyramid.levels, framed.padded)
    proposals = propose(rpn, framed.size, ProposalRule())
    output = network.roi_heads(pyramid.heads, [proposals.kept], network.strides)
    found = detect(output, framed.size, DetectionRule())

Calling the network does all of it for one picture. Boxes are in pixels of ``framed.x``;
``framed.affine`` leads to the picture's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.loading import load_state
from engines.nn.two_stage.keypoint_head import KeypointHead, KeypointOutput, KeypointPredictor
from engines.nn.two_stage.mask_head import MaskHead, MaskOutput, MaskPredictor
from engines.nn.two_stage.rcnn_backbone import (
    Backbone,
    MobileNetBody,
    Pyramid,
    ResNetBody,
    SmallBody,
)
from engines.nn.two_stage.roi import MultiScaleRoIAlign
from engines.nn.two_stage.roi_heads import (
    BoxHead,
    BoxOutput,
    BoxPredictor,
    ConvBoxHead,
    DetectionRule,
    Detections,
    RoIHeads,
    detect,
)
from engines.nn.two_stage.rpn import (
    ProposalRule,
    Proposals,
    RegionProposalNetwork,
    RpnOutput,
    propose,
)
from explorer.api import IMAGENET_MEAN, IMAGENET_STD, Affine, place

Kind = Literal["faster", "mask", "keypoint"]
Pooling = Literal["align", "pool"]
RATIOS = (0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Framing:
    """How a picture is resized: the short side to ``shortest`` unless the long one would pass
    ``longest``; then padded with zeros on the right and below to a multiple of ``multiple``.
    """

    shortest: int = 800
    longest: int = 1333
    multiple: int = 32

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) before padding; no side vanishes, however thin the picture."""
        sides = torch.tensor([height, width], dtype=torch.float32)  # torchvision rounds as this
        scale = float(torch.min(self.shortest / sides.min(), self.longest / sides.max()))
        return max(1, int(height * scale)), max(1, int(width * scale))


@dataclass(frozen=True, slots=True)
class Framed:
    """A picture as the network gets it: (1, 3, H, W), its size without padding, its place."""

    x: Tensor
    size: tuple[int, int]
    affine: Affine

    @property
    def padded(self) -> tuple[int, int]:
        """(height, width) with padding."""
        return self.x.shape[2], self.x.shape[3]


def normalise(x: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1] with ImageNet's mean and deviation."""
    mean, std = (x.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (x - mean) / std


def frame(
    pixels: npt.NDArray[np.uint8], how: Framing, device: torch.device | str = "cpu"
) -> Framed:
    """A picture (H, W, 3) as the network gets it: normalised, resized, padded, in that order."""
    height, width = pixels.shape[:2]
    rgb = torch.from_numpy(np.array(pixels, order="C")).to(device).permute(2, 0, 1)[None]
    size = how.resized(height, width)
    x = normalise(rgb.float() / 255.0)
    if size != (height, width):
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)
    x = F.pad(x, (0, -size[1] % how.multiple, 0, -size[0] % how.multiple))
    affine = Affine(width / size[1], height / size[0])
    return Framed(place(x, affine), size, affine)


class RCNN(nn.Module):
    """A network of the family; its parts are called one by one, see the head of this file.

    Attributes:
        classes: the background included. ``framing``: how it wants its pictures.
        proposing: how its proposals are chosen unless somebody wants them otherwise.
        strides: of the levels that regions are pooled from.
    """

    def __init__(
        self,
        backbone: Backbone,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        *,
        classes: int,
        framing: Framing,
        proposing: ProposalRule,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.classes = classes
        self.framing = framing
        self.proposing = proposing
        self.strides: tuple[int, ...] = backbone.body.strides

    def forward(
        self,
        x: Tensor,
        size: tuple[int, int],
        proposing: ProposalRule | None = None,
        detecting: DetectionRule | None = None,
    ) -> Seen:
        """All stages for one picture (1, 3, H, W) whose part without padding is ``size``."""
        pyramid: Pyramid = self.backbone(x)
        rpn: RpnOutput = self.rpn(pyramid.levels, (x.shape[2], x.shape[3]))
        proposals = propose(rpn, size, proposing or self.proposing)
        output: BoxOutput = self.roi_heads(pyramid.heads, [proposals.kept], self.strides)
        found = detect(output, size, detecting or DetectionRule())
        masks = keypoints = None
        if self.roi_heads.mask_head is not None:
            masks = self.roi_heads.masks(pyramid.heads, [found.boxes], self.strides)
        if self.roi_heads.keypoint_head is not None:
            keypoints = self.roi_heads.keypoints(pyramid.heads, [found.boxes], self.strides)
        return Seen(pyramid, rpn, proposals, output, found, masks, keypoints)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that came up on the way from one picture to its detections."""

    pyramid: Pyramid
    rpn: RpnOutput
    proposals: Proposals
    output: BoxOutput
    found: Detections
    masks: MaskOutput | None
    keypoints: KeypointOutput | None


def resnet50_fpn(
    kind: Kind = "faster",
    classes: int = 91,
    *,
    points: int = 17,
    framing: Framing | None = None,
    version: Literal[1, 2] = 1,
) -> RCNN:
    """The networks that torchvision calls fasterrcnn_, maskrcnn_ and keypointrcnn_resnet50_fpn.

    Args:
        version: 2 are those of Li et al., "Benchmarking Detection Transfer Learning", 2021, named
            …_fpn_v2: batch norm everywhere, a deeper proposal head, convolutions in the box head.
    """
    second = version == 2
    backbone = Backbone(ResNetBody(50, frozen=not second), 256, pool=True, norm=second)
    sizes = [(32.0,), (64.0,), (128.0,), (256.0,), (512.0,)]
    rpn = RegionProposalNetwork(256, sizes, [RATIOS] * 5, convolutions=version)
    head = ConvBoxHead(256, 7, 4, 1024) if second else BoxHead(256 * 7 * 7, 1024)
    heads = RoIHeads(MultiScaleRoIAlign(7, 2), head, BoxPredictor(1024, classes))
    if kind == "mask":
        heads.add_masks(
            MultiScaleRoIAlign(14, 2),
            MaskHead(256, 256, 4, norm=second),
            MaskPredictor(256, classes),
        )
    elif kind == "keypoint":
        heads.add_keypoints(
            MultiScaleRoIAlign(14, 2), KeypointHead(256, [512] * 8), KeypointPredictor(512, points)
        )
    return RCNN(
        backbone, rpn, heads, classes=classes, framing=framing or Framing(),
        proposing=ProposalRule(),
    )  # fmt: skip


def mobilenet_v3_fpn(
    classes: int = 91, *, low: bool = False, framing: Framing | None = None
) -> RCNN:
    """The networks that torchvision calls fasterrcnn_mobilenet_v3_large_fpn and …_320_fpn.

    Two levels at stride 32 and one at 64, with anchors of five sizes and three shapes on each. By
    equation 1 of the pyramid's paper all regions are pooled from the first level.

    Args:
        low: …_320_fpn, for pictures of low resolution and with few proposals.
    """
    backbone = Backbone(MobileNetBody(), 256, pool=True)
    sizes = [(32.0, 64.0, 128.0, 256.0, 512.0)] * 3
    rpn = RegionProposalNetwork(256, sizes, [RATIOS] * 3)
    heads = RoIHeads(
        MultiScaleRoIAlign(7, 2), BoxHead(256 * 7 * 7, 1024), BoxPredictor(1024, classes)
    )
    few = 150 if low else 1000
    return RCNN(
        backbone, rpn, heads, classes=classes,
        framing=framing or (Framing(320, 640) if low else Framing()),
        proposing=ProposalRule(before=few, after=few, score=0.05),
    )  # fmt: skip


def small(
    kind: Kind = "faster", classes: int = 4, *, points: int = 4, pooling: Pooling = "align"
) -> RCNN:
    """A network of the family for generated scenes of 64 px: 0.24 million parameters, with a mask
    branch 0.29.

    Two levels at strides 4 and 8, 48 channels, anchors of 12 and 22 px in 3 shapes. Regions up to
    18 px are pooled from the finer level.
    """
    backbone = Backbone(SmallBody(), 48, pool=False)
    rpn = RegionProposalNetwork(48, [(12.0,), (22.0,)], [RATIOS] * 2)

    def pool(size: int) -> MultiScaleRoIAlign:
        return MultiScaleRoIAlign(size, 2, canonical=18, level=3, pooling=pooling)

    heads = RoIHeads(pool(5), BoxHead(48 * 5 * 5, 96), BoxPredictor(96, classes))
    if kind == "mask":
        heads.add_masks(pool(7), MaskHead(48, 48, 2), MaskPredictor(48, classes))
    elif kind == "keypoint":
        heads.add_keypoints(
            pool(14), KeypointHead(48, [48, 48]), KeypointPredictor(48, points, enlarge=False)
        )
    framing = Framing(shortest=64, longest=128, multiple=8)
    proposing = ProposalRule(before=150, after=100)
    return RCNN(backbone, rpn, heads, classes=classes, framing=framing, proposing=proposing)


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the official files under today's names; those that have them stay as they are.

    The files of 2019 write ``rpn.head.conv.weight``, ``fpn.inner_blocks.0.weight`` and
    ``mask_fcn1``; counters of batch norm have no place in a frozen one.
    """
    return {
        _today(name): tensor
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }


def _today(name: str) -> str:
    parts = name.split(".")
    if parts[:3] == ["rpn", "head", "conv"] and len(parts) == 4:
        return ".".join([*parts[:3], "0", "0", parts[3]])
    if parts[:2] == ["backbone", "fpn"] and len(parts) == 5:
        return ".".join([*parts[:4], "0", parts[4]])
    if parts[:2] == ["roi_heads", "mask_head"] and parts[2].startswith("mask_fcn"):
        return ".".join([*parts[:2], str(int(parts[2][8:]) - 1), "0", parts[3]])
    return name


def load(network: RCNN, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load an official file, older names included.

    Raises:
        EngineError: names the tensors that do not fit, such as those of another class count.
    """
    load_state(network, renamed(tensors), name)
