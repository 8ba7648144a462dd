"""How the C library keeps the memory that one pass of a network frees for the next one."""

from __future__ import annotations

import ctypes
import sys

# Of mallopt, in malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 1 << 28  # bytes


def keep_freed_memory() -> bool:
    """Have the C library keep up to 256 MiB that a pass has freed for the next one.

    By default glibc gives it back to the system: each frame of a ResNet-50 then met 5,000 page
    faults, a tenth of its time. To be called before other threads allocate: each would have an
    arena of its own, which holds no piece of more than 64 MiB and is given back at once; style
    transfer at 512 px in the window's second thread spent an eighth of its time in page faults.
    Elsewhere than on glibc nothing is changed.

    Returns:
        whether the C library took it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library than glibc
        return False
    wanted = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _KEPT), (_TRIM_THRESHOLD, _KEPT))
    taken = [bool(mallopt(*each)) for each in wanted]
    return all(taken)
