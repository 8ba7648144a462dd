"""The words of a proof: a stand-alone program of torch and numpy that repeats what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from explorer.editing import Edit
from explorer.engine import Preprocess, resized


class ProofError(RuntimeError):
    """This cannot be repeated outside the window; the message says why."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What the network is called on.

    Attributes:
        module: dotted name of the module that is called; "" is the whole network.
        preprocess, size: how the picture becomes its input, and the picture's (height, width);
            without them the arguments themselves are read from the file.
        args, keywords: each as Python; tensors are ``tensor("arg0")``. ``imports``: for them.
    """

    module: str = ""
    preprocess: Preprocess | None = None
    size: tuple[int, int] = (0, 0)
    args: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What is read: ``kind`` of number, the layers, and for a pixel where it lies in each.

    Attributes:
        cells: of a hypercolumn, for each layer (top, bottom, left, right, down, across): the four
            cells around the pixel and the shares of the lower and of the right ones.
        target: of Grad-CAM, (module, unit) that is explained; ``over``: sum, mean or max of it.
    """

    kind: str
    points: tuple[str, ...]
    cells: tuple[tuple[int, int, int, int, float, float], ...] = ()
    target: tuple[str, int] = ("", 0)
    over: str = "sum"
    call: int = -1


HEAD = """\
import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
"""

FIRST = '''\
def first(out):
    """The tensor in what a module returned: itself, or the first one in a list or dict."""
    if isinstance(out, torch.Tensor):
        return out
    parts = out.values() if isinstance(out, dict) else out
    for part in parts if isinstance(out, (dict, tuple, list)) else ():
        if (found := first(part)) is not None:
            return found
'''

STATE = '''\
def state_sha256(network):
    """One hash over all parameters and buffers."""
    whole = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            whole.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return whole.hexdigest()
'''


def measuring(
    feed: Feed, measured: Measured, edits: Sequence[Edit], shapes: Mapping[str, int]
) -> str:
    """The part that measures: ``measure(network, data, device)`` and all that it needs.

    Args:
        shapes: number of axes of what each edited module returns.
    """
    parts = ["\n".join(feed.imports) + "\n"] if feed.imports else []
    parts.append(FIRST)
    if feed.preprocess is not None:
        parts.append(preparing(feed.preprocess, *feed.size))
    for number, edit in enumerate(edits):
        parts.append(editing(number, edit, shapes.get(edit.point, 0)))
    parts.append(_measure(feed, measured, edits))
    return "\n\n".join(parts)


def preparing(how: Preprocess, height: int, width: int) -> str:
    """``prepared(pixels)``: the input tensor, with the numbers of this picture."""
    target = (how.size, how.size) if isinstance(how.size, int) else how.size
    new_h, new_w = resized(height, width, target, how)
    lines = [
        "def prepared(pixels):",
        f'    """({height}, {width}, 3) uint8 sRGB to what the network takes."""',
        "    x = pixels.permute(2, 0, 1).unsqueeze(0)",
    ]
    if (new_h, new_w) != (height, width):
        lines.append(
            f'    x = F.interpolate(x, ({new_h}, {new_w}), mode="bilinear", antialias=True)'
        )
    lines.append("    x = x.float()")
    shape = (new_h, new_w)
    if target is not None and how.fit in ("crop", "letterbox"):
        top, left = (target[0] - new_h) // 2, (target[1] - new_w) // 2
        pad = (left, target[1] - new_w - left, top, target[0] - new_h - top)
        lines.append(
            f"    x = F.pad(x, {pad}, value={255.0 * how.fill!r})  # negative numbers crop"
        )
        shape = target
    down, right = -shape[0] % how.multiple, -shape[1] % how.multiple
    if down or right:
        lines.append(f"    x = F.pad(x, (0, {right}, 0, {down}), value={255.0 * how.fill!r})")
    if how.order == "BGR":
        lines.append("    x = x.flip(1)")
    lines += [
        f"    mean = torch.tensor({tuple(how.mean)!r}, device=x.device).view(1, 3, 1, 1)",
        f"    std = torch.tensor({tuple(how.std)!r}, device=x.device).view(1, 3, 1, 1)",
        f"    return (x * {how.scale / 255.0!r} - mean) / std",
    ]
    return "\n".join(lines) + "\n"


