"""What happens over the depth of a residual network, and what plain ones did in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from engines.classify.digits import RECORD
from engines.nn.resnet import Block
from explorer.api import Affine, Artefact, Curve, FeatureMaps, Matrix, Scores

SMOOTH = 20  # steps averaged in the loss curves
PATHS = ("identity x", "residual F(x)")


class Depth:
    """Watches the blocks of one pass: the size of both paths, and the maps of one block.

    Attributes:
        size: (height, width) of the maps of the block that is shown.
    """

    def __init__(self, names: list[str], shown: int) -> None:
        self._names = names
        self._shown = shown
        self._rms: list[tuple[float, float, float]] = []
        self._maps: dict[str, Tensor] = {}
        self.size = (1, 1)

    def __call__(self, block: Block, kept: Tensor | None, added: Tensor, y: Tensor) -> None:
        """Note one block; called by the blocks in order."""
        if len(self._rms) == self._shown:
            self.size = int(y.shape[2]), int(y.shape[3])
            self._maps = {} if kept is None else {PATHS[0]: kept[0]}
            self._maps |= {PATHS[1]: added[0], "output": y[0]}
        self._rms.append((0.0 if kept is None else _rms(kept), _rms(added), _rms(y)))

    def block(self, affine: Affine) -> Iterator[FeatureMaps]:
        """Identity, residual and the rectified sum of the block that is shown."""
        name = self._names[self._shown]
        for item, maps in self._maps.items():
            note = f"block {self._shown + 1}, {name}" + (
                "; relu of the sum" if item == "output" else ""
            )
            yield FeatureMaps(f"block/{item}", maps.cpu().numpy(), affine=affine, note=note)

    def norms(self) -> Curve:
        """Root mean square of both paths and of the output, over the blocks."""
        x = np.arange(1, len(self._rms) + 1)
        return Curve(
            "depth/norms", x, np.array(self._rms).T, series=("x", "F(x)", "output"),
            x_label="block",
            note="root mean square of what each path adds",
        )  # fmt: skip

    def switches(self, *, plain: bool) -> Matrix:
        """The same as cells to click: 0 is a path that carries nothing."""
        values = np.array(self._rms).T[:2]
        note = "click a cell to switch a path off or on"
        return Matrix(
            "depth/switches", values, rows=PATHS, columns=self._names, scale="sequential",
            note=f"{note}; a plain network has no identity" if plain else note,
            gestures={"pick": "bypass"},
        )  # fmt: skip


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


class Degradation:
    """The recorded training of the digit networks, as their weights files hold it."""

    def __init__(self, files: Mapping[str, Mapping[str, Tensor]]) -> None:
        self._records = {
            name: {
                k.removeprefix(RECORD): v.float()
                for k, v in tensors.items()
                if k.startswith(RECORD)
            }
            for name, tensors in files.items()
        }

    def artefacts(self) -> Iterator[Artefact]:
        """Training loss over the steps, test error at the end, gradient at the first step."""
        names = list(self._records)
        labels = [name.replace("-", " ") for name in names]
        losses = torch.stack([r["loss"] for r in self._records.values()])
        smooth = losses.unfold(1, SMOOTH, SMOOTH).mean(2)
        x = SMOOTH * np.arange(1, smooth.shape[1] + 1)
        yield Curve(
            "degradation/training loss", x, smooth.numpy(), series=labels, log=True, unit="nat",
            note=f"as recorded when they were trained; mean of {SMOOTH} batches",
        )  # fmt: skip
        errors = np.array([float(r["measured"][-1, 2]) for r in self._records.values()])
        yield Scores(
            "degradation/test error", errors, labels, probability=False,
            note="share of 397 test digits read wrongly",
        )  # fmt: skip
        deepest = names[-1].partition("-")[2]
        pair = [
            self._records[f"{kind}-{deepest}"]["gradient"].numpy() for kind in ("plain", "residual")
        ]
        yield Curve(
            "degradation/gradient at the first step", np.arange(1, len(pair[0]) + 1),
            np.stack(pair),
            series=(f"plain {deepest}", f"residual {deepest}"), x_label="convolution", log=True,
            note="norm of the gradient of each convolution's weights",
        )  # fmt: skip
