"""A style that was learnt: scales and shifts beside the 26 published ones, or a whole network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from engines.nn.loading import load_state
from engines.nn.style.stylizer import Stylizer
from explorer.api import EngineError

ENGINE = "fast-style"
WANTED = f"name the .safetensors that `layerscope train {ENGINE}` wrote"


def read(text: str) -> tuple[dict[str, Tensor], str]:
    """Tensors of a file, and where they come from in words.

    Raises:
        EngineError: it is not there, or no file of tensors.
    """
    path = Path(text.strip()).expanduser()
    if not path.is_file():
        raise EngineError(f"{path} is not there; {WANTED}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise EngineError(
            f"{path.name} is no whole safetensors file ({error}); {WANTED}"
        ) from error
    if facts.get("engine") != ENGINE:
        return tensors, f"your file {path.name}"
    return tensors, f"trained here, {path.name}, {facts.get('steps', '?')} steps"


def put(network: Stylizer, tensors: Mapping[str, Tensor], name: str) -> None:
    """Add a style to a network of 26, or make it the network of one style that ``tensors`` are.

    Raises:
        EngineError: they are neither; what differs is named.
    """
    rows = {key: value for key, value in network.rows(0).items() if key in tensors}
    one = {key: tuple(value.shape) for key, value in rows.items()}
    if len(rows) == len(tensors) == len(network.rows(0)):
        got = {key: tuple(value.shape) for key, value in tensors.items()}
        if got == one:
            network.take(tensors, network.styles)
            return
    alone = Stylizer(1)
    load_state(alone, tensors, name)
    network.take(alone.rows(0), 0)
    network.load_state_dict(alone.state_dict())
