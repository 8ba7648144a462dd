"""Optical flow against the rendered clip whose motion is known, and the move against SciPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from engines.nn.style.optical_flow import flow_back, moved_along
from explorer.core.media import open_clip
from explorer.core.paths import assets


def frame(clip: object, i: int) -> torch.Tensor:
    pixels = clip[i]  # type: ignore[index]
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def test_the_ground_of_the_rendered_clip_moves_as_it_was_rendered() -> None:
    truth = json.loads((assets() / "drift.json").read_text("utf-8"))["ground_px_per_frame"]
    clip = open_clip(assets() / "drift.mp4")
    for i in (3, 20, 40):
        flow = flow_back(frame(clip, i + 1), frame(clip, i))
        middle = flow.flatten(1).median(1).values
        assert middle.tolist() == pytest.approx([-v for v in truth], abs=0.15)
    clip.close()


def test_the_moved_frame_is_nearer_to_the_next_one_than_the_frame_itself() -> None:
    clip = open_clip(assets() / "drift.mp4")
    before, now = frame(clip, 10), frame(clip, 11)
    moved = moved_along(before, flow_back(now, before))
    assert float((moved - now).abs().mean()) < 0.3 * float((before - now).abs().mean())
    clip.close()


def test_a_picture_is_sampled_as_scipy_samples_it() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 2, 13, 17, generator=generator, dtype=torch.float64)
    flow = 3.0 * torch.randn(2, 13, 17, generator=generator, dtype=torch.float64)
    made = moved_along(picture, flow)[0].numpy()
    y, x = np.mgrid[:13, :17]
    places = [y + flow[1].numpy(), x + flow[0].numpy()]
    for c in range(2):
        wanted = ndimage.map_coordinates(picture[0, c].numpy(), places, order=1, mode="nearest")
        assert made[c] == pytest.approx(wanted, abs=1e-9)


def test_without_motion_nothing_moves() -> None:
    picture = torch.rand(1, 3, 20, 30)
    assert torch.allclose(moved_along(picture, torch.zeros(2, 20, 30)), picture, atol=1e-5)
