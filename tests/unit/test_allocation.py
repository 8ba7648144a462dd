"""Memory that a pass frees is there for the next one, in whatever thread it runs."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys, threading
from explorer.core.allocation import keep_freed_memory

assert keep_freed_memory()


def faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


def work():
    for _ in range(4):
        begun = faults()
        for size in (100, 30):  # MB: beyond what an arena of a thread can hold, and below
            bytes([1]) * (size * 1_000_000)
        print(faults() - begun)


thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_second_thread_meets_no_page_faults_from_its_second_pass_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS], capture_output=True, text=True, timeout=60, check=True
    )
    first, *others = map(int, done.stdout.split())
    assert first > 5_000  # of 4 KiB, mostly: 100 MB
    assert max(others) < 0.1 * first