def editing(number: int, edit: Edit, axes: int) -> str:
    """A forward hook that makes one edit.

    Raises:
        ProofError: it is of a kind that plain torch cannot repeat.
    """
    if edit.op == "freeze":
        raise ProofError(f"{edit.text()}: what a freeze holds comes from another frame")
    where = _where(edit, axes)
    change = {
        "zero": "0.0", "replace": f"{edit.value!r}", "scale": f"old * {edit.value!r}",
        "add": f"old + {edit.value!r}", "clamp": f"old.clamp({edit.value!r}, {edit.high!r})",
    }[edit.op]  # fmt: skip
    new = "new" if edit.mask is not None else change
    lines = [
        f"def edit_{number}(module, args, out):",
        f'    """{edit.text()}"""',
        "    y = out.clone()",
    ]
    if edit.mask is not None or "old" in change:
        lines.append(f"    old = y[{where}]")
    if edit.mask is not None:
        inside = "" if edit.region is None else f"[{_slices(edit)}]"
        value = change if "old" in change else f"torch.full_like(old, {change})"
        lines.append(f'    painted = tensor("mask{number}"){inside}')
        lines.append(f"    new = torch.where(painted, {value}, old)")
    lines += [f"    y[{where}] = {new}", "    return y"]
    return "\n".join(lines) + "\n"


def _where(edit: Edit, axes: int) -> str:
    """Index of the edited cells in a tensor of so many axes."""
    units = str(list(edit.units)) if edit.units else ":"
    cells = ":, :" if edit.region is None else _slices(edit)
    if axes == 4:
        return f":, {units}, {cells}"
    if axes == 3 and not any(edit.units):
        return f":, {cells}"
    if axes == 2 and edit.region is None and edit.mask is None:
        return f":, {units}"
    raise ProofError(f"{edit.text()}: the output of {edit.point} has {axes} axes")


def _slices(edit: Edit) -> str:
    assert edit.region is not None
    top, bottom, left, right = edit.region
    return f"{top}:{bottom}, {left}:{right}"


