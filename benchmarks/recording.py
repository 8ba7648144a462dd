"""Four layers recorded at video rate while ResNet-50 runs, against the same without a record."""

from __future__ import annotations

from typing import Any

from benchmarks.line import Effort, Line
from benchmarks.memory import resident
from benchmarks.networks import Noise, row
from benchmarks.stage import Stage, stage
from benchmarks.timing import clock_name, median, paired
from explorer.core.stores.packing import Packed, blocks
from explorer.core.timeline import Timeline

LAYERS = ("layer1", "layer2", "layer3", "layer4")
BLOCK = 5
CAP = 64 * 2**20  # bytes: full, packing and letting go, after fifty frames


def measure(effort: Effort) -> Line:
    """Frames with four panels open; the record is full, so that it packs and lets go as well."""
    rounds, block = effort.count((15, BLOCK), (1, 1))
    clip = Noise(10_000)
    place = [0]
    with stage(row("Resnet50"), device=effort.device, points=LAYERS) as live:
        live.load({"image": clip})
        timeline = live.runner.timeline
        timeline.cap = CAP
        seek(live, place, effort.count(150, 2))

        def watched(*, on: bool) -> None:
            timeline.on = on
            seek(live, place, block)

        before = resident()
        pairs = paired(lambda: watched(on=False), lambda: watched(on=True), rounds, effort.device)
        after = resident()
        kept = share(timeline)
    return Line(
        "recording", pairs.ratio, "× not recording", "<= 1.15",
        detail={
            "layers": len(LAYERS), "plain_ms": round(pairs.base_ms / block, 2),
            "recording_ms": round(pairs.case_ms / block, 2), "clock": clock_name(effort.device),
            "cap_mib": CAP / 2**20, "held_mib": round(timeline.bytes / 2**20, 2),
            "growth_mib": round((after - before) / 2**20, 1), "steps_held": len(timeline), **kept,
        },
    )  # fmt: skip


def seek(live: Stage, place: list[int], count: int) -> None:
    """Show so many frames more."""
    for _ in range(count):
        place[0] += 1
        live.frame(place[0])


def share(timeline: Timeline) -> dict[str, Any]:
    """How many of the recorded arrays are packed, and to which share of their size."""
    held = [b for e in list(timeline._entries) for b in blocks(e.frame)]
    sizes = [b.nbytes / b.array().nbytes for b in held if isinstance(b, Packed)]
    return {
        "arrays_packed": round(len(sizes) / max(1, len(held)), 2),
        "packed_to": round(median(sizes), 2) if sizes else None,
    }
