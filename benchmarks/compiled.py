"""torchvision's compiled kernels, timed by an interpreter that has them.

The wheel of torchvision on PyPI does not load beside a torch for the CPU alone; Debian's
python3-torchvision does. The interpreter is named by LAYERSCOPE_TORCHVISION, else it is this one or
``/usr/bin/python3``, whichever can run `torchvision.ops.nms`. It runs this very file, which
therefore imports nothing of ours.
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VARIABLE = "LAYERSCOPE_TORCHVISION"
ABSENT = f"no interpreter with torchvision's compiled kernels was found; name one by {VARIABLE}"
PROBE = "import torch, torchvision; torchvision.ops.nms(torch.ones(1, 4), torch.ones(1), 0.5)"


@dataclass(frozen=True, slots=True)
class Timed:
    """Median seconds of CPU of a call, what it gave, and the version that ran it."""

    seconds: float
    found: np.ndarray
    version: str


@functools.cache
def interpreter() -> str | None:
    """An interpreter whose torchvision works, or None."""
    named = os.environ.get(VARIABLE)
    for path in [named] if named else [sys.executable, "/usr/bin/python3"]:
        if Path(path).exists():
            done = subprocess.run([path, "-I", "-c", PROBE], capture_output=True, check=False)
            if done.returncode == 0:
                return path
    return None


def compiled(operation: str, given: Mapping[str, np.ndarray], repeats: int) -> Timed | None:
    """Run ``nms``, ``roi_align`` or ``roi_pool`` of torchvision; None where there is none."""
    python = interpreter()
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.npz"), Path(folder, "answered.npz")
        np.savez(asked, **given)
        words = [python, "-I", __file__, operation, str(asked), str(answered), str(repeats)]
        subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        with np.load(answered) as answer:
            return Timed(float(answer["seconds"]), answer["found"], str(answer["version"]))


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """CPU of this process for one call, after one to warm up."""
    call()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def main() -> None:
    """What the other interpreter does: read the case, time it, write what it gave."""
    import torch
    import torchvision

    operation, asked, answered, repeats = sys.argv[1:]
    torch.set_num_threads(1)
    with np.load(asked) as arrays:
        given = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    kernel = getattr(torchvision.ops, operation)
    if operation == "nms":
        values = (given["boxes"], given["scores"], float(given["threshold"]))
    else:
        values = (given["maps"], given["rois"], int(given["size"]), float(given["scale"]))
    named = {"sampling_ratio": 2} if operation == "roi_align" else {}
    with torch.no_grad():
        seconds = median_seconds(lambda: kernel(*values, **named), int(repeats))
        found = kernel(*values, **named).numpy()
    np.savez(answered, seconds=seconds, found=found, version=torchvision.__version__)


if __name__ == "__main__":
    main()
