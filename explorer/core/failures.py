"""What an engine raised, as one line with a remedy; the exception itself goes, with its tensors."""

from __future__ import annotations

import gc
import traceback

import torch

from explorer.core.capture import Capture
from explorer.core.devices import is_out_of_memory
from explorer.core.weights import WeightsError
from explorer.engine import EngineError
from explorer.params import KnobError


class EngineFailed(RuntimeError):
    """An engine raised. ``str()`` is one line of cause and remedy, ``traceback`` a text to log."""

    def __init__(self, message: str, trace: str, *, memory: bool = False) -> None:
        super().__init__(message)
        self.traceback = trace
        self.memory = memory


def failure_of(
    error: Exception, engine: str, device: torch.device, capture: Capture | None
) -> Exception:
    """Errors that name a remedy as they are; any other as an EngineFailed of text.

    When memory ran out, what was captured and cached is let go first.
    """
    if isinstance(error, (EngineError, KnobError, EngineFailed, WeightsError)):
        return error.with_traceback(None)
    trace = "".join(traceback.format_exception(error))
    if not is_out_of_memory(error):
        return EngineFailed(f"{engine}: {type(error).__name__}: {error}", trace)
    message = str(error).splitlines()[0]
    traceback.clear_frames(error.__traceback__)
    if capture is not None:
        capture.clear()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    remedy = (
        "choose the CPU or a smaller size" if device.type == "cuda" else "choose a smaller size"
    )
    return EngineFailed(f"{engine}: out of memory ({message}); {remedy}", trace, memory=True)
