"""Where a network runs: choosing the device, holding it, and telling when its memory ran out."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

from explorer.core.allocation import keep_freed_memory
from explorer.engine import EngineError

_LOCKS: dict[str, threading.Lock] = {}


def choose_device(name: str) -> torch.device:
    """``auto`` (CUDA when there is one), ``cpu`` or ``cuda[:n]``.

    Raises:
        EngineError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EngineError(f"unknown device {name!r}; use auto, cpu or cuda[:n]") from error
    if device.type not in ("cpu", "cuda"):
        raise EngineError(f"unknown device {name!r}; use auto, cpu or cuda[:n]")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EngineError(f"device {name!r} is not here; use --device cpu")
    return device


def set_up(threads: int | None = None) -> str:
    """Give torch its threads (one core is left to the window), and say what it runs on."""
    keep_freed_memory()
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) - 1))
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    return f"torch {torch.__version__} ({device})"


def settle_memory() -> None:
    """Collect what is garbage now, and let later collections pass over what has stayed.

    To walk through all that torch, a window and a network consist of takes 70 ms, for which every
    thread stands still, some times a minute.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Turn:
    """One session's turns on a device: it alone runs, with random numbers of its own.

    ``random`` is the state to go on from; None starts from ``seed``.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.device = device
        self.seed = seed
        self.random: Tensor | None = None

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the device for one resumption of an engine."""
        with _LOCKS.setdefault(str(self.device), threading.Lock()):
            cuda = self.device.type == "cuda"
            outer = torch.get_rng_state()
            outer_cuda = torch.cuda.get_rng_state(self.device) if cuda else None
            if self.random is None:
                # torch.manual_seed also looks for devices of every other sort, each time anew.
                torch.default_generator.manual_seed(self.seed)
                if cuda:
                    torch.cuda.manual_seed(self.seed)
            else:
                torch.set_rng_state(self.random)
            try:
                yield
            finally:
                self.random = torch.get_rng_state()
                torch.set_rng_state(outer)
                if outer_cuda is not None:
                    torch.cuda.set_rng_state(outer_cuda, self.device)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory ran out; on the CPU it is a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "not enough memory" in text
    )
