"""``python -m benchmarks [NAME ...] [--device cuda]``: one line of JSON a benchmark.

Each runs in a process of its own: what one imports or allocates must not weigh on another.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys

from benchmarks import NAMES
from benchmarks.line import Effort


def main() -> int:
    """Run what was asked for; 0 when every goal holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:n]")
    parser.add_argument("--tiny", action="store_true", help="try the parts; figures mean nothing")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    wrong = [name for name in asked.names if name not in NAMES]
    if wrong:
        parser.error(f"no benchmark {wrong[0]!r}; there are {', '.join(NAMES)}")
    if asked.here:
        module = importlib.import_module(NAMES[asked.names[0]])
        print(module.measure(Effort(asked.device, asked.tiny)).json(), flush=True)
        return 0
    held = [apart(name, asked.device, tiny=asked.tiny) for name in asked.names or NAMES]
    return 0 if all(held) else 1


def apart(name: str, device: str, *, tiny: bool) -> bool:
    """Measure in a fresh process; print its line."""
    command = [sys.executable, "-m", "benchmarks", name, "--here", "--device", device]
    done = subprocess.run(
        [*command, *(["--tiny"] if tiny else [])],
        capture_output=True, text=True, check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        sys.stderr.write(done.stderr)
        record = {"name": name, "value": None, "unit": "", "goal": "", "holds": False, "error": why}
        print(json.dumps(record), flush=True)
        return False
    print(lines[-1], flush=True)
    return bool(json.loads(lines[-1])["holds"])


if __name__ == "__main__":
    sys.exit(main())
