"""A resumable training state as one safetensors file: tensors plus a JSON skeleton, never code.

Weights keep their own names, so that the file is also an ordinary file of weights. Every other
tensor is stored as ``resume:N``, and the nesting around them is JSON in the metadata.
"""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from explorer.core.stores.atomic import atomic
from explorer.core.stores.tensor_files import RESUME
from explorer.engine import Checkpoint

_FORMAT = "layerscope checkpoint 1"


class CheckpointError(ValueError):
    """A state that cannot be written, or a file that is no checkpoint; cause and remedy."""


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; the previous file stays whole until the new one is.

    Raises:
        CheckpointError: the state holds something that is neither a tensor nor a plain value.
        OSError: the folder cannot be written.
    """
    clash = [name for name in checkpoint.weights if name.startswith(RESUME)]
    if clash:
        raise CheckpointError(f"weights must not be called {clash[0]!r}")
    tensors: dict[str, Tensor] = {}
    skeleton = {
        "step": checkpoint.step,
        "weights": list(checkpoint.weights),
        "state": _flatten(dict(checkpoint.state), tensors, "state"),
        "score": _flatten(dict(checkpoint.score), tensors, "score"),
    }
    tensors |= {name: _own(value) for name, value in checkpoint.weights.items()}
    with atomic(path) as part:
        save_file(tensors, part, metadata={"format": _FORMAT, "skeleton": json.dumps(skeleton)})


def load(path: Path) -> Checkpoint:
    """Read a checkpoint back, all tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged or something else.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise CheckpointError(f"{path.name}: not a checkpoint of 'layerscope train'")
            skeleton = json.loads(metadata["skeleton"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path.name}: not a whole safetensors file ({error}); resume from another one"
        ) from error
    return Checkpoint(
        step=skeleton["step"],
        weights={name: tensors[name] for name in skeleton["weights"]},
        state=_rebuild(skeleton["state"], tensors),
        score=_rebuild(skeleton["score"], tensors),
    )


def random_states() -> dict[str, Any]:
    """The states of the global generators of torch (CPU and CUDA), numpy and Python."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "numpy": np.random.get_state(),  # noqa: NPY002 -- engines' libraries draw from the global one
        "python": random.getstate(),
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Put the global generators back; CUDA ones only where as many devices are present.

    Takes lists for tuples, in case the states were copied on the way.
    """
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
    np.random.set_state(tuple(states["numpy"]))  # noqa: NPY002
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))


def _own(value: Tensor) -> Tensor:
    """A contiguous CPU copy with memory of its own, which safetensors asks for."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _flatten(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    """JSON for ``value``; its tensors go to ``tensors`` under new names.

    Plain values are themselves, everything else is a list that begins with a tag.
    """
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else ["float", repr(value)]
    if isinstance(value, Tensor):
        name = f"{RESUME}{len(tensors)}"
        tensors[name] = _own(value)
        return ["tensor", name]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        # Bytes, since torch lacks some of numpy's types; the type string holds the byte order.
        raw = torch.from_numpy(np.frombuffer(value.tobytes(), np.uint8).copy())
        name = f"{RESUME}{len(tensors)}"
        tensors[name] = raw
        tag = "array" if isinstance(value, np.ndarray) else "number"
        return [tag, name, value.dtype.str, list(value.shape)]
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode("ascii")]
    if isinstance(value, Mapping):
        keys = [_flatten(key, tensors, where) for key in value]
        items = [_flatten(item, tensors, f"{where}.{key}") for key, item in value.items()]
        return ["dict", keys, items]
    if isinstance(value, list | tuple):
        tag = "tuple" if isinstance(value, tuple) else "list"
        return [tag, [_flatten(v, tensors, f"{where}[{i}]") for i, v in enumerate(value)]]
    raise CheckpointError(
        f"checkpoint {where} is a {type(value).__name__}; store tensors, numbers, text, and lists "
        f"and dicts of them"
    )


def _rebuild(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `_flatten`."""
    if not isinstance(value, list):
        return value
    tag = value[0]
    if tag == "float":
        return float(value[1])
    if tag == "tensor":
        return tensors[value[1]]
    if tag in ("array", "number"):
        _, name, dtype, shape = value
        array = np.frombuffer(tensors[name].numpy().tobytes(), dtype).reshape(shape)
        return array.copy() if tag == "array" else array[()]
    if tag == "bytes":
        return base64.b64decode(value[1])
    if tag == "dict":
        keys = [_rebuild(key, tensors) for key in value[1]]
        return dict(zip(keys, (_rebuild(item, tensors) for item in value[2]), strict=True))
    items = [_rebuild(item, tensors) for item in value[1]]
    return tuple(items) if tag == "tuple" else items
