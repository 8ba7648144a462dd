"""ImageNet classification with EfficientNet-Lite0, and the class-activation map behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.imagenet import class_names, top_scores
from engines.nn.loading import load_state
from explorer.api import (
    Affine,
    Artefact,
    Engine,
    EngineError,
    Field,
    Image,
    ImageInput,
    Inputs,
    Outcome,
    Preprocess,
    Run,
    Scores,
    knob,
    prepare,
)  # fmt: skip

PREPROCESS = Preprocess(size=224, fit="crop", mean=(0.498,) * 3, std=(0.502,) * 3)
LAST_MAPS = "_act1"
STRIDE = 32


@dataclass(frozen=True, slots=True)
class ClassifyParams:
    """Knobs of the classifier."""

    fit: str = knob(
        "crop", choices=("crop", "stretch", "letterbox"), help="how the photo becomes a square"
    )
    size: int = knob(224, low=64, high=448, step=32, unit="px", help="side of the network's input")
    top: int = knob(5, low=1, high=20, unit="classes", effect="again", help="classes in the list")
    explain: int = knob(
        1, low=1, high=20, effect="again", help="which place in the list the evidence map explains"
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What `again` needs: last maps (C, H, W), logits (1000,) and the maps' place in the photo."""

    maps: Tensor
    logits: Tensor
    affine: Affine


class Classify(Engine[ClassifyParams]):
    """EfficientNet-Lite0 on one picture."""

    Params: ClassVar[type[Any]] = ClassifyParams
    layout = "NHWC"
    fuses = True
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Scores, Field)

    network: EfficientNetLite0

    def build(self, params: ClassifyParams) -> nn.Module:
        """Load the published weights."""
        network = EfficientNetLite0()
        load_state(network, self.host.weights("efficientnet-lite0"), "efficientnet-lite0")
        return network

    def run(self, inputs: Inputs, params: ClassifyParams, memory: Any = None) -> Run:
        """Classify one photo."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/photo", photo.pixels, note=photo.name)
        how = replace(PREPROCESS, size=params.size, fit=params.fit)
        x, affine = prepare(photo.pixels, how, self.host.device)
        maps = self.network.features(x)[0]
        logits = self.network._fc(maps.mean((1, 2)).unsqueeze(0))[0]
        # Cell i stands for [32 i, 32 i + 32) of the input; its receptive field is far larger.
        kept = Kept(maps, logits, affine.after(Affine(STRIDE, STRIDE, approximate=True)))
        yield from self.again(kept, params)
        return Outcome(kept=kept)

    def again(self, kept: Kept, params: ClassifyParams) -> Iterator[Artefact]:
        """The class list and the evidence map, from logits and maps already there."""
        yield top_scores("prediction/top classes", kept.logits, params.top, point="_fc")
        chosen = int(kept.logits.topk(params.explain).indices[-1])
        yield Field(
            "evidence/class-activation map",
            class_activation(kept.maps, self.network._fc.weight[chosen]).cpu().numpy(),
            scale="diverging",
            affine=kept.affine,
            unit="logit",
            note=f"what speaks for “{class_names()[chosen]}” (Zhou et al. 2016)",
        )

    def evaluate(
        self, folder: Path, params: ClassifyParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """Top-1 and top-5 accuracy over ``folder/CLASS NAME/picture``."""
        hits = {"top-1": 0, "top-5": 0}
        total = 0
        for sub in sorted(p for p in folder.iterdir() if p.is_dir()):
            if sub.name not in class_names():
                raise EngineError(
                    f"{sub.name!r} is no ImageNet class; name the sub-folders as `layerscope run "
                    "classify` prints the classes"
                )
            for path in sorted(p for p in sub.iterdir() if p.is_file()):
                x, _ = prepare(self.host.read_image(path).pixels, PREPROCESS, self.host.device)
                logits = self.network(x)[0]
                names = [class_names()[i] for i in logits.topk(5).indices.tolist()]
                hits["top-1"] += names[0] == sub.name
                hits["top-5"] += sub.name in names
                total += 1
                yield top_scores(f"evaluation/{path.name}", logits)
        if not total:
            raise EngineError(f"{folder}: no pictures in sub-folders named by class")
        return {name: count / total for name, count in hits.items()} | {"pictures": float(total)}


def class_activation(maps: Tensor, weight: Tensor) -> Tensor:
    """Class-activation map (H, W) in logits; its mean is the logit less the bias.

    Zhou et al., "Learning Deep Features for Discriminative Localization", 2016, eq. 1.

    Args:
        maps: last feature maps (C, H, W) before global average pooling.
        weight: the class's row (C,) of the linear layer.
    """
    return torch.einsum("chw,c->hw", maps, weight)
