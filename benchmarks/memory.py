"""Memory over 10,000 frames: resident size and the number of live objects after a warm-up."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.line import Effort, Line
from benchmarks.networks import Noise, row
from benchmarks.stage import Stage, stage
from benchmarks.timing import median
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.core.registry import Row, table
from explorer.core.timeline import Timeline

CAP = 2 * 2**20  # bytes of the timeline: full soon, so that its filling is not taken for growth
EVERY = 25  # frames between two looks at the size


def measure(effort: Effort) -> Line:
    """A quick network for the long run; the classifier, weights and clip, for a shorter one."""
    long = effort.count(10_000, 40)
    quick = run(row("Quick"), "0", Noise(2 * long), long, effort)
    clip = open_clip(assets() / "bunny.mp4")
    shorter = effort.count(600, 10)
    classify = run(table()["classify"], "_blocks.7", clip, shorter, effort)
    clip.close()
    return Line(
        "memory", max(0.0, 100 * quick["growth"]), "% growth", "<= 1",
        detail={
            "frames": long, "mib": quick["mib"], "objects_per_1000_frames": quick["objects"],
            "classify_frames": shorter, "classify_mib": classify["mib"],
            "classify_growth_percent": round(100 * classify["growth"], 2),
            "classify_objects_per_1000_frames": classify["objects"],
            "timeline_cap_mib": CAP // 2**20,
        },
    )  # fmt: skip


def run(engine: Row, point: str, clip: Any, frames: int, effort: Effort) -> dict[str, Any]:
    """Growth of the resident size (share) and of the objects (a thousand frames) after a fifth."""
    sizes: list[tuple[int, int]] = []
    with stage(engine, device=effort.device, points=[point], groups=["prediction"]) as live:
        live.load({"image": clip})
        bound(live.runner.timeline)
        warm = frames // 5
        play(live, clip, 0, warm, sizes)
        before = objects(live)  # empties the timeline, which has to be full again
        play(live, clip, 0, warm, sizes)
        sizes.clear()
        play(live, clip, warm, frames, sizes)
        after = objects(live)
    third = max(1, len(sizes) // 3)
    first, last = (median([s for _, s in part]) for part in (sizes[:third], sizes[-third:]))
    return {
        "growth": last / first - 1,
        "mib": round(last / 2**20, 1),
        "objects": round(1000 * (after - before) / (frames - warm), 1),
    }


def bound(timeline: Timeline) -> None:
    """A small cap: the record is meant to fill 512 MiB, which would be taken for a leak here."""
    timeline.cap = CAP


def play(live: Stage, clip: Any, begin: int, end: int, sizes: list[tuple[int, int]]) -> None:
    """Show frames begin to end, over and over the clip; note the size now and then."""
    for i in range(begin, end):
        live.frame(i % len(clip))
        if i % EVERY == 0 or i == end - 1:
            sizes.append((i, resident()))


def objects(live: Stage) -> int:
    """Objects that the collector knows, with an empty record."""
    live.runner.timeline.clear()
    live.settle(300)
    gc.collect()
    return len(gc.get_objects())


def resident() -> int:
    """Bytes of this process that are in memory now."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
