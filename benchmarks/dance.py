"""The dancer that was trained here, in figures: normalisation, faces, how restless films are."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.line import Effort, Line
from engines.nn.motion.dance_scores import face_quality, quality, unrest
from engines.nn.motion.dancers import FRAMES
from explorer.core.registry import table
from explorer.core.session import Session

JITTERS = (0.0, 1.0)  # px


def measure(effort: Effort) -> Line:
    """Share of the dB between raw poses and the target's own that normalisation recovers.

    ``share`` has it for the paper's, by size and floor alone, and for the one with limbs.
    """
    torch.set_num_threads(1)
    session = Session(table()["dance"], device=effort.device)
    session.open()
    frames = effort.count(FRAMES, 4)
    whole, face = quality(session.network, frames), face_quality(session.network, frames)
    restless = {f"jitter {j:g} px": unrest(session.network, j, frames) for j in JITTERS}
    session.close()
    detail: dict[str, Any] = {
        "frames": frames,
        "psnr_ssim": {name: rounded(pair) for name, pair in whole.items()},
        "face_psnr_ssim": {name: rounded(pair) for name, pair in face.items()},
        "change": {k: {n: round(v, 5) for n, v in row.items()} for k, row in restless.items()},
    }
    raw, own = whole["raw"][0], whole["own skeleton"][0]
    shares = {n: round((whole[n][0] - raw) / (own - raw), 3) for n in whole if "normalised" in n}
    detail["share"] = {n: share for n, share in shares.items() if "painted" not in n}
    share = shares["normalised with limbs"]
    return Line("dance", share, "of the PSNR that own joints gain", ">= 0.9", detail=detail)


def rounded(pair: tuple[float, float]) -> list[float]:
    """PSNR and SSIM with the digits that are told."""
    return [round(pair[0], 2), round(pair[1], 3)]
