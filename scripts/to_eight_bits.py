"""Write weights that were trained here with eight bits a number.

    python -m scripts.to_eight_bits trained.safetensors assets/weights/small.safetensors

Every tensor of 64 numbers and more becomes uint8 between its smallest and largest value, as
`engines.nn.readers.eight_bits` reads them; the others stay. What that changes is to be measured on
the file that is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engines.nn.readers import QUANTISED

FEWEST = 64  # numbers of a tensor that is worth it


def rounded(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each large tensor as uint8, with step and smallest value beside it."""
    made: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.numel() < FEWEST:
            made[name] = tensor
            continue
        values = tensor.double()
        low, high = values.min(), values.max()
        step = (high - low) / 255 if high > low else torch.ones((), dtype=torch.float64)
        made[name] = ((values - low) / step).round().to(torch.uint8)
        made[name + QUANTISED] = torch.stack([step, low])
    return made


def main() -> None:
    """Read the one file, write the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    with safe_open(given.trained, "pt") as file:
        about = file.metadata()
    save_file(rounded(load_file(given.trained)), given.out, about)


if __name__ == "__main__":
    main()
