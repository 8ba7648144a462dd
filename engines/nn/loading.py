"""Loading named tensors into a network, with a message that names what does not fit."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from explorer.api import EngineError, mismatches

_SHOWN = 4


def load_state(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Copy ``tensors`` into the parameters and buffers of ``network``; every one has to fit.

    Counters of batch norm, which old checkpoints lack, may be missing. Nothing is copied when
    anything else is missing, unexpected or of another shape.

    Args:
        name: what the message calls these weights.

    Raises:
        EngineError: names the first few tensors that do not fit, and how many there are.
    """
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    got = {key: tuple(value.shape) for key, value in tensors.items()}
    optional = {key for key in expected if key.endswith(".num_batches_tracked")} - set(got)
    wanted = {key: shape for key, shape in expected.items() if key not in optional}
    lines = mismatches(wanted, got)
    if lines:
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise EngineError(
            f"weights {name!r} do not fit {type(network).__name__}, which has {len(wanted)} "
            f"tensors: {len(lines)} differ: {'; '.join(lines[:_SHOWN])}{more}. "
            f"Choose the engine or size that these weights belong to."
        )
    network.load_state_dict(dict(tensors), strict=False)
