"""What this machine has: free memory, and how fast it computes by a quick measurement."""

from __future__ import annotations

import functools
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from explorer.core.stores.tensor_files import size_text
from explorer.engine import EngineError

LARGE = 16 * 2**20  # bytes of one tensor from which on it is worth asking what is free
_CGROUP = Path("/sys/fs/cgroup")


def free_memory(device: torch.device | str = "cpu") -> int | None:
    """Bytes that a program may still take on ``device``; None where the system does not say."""
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [n for n in (_system_memory(), _container_memory()) if n is not None]
    return min(limits, default=None)


def _system_memory() -> int | None:
    if sys.platform == "win32":
        return _windows_memory()
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:  # no Linux: half of what is built in is a careful guess
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return pages * size // 2
    return None


def _windows_memory() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "pages", "free_pages", "virtual", "free_virtual", "more")
        ]

    status = Status(length=ctypes.sizeof(Status))
    call = getattr(ctypes, "windll").kernel32.GlobalMemoryStatusEx  # noqa: B009 -- Windows only
    return int(status.free) if call(ctypes.byref(status)) else None


def _container_memory() -> int | None:
    """What the container's limit leaves; file pages that can be dropped count as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        rows = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    cached = sum(int(r.split()[1]) for r in rows if r.split()[0] in ("inactive_file",))
    return max(0, int(limit) - used + cached)


@dataclass(frozen=True, slots=True)
class Speed:
    """Floating-point operations and bytes a second, and seconds to start one operation."""

    flops: float
    bandwidth: float
    launch: float

    def seconds(self, flops: float, moved: float, operations: int) -> float:
        """Time of so much arithmetic and so many bytes read and written, one after the other."""
        return flops / self.flops + moved / self.bandwidth + operations * self.launch


@functools.lru_cache
def speed(device: torch.device) -> Speed:
    """Measured once a device: a convolution, a product of matrices, a copy and a tiny operation,
    of the size that they have in small networks; about 0.1 s in all."""
    with torch.no_grad():
        x = torch.zeros(1, 64, 56, 56, device=device)
        w = torch.zeros(64, 64, 3, 3, device=device)
        rows, square = torch.zeros(196, 768, device=device), torch.zeros(768, 768, device=device)
        long = torch.zeros(2**22, device=device)
        short = torch.zeros(16, device=device)
        convolution = _typical(lambda: F.conv2d(x, w, padding=1), device)
        product = _typical(lambda: rows @ square, device)
        copy = _typical(lambda: long.clone(), device)
        tiny = _typical(lambda: short.add_(1.0), device)
    arithmetic = 2 * (64 * 64 * 9 * 56 * 56 + 196 * 768 * 768)
    return Speed(arithmetic / (convolution + product), 2 * 4 * 2**22 / copy, tiny)


def _typical(work: Any, device: torch.device, repeats: int = 7) -> float:
    """The median of a few times, the first one left out."""
    times = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begun)
    return max(statistics.median(times[1:]), 1e-9)


_SIZED = {"empty", "zeros", "ones", "full", "rand", "randn"}


class _Guard(TorchFunctionMode):
    """Refuses a tensor that does not fit before the system gives memory that it does not have.

    At the level of Python calls, which is where layers make their weights: a mode below it would
    be seen by torch.jit.trace.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _SIZED:
            shape = _asked_for(args or (kwargs.get("size", ()),))
            dtype = kwargs.get("dtype") or torch.get_default_dtype()
            device = torch.device(kwargs.get("device") or torch.get_default_device())
            if device.type != "meta" and math.prod(shape) * dtype.itemsize >= LARGE:
                _refuse(shape, math.prod(shape) * dtype.itemsize, device)
        return func(*args, **kwargs)


def _asked_for(args: Any) -> tuple[int, ...]:
    """The shape in the arguments of ``torch.empty`` and its like."""
    shape = args[0] if args and isinstance(args[0], (tuple, list)) else args
    return tuple(n for n in shape if isinstance(n, int))


def _refuse(shape: Any, size: int, device: torch.device) -> None:
    free = free_memory(device)
    if free is not None and size > free:
        raise EngineError(
            f"larger than memory: a tensor of {' × '.join(map(str, shape))} takes "
            f"{size_text(size)}, and {size_text(free)} are free; make the network smaller"
        )


@contextmanager
def within_memory() -> Iterator[None]:
    """While a network is made: an EngineError in place of a machine that stands still."""
    with _Guard():
        yield
