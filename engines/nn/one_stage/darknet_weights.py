"""Darknet's weights files: a header, then the numbers of every layer in one row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.nn.one_stage.darknet import Connected, Darknet, Local
from explorer.api import EngineError

ROOT = 1e-6  # Darknet adds it to the root of the variance
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def load_weights(network: Darknet, path: Path) -> int:
    """Fill a network from a weights file; returns how many pictures it was trained on.

    The header is three int32 (major, minor, revision) and the number of pictures seen, 8 bytes from
    version 0.2 on and 4 before. Then of each layer: bias, for a norm scale, mean and variance, then
    the weights; a connected layer has its weights before the norm.

    Raises:
        EngineError: the file is no weights file, or too short or too long for this cfg.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path.name} cannot be read: {error}") from error
    if len(raw) < 16:
        raise EngineError(f"{path.name}: {len(raw)} bytes are no Darknet weights file")
    major, minor, _ = (int(v) for v in np.frombuffer(raw, "<i4", 3))
    odd = major > 1000 or minor > 1000  # an old mark: connected weights lie the other way round
    wide = major * 10 + minor >= 2 and not odd
    seen = int(np.frombuffer(raw, "<u8" if wide else "<u4", 1, 12)[0])
    start = 20 if wide else 16
    values = np.frombuffer(raw, "<f4", (len(raw) - start) // 4, start)
    wanted = sum(t.numel() for _, t in tensors(network))
    if len(values) != wanted or (len(raw) - start) % 4:
        raise EngineError(_misfit(network, path, len(raw) - start, wanted))
    _fill(network, values, turned=odd)
    return seen


def tensors(network: Darknet) -> list[tuple[int, Tensor]]:
    """All numbers that a weights file holds, with the layer's number, in the file's order."""
    found: list[tuple[int, Tensor]] = []
    for i, layer in enumerate(network.layers):
        norms = [m for m in layer.modules() if isinstance(m, nn.BatchNorm2d)]
        for module in layer.modules():
            if isinstance(module, nn.Conv2d):
                first = _norm(norms[0]) if norms else [module.bias]
                found += [(i, t) for t in (*first, module.weight) if t is not None]
            elif isinstance(module, Local):
                found += [(i, module.bias), (i, module.weight)]
            elif isinstance(module, Connected):
                bias = module.fc.bias if module.norm is None else module.norm.bias
                after = _norm(module.norm)[1:] if module.norm is not None else []
                found += [(i, t) for t in (bias, module.fc.weight, *after) if t is not None]
    return found


def _norm(norm: Norm) -> list[Tensor | None]:
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var]


def _misfit(network: Darknet, path: Path, got: int, wanted: int) -> str:
    """The message for a file of the wrong length: which layer it ends in, or what is left."""
    cfg = network.sections[0].file
    if got > 4 * wanted:
        return (f"{path.name} is {got - 4 * wanted:,} bytes too long for {cfg}, which wants "
                f"{wanted:,} numbers: take the cfg of these weights, with its classes")  # fmt: skip
    ends = np.cumsum([4 * tensor.numel() for _, tensor in tensors(network)])
    i = tensors(network)[int(np.searchsorted(ends, got, side="right"))][0]
    return (f"{path.name} is {4 * wanted - got:,} bytes too short for {cfg}, which wants "
            f"{wanted:,} numbers; it ends in layer {i} (line {network.sections[i].line}): take the "
            "cfg of these weights, with its classes, or load the file again")  # fmt: skip


def _fill(network: Darknet, values: npt.NDArray[Any], *, turned: bool) -> None:
    at = 0
    fc = {id(m.weight) for m in network.modules() if isinstance(m, nn.Linear)}
    variances = {id(m.running_var) for m in network.modules()
                 if isinstance(m, Norm)}  # fmt: skip
    for _, tensor in tensors(network):
        part = torch.from_numpy(values[at : at + tensor.numel()].copy())
        at += tensor.numel()
        if id(tensor) in fc and turned:
            part = part.view(tensor.shape[1], tensor.shape[0]).T
        if id(tensor) in variances:
            part = (part.clamp(min=0).sqrt() + ROOT).square()
        tensor.data.copy_(part.reshape(tensor.shape))
