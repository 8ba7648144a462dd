"""The feature pyramid: torchvision's golden values, what each input gives, counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.two_stage.fpn import FeaturePyramid

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ops-pyramid.npz")
WIDTHS = (6, 10, 14)


def identity(width: int, levels: int) -> FeaturePyramid:
    """A pyramid whose convolutions change nothing."""
    pyramid = FeaturePyramid((width,) * levels, width)
    for module in pyramid.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
    return pyramid


def maps(width: int, *sizes: tuple[int, int]) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(1, width, *size, generator=draw) for size in sizes]


def test_equals_torchvision_on_odd_sides() -> None:
    pyramid = FeaturePyramid(WIDTHS, 8, pool=True)
    names = [key for key in GOLDEN.files if key.startswith("state-")]
    state = {name.removeprefix("state-"): torch.from_numpy(GOLDEN[name]) for name in names}
    pyramid.load_state_dict(state)
    found = pyramid([torch.from_numpy(GOLDEN[f"map{i}"]) for i in range(3)])
    assert len(found) == 4
    for i, level in enumerate(found):
        torch.testing.assert_close(level, torch.from_numpy(GOLDEN[f"level{i}"]), rtol=0, atol=1e-5)


def test_parameters_of_a_resnets_neck() -> None:
    pyramid = FeaturePyramid((256, 512, 1024, 2048), 256)
    assert sum(p.numel() for p in pyramid.parameters()) == 3_344_384


def test_levels_are_sums_of_what_is_above() -> None:
    c = maps(3, (8, 12), (4, 6), (2, 3))
    fine, middle, coarse = identity(3, 3)(c)
    torch.testing.assert_close(coarse, c[2])
    torch.testing.assert_close(middle, c[1] + F.interpolate(c[2], scale_factor=2))
    torch.testing.assert_close(fine, c[0] + F.interpolate(middle, scale_factor=2))


def test_parts_can_be_left_out() -> None:
    c = maps(3, (8, 12), (4, 6), (2, 3))
    pyramid = identity(3, 3)
    pyramid.without_top_down = {0}
    fine, middle, _ = pyramid(c)
    torch.testing.assert_close(fine, c[0])
    torch.testing.assert_close(middle, c[1] + F.interpolate(c[2], scale_factor=2))
    pyramid.without_top_down, pyramid.without_lateral = (), {1, 2}
    fine, middle, coarse = pyramid(c)
    torch.testing.assert_close(fine, c[0])
    assert middle.abs().sum() == coarse.abs().sum() == 0


def test_parts_are_seen() -> None:
    c = maps(3, (5, 7), (3, 4))
    pyramid = identity(3, 2)
    seen = {}
    for name, module in pyramid.named_children():
        module.register_forward_hook(lambda m, a, out, name=name: seen.update({name: out}))
    fine, _ = pyramid(c)
    raised = F.interpolate(c[1], size=(5, 7))
    torch.testing.assert_close(seen["lateral0"], c[0])
    torch.testing.assert_close(seen["top_down0"], raised)
    torch.testing.assert_close(seen["merged0"], fine)
    assert "top_down1" not in seen


def test_a_shift_by_whole_cells_moves_every_level() -> None:
    pyramid = FeaturePyramid((2, 2, 2), 2)
    c = [F.pad(m, (6,) * 4) for m in maps(2, (8, 8), (4, 4), (2, 2))]
    c = [F.interpolate(c[2], scale_factor=f) for f in (4, 2, 1)]
    there = [m.roll((4 >> k, 4 >> k), (2, 3)) for k, m in enumerate(c)]
    for k, (level, moved) in enumerate(zip(pyramid(c), pyramid(there), strict=True)):
        inner = slice(8 >> k, -8 >> k)
        torch.testing.assert_close(
            level.roll((4 >> k,) * 2, (2, 3))[..., inner, inner], moved[..., inner, inner]
        )


def test_another_number_of_maps_is_told() -> None:
    with pytest.raises(ValueError, match="2 maps for a pyramid of 3 levels"):
        FeaturePyramid((3, 3, 3), 4)(maps(3, (4, 4), (2, 2)))
