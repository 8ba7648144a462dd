"""Readers from other frameworks' weight files to named tensors in the public PyTorch layout."""

from __future__ import annotations

from pathlib import Path

import h5py
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

# Convolutions per block of VGG-16 (Simonyan, Zisserman 2014, configuration D); a pool after each.
_VGG16 = (2, 2, 3, 3, 3)

QUANTISED = ".quantised"  # float64 (2,): step and smallest value of the tensor that it follows


def keras_vgg16(path: Path) -> dict[str, Tensor]:
    """The 13 convolutions of a Keras 3 VGG-16 (or HED) file under torchvision's names.

    Kernels turn from (h, w, in, out) to (out, in, h, w). Names are ``features.N.weight`` and
    ``features.N.bias`` with N counted through convolutions, activations and pools.

    Raises:
        OSError: not an HDF5 file. KeyError: it has other layers.
    """
    tensors: dict[str, Tensor] = {}
    index = 0
    with h5py.File(path, "r") as file:
        for block, convolutions in enumerate(_VGG16, start=1):
            for i in range(convolutions):
                layer = "conv2d" if i == 0 else f"conv2d_{i}"
                values = file[f"block{block}/layers/{layer}/vars"]
                kernel = torch.from_numpy(values["0"][()])
                tensors[f"features.{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
                tensors[f"features.{index}.bias"] = torch.from_numpy(values["1"][()])
                index += 2  # its ReLU
            index += 1  # the pool
    return tensors


def keras_hed(path: Path) -> dict[str, Tensor]:
    """All of a Keras 3 HED file: `keras_vgg16`, and the 1x1 convolutions that make the edge map.

    Those are ``edges.sides.0`` to ``edges.sides.4`` (one a block) and ``edges.fuse``.

    Raises:
        OSError: not an HDF5 file. KeyError: it has other layers.
    """
    tensors = keras_vgg16(path)
    names = {f"dsn{i + 1}": f"edges.sides.{i}" for i in range(5)} | {"fuse": "edges.fuse"}
    with h5py.File(path, "r") as file:
        for theirs, ours in names.items():
            values = file[f"{theirs}/vars"]
            kernel = torch.from_numpy(values["0"][()])
            tensors[f"{ours}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
            tensors[f"{ours}.bias"] = torch.from_numpy(values["1"][()])
    return tensors


def eight_bits(path: Path) -> dict[str, Tensor]:
    """A safetensors file whose uint8 tensors stand for ``step * value + smallest``.

    Step and smallest value are in the tensor of the same name with `QUANTISED` behind it. They are
    applied in double precision and rounded once, as TensorFlow.js reads its files, so that the
    published numbers come out to the last bit. Other tensors stay as they are.

    Raises:
        OSError, ValueError: it is no such file.
    """
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    tensors = {name: value for name, value in stored.items() if not name.endswith(QUANTISED)}
    for name in tensors:
        if name + QUANTISED in stored:
            step, smallest = stored[name + QUANTISED].tolist()
            tensors[name] = (tensors[name].double() * step + smallest).float()
    return tensors
