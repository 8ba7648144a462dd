"""The authors' own generator: Cityscapes' labels to street scenes, from a file of the user's.

Wang et al., 2018: `label2city_1024p`, whose inputs are 35 classes one-hot and the edges between
objects. Sizes are read from the tensors, so that a generator of another width loads too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.loading import load_state
from engines.nn.translation.pix2pixhd import LocalEnhancer
from explorer.api import EngineError

NAME = "label2city"
SIDE = 256  # pixels; a multiple of 32, which the enhancer needs
CITY = (7, 26, 11, 21)  # ground, disc, square, triangle: road, car, building, vegetation


class City(nn.Module):
    """A generator alone: no discriminator was published with it."""

    def __init__(self, generator: LocalEnhancer) -> None:
        super().__init__()
        self.generator = generator


def enhancer(tensors: Mapping[str, Tensor]) -> LocalEnhancer:
    """The filled local enhancer of a file with the authors' keys.

    Raises:
        EngineError: these tensors are no local enhancer; what is missing or of another shape.
    """
    first, last = tensors.get("model1_1.1.weight"), tensors.get("model1_2.0.conv_block.1.weight")
    if first is None or last is None or first.ndim != 4:
        raise EngineError(
            f"weights {NAME!r} hold no 'model1_1.1.weight' and 'model1_2.0…': not the authors' "
            f"LocalEnhancer; import latest_net_G.pth of label2city_1024p"
        )
    width, inputs = int(first.shape[0]), int(first.shape[1])
    blocks = _counted(tensors, r"model\.(\d+)\.conv_block\.1\.weight")
    local = _counted(tensors, r"model1_2\.(\d+)\.conv_block\.1\.weight")
    downs = (_counted(tensors, r"model\.(\d+)\.weight") - 1) // 2  # the entrance, as many up
    with torch.device("meta"):
        made = LocalEnhancer(inputs, 3, width, downs, blocks, local)
    made = made.to_empty(device="cpu")
    load_state(made, tensors, NAME)
    return made


def _counted(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in tensors)


def city_input(labels: npt.NDArray[np.uint8], inputs: int) -> Tensor:
    """A map (H, W) of our four classes as (1, inputs, H, W): one-hot, last the edges.

    An edge is a pixel that differs from one of its four neighbours.
    """
    ids = torch.from_numpy(np.asarray(CITY)[labels])
    hot = F.one_hot(ids, inputs - 1).permute(2, 0, 1).float()
    edge = torch.zeros(ids.shape, dtype=torch.bool)
    across, down = ids[:, 1:] != ids[:, :-1], ids[1:] != ids[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return torch.cat([hot, edge[None].float()])[None]
