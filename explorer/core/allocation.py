"""How the C library keeps the memory that one pass of a network frees for the next one."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# Of mallopt, in malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_PIECE = 1 << 28  # bytes of the largest tensor that is kept
_NEVER = (1 << 31) - 1  # bytes


def keep_freed_memory() -> bool:
    """Have the C library keep what a pass has freed for the next one.

    By default glibc gives it back to the system: each frame of a ResNet-50 then met 5,000 page
    faults, a tenth of its time. To be called before other threads allocate: each would have an
    arena of its own, which holds no piece of more than 64 MiB and is given back at once; style
    transfer at 512 px in the window's second thread spent an eighth of its time in page faults.
    While a gigabyte is given back, no other thread can allocate: a window stood still for 100 ms,
    so that is left to `give_back`. Elsewhere than on glibc nothing is changed.

    Returns:
        whether the C library took it.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    wanted = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _PIECE), (_TRIM_THRESHOLD, _NEVER))
    taken = [bool(mallopt(*each)) for each in wanted]
    return all(taken)


def give_back() -> None:
    """Return to the system what is kept and free: between two engines."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    """A function of glibc; None with another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