def _measure(feed: Feed, measured: Measured, edits: Sequence[Edit]) -> str:
    gradient = measured.kind == "grad-cam"
    points = dict.fromkeys([*measured.points, *([measured.target[0]] if gradient else [])])
    lines = [
        "" if gradient else "@torch.no_grad()",
        "def measure(network, data, device):",
        f'    """{_words(measured)}"""',
        "    global tensor",
        "    tensor = lambda name: torch.from_numpy(data[name]).to(device)",
        f"    kept = {{name: [] for name in {list(points)!r}}}",
        "",
        "    def keep(name):",
        "        def hook(module, args, out):",
    ]
    if gradient:
        lines += [
            f"            if name == {measured.points[0]!r}:",
            "                out = first(out).detach().requires_grad_()",
            "            kept[name].append(first(out))",
            "            return out",
        ]
    else:
        lines.append("            kept[name].append(first(out).clone())")
    lines += ["        return hook", "", "    at = network.get_submodule", "    hooks = ["]
    lines += [
        f"        at({e.point!r}).register_forward_hook(edit_{i})," for i, e in enumerate(edits)
    ]
    lines += ["        *[at(name).register_forward_hook(keep(name)) for name in kept],", "    ]"]
    lines += _call(feed)
    lines += ["    for hook in hooks:", "        hook.remove()", *_READ[measured.kind](measured)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _call(feed: Feed) -> list[str]:
    module = "network" if not feed.module else f"at({feed.module!r})"
    args = ", ".join([*feed.args, *(f"{k}={v}" for k, v in feed.keywords.items())])
    return [f"    {module}({args})"]


def _words(measured: Measured) -> str:
    layers = ", ".join(measured.points)
    return {
        "maps": f"Values of {layers}: (units, height, width).",
        "gram": f"Gram matrix of {layers}: F F^T over all positions.",
        "hypercolumn": f"The values of one pixel in {layers}, between the four cells around it.",
        "grad-cam": f"Grad-CAM of unit {measured.target[1]} of {measured.target[0]} in {layers}.",
    }[measured.kind]


def _read_maps(measured: Measured) -> list[str]:
    return [
        f"    x = kept[{measured.points[0]!r}][{measured.call}]",
        "    x = x[0] if x.ndim > 1 else x  # the first sample",
        "    x = x.abs() if x.is_complex() else x",
        "    if x.ndim < 3:  # tokens are one map, a vector is units of one cell",
        "        return (x[None] if x.ndim == 2 else x.reshape(-1, 1, 1)).float()",
        "    return x.reshape(-1, *x.shape[-2:]).float()",
    ]


def _read_gram(measured: Measured) -> list[str]:
    return [
        f"    maps = kept[{measured.points[0]!r}][{measured.call}][0]",
        "    flat = maps.flatten(-2).reshape(maps.shape[-3], -1)",
        "    return flat @ flat.T",
    ]


def _read_hypercolumn(measured: Measured) -> list[str]:
    lines = ["    column = []"]
    for point, cell in zip(measured.points, measured.cells, strict=True):
        top, bottom, left, right, down, across = cell
        lines += [
            f"    v = kept[{point!r}][{measured.call}][0].float()",
            f"    upper = torch.lerp(v[:, {top}, {left}], v[:, {top}, {right}], {across!r})",
            f"    lower = torch.lerp(v[:, {bottom}, {left}], v[:, {bottom}, {right}], {across!r})",
            f"    column.append(torch.lerp(upper, lower, {down!r}))",
        ]
    return [*lines, "    return torch.cat(column)"]


def _read_grad_cam(measured: Measured) -> list[str]:
    target, unit = measured.target
    return [
        f"    maps, score = kept[{measured.points[0]!r}][-1], kept[{target!r}][-1][0, {unit}]",
        "    if score.ndim:",
        f"        score = score.{'amax' if measured.over == 'max' else measured.over}()",
        "    (gradient,) = torch.autograd.grad(score, maps)",
        "    axes = tuple(range(2, maps.ndim))",
        "    weights = gradient.mean(axes, keepdim=True)",
        "    return F.relu((weights * maps).sum(1, keepdim=True)).detach()[0]",
    ]


_READ: Mapping[str, Any] = {
    "maps": _read_maps, "gram": _read_gram, "hypercolumn": _read_hypercolumn,
    "grad-cam": _read_grad_cam,
}  # fmt: skip


def program(
    title: str,
    building: str,
    measuring_: str,
    *,
    name: str,
    file: str,
    device: str,
    threads: int,
    weights: str,
    input_sha256: str,
    values: str,
) -> str:
    """The whole program as text.

    Args:
        building: lines that make ``network``.
        name: that it prints before the numbers.
        file: of the input, as Python that gives a path.
        weights, input_sha256, values: hashes that it checks.
    """
    return f'''\
"""{title}.

Made by layerscope. It needs torch, numpy and what makes the network; the numbers are those of the
window, bit for bit, on the same version of torch and the same number of threads. Give it a file
name to keep the values as .npy.
"""

{HEAD}
DEVICE = {device!r}
INPUT = {file}
INPUT_SHA256 = {input_sha256!r}
WEIGHTS_SHA256 = {weights!r}
VALUES_SHA256 = {values!r}

torch.set_num_threads({threads})


{STATE}

{measuring_}

{building}
found = state_sha256(network)
if found != WEIGHTS_SHA256:
    sys.exit(f"other weights than those of the picture: {{found}}")
if hashlib.sha256(INPUT.read_bytes()).hexdigest() != INPUT_SHA256:
    sys.exit(f"{{INPUT}} is not the input of the picture")
with np.load(INPUT) as data:
    values = measure(network, data, DEVICE).cpu().numpy()
if len(sys.argv) > 1:
    np.save(sys.argv[1], values)
equal = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() == VALUES_SHA256
verdict = "equal" if equal else "NOT EQUAL to the picture"
print({name!r}, values.shape, values.min(), values.max(), verdict)
sys.exit(0 if equal else 1)
'''
