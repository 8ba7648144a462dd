"""pix2pixHD's networks: the authors' sizes and keys, shapes, receptive field, losses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engines.nn.translation.pix2pixhd import (
    GlobalGenerator,
    LocalEnhancer,
    MultiscaleDiscriminator,
    adversarial,
    feature_matching,
    initialise,
)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# As measured from the classes that the authors released; 36 inputs are Cityscapes' labels and
# edges, 6 a stick figure and the frame before, 39 and 12 what the discriminators see of each.
COUNTS = [
    (lambda: GlobalGenerator(36), 182_546_755),
    (lambda: LocalEnhancer(36), 182_857_059),
    (lambda: GlobalGenerator(6, downs=3), 45_602_755),
    (lambda: MultiscaleDiscriminator(39), 5_603_202),
    (lambda: MultiscaleDiscriminator(39, scales=3), 8_404_803),
    (lambda: GlobalGenerator(6), 182_452_675),
    (lambda: LocalEnhancer(6), 182_715_939),
    (lambda: GlobalGenerator(6, downs=3, blocks=5), 26_724_291),
    (lambda: MultiscaleDiscriminator(12, scales=3), 8_321_859),
    (lambda: MultiscaleDiscriminator(6, scales=1, norm=nn.BatchNorm2d), 2_769_601),
]


@pytest.mark.parametrize(("make", "wanted"), COUNTS)
def test_parameter_counts_are_the_authors(make: object, wanted: int) -> None:
    with torch.device("meta"):  # nothing is allocated
        assert count(make()) == wanted  # type: ignore[operator]


def test_keys_are_the_authors() -> None:
    with torch.device("meta"):
        names = set(LocalEnhancer(36).state_dict())
        critic = set(MultiscaleDiscriminator(39, scales=3).state_dict())
    assert len(names) == 74
    some = ("model.1.weight", "model.16.conv_block.1.weight", "model1_1.4.weight")
    assert {*some, "model1_2.0.conv_block.5.bias", "model1_2.7.bias"} <= names
    assert {"scale0_layer0.0.weight", "scale2_layer4.0.bias"} <= critic
    assert len(critic) == 3 * 5 * 2


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_a_picture_keeps_its_size(size: tuple[int, int]) -> None:
    x = torch.randn(2, 4, *size)
    with torch.no_grad():
        assert GlobalGenerator(4, width=4, blocks=1)(x).shape == (2, 3, *size)
        assert LocalEnhancer(4, width=2, blocks=1)(x).shape == (2, 3, *size)


def test_score_maps_have_the_authors_sizes() -> None:
    """Of 256 x 512: 35 x 67, 19 x 35 and 11 x 19, from the full size down."""
    network = MultiscaleDiscriminator(3, width=2, scales=3)
    with torch.no_grad():
        found = network(torch.randn(1, 3, 256, 512))
    assert [tuple(f[-1].shape) for f in found] == [(1, 1, 35, 67), (1, 1, 19, 35), (1, 1, 11, 19)]
    sizes = [tuple(f.shape[2:]) for f in found[0][:-1]]
    assert sizes == [(129, 257), (65, 129), (33, 65), (34, 66)]


def test_the_highest_number_sees_the_full_size() -> None:
    network = MultiscaleDiscriminator(3, width=2, scales=2)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found = network(x)
        assert torch.equal(found[0][0], network.get_submodule("scale1_layer0")(x))
        small = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        assert torch.equal(found[1][0], network.get_submodule("scale0_layer0")(small))


def test_one_scale_sees_seventy_pixels() -> None:
    """Without norms, which see everything, the gradient of one score reaches 70 x 70 pixels."""
    network = MultiscaleDiscriminator(1, width=2, scales=1, norm=lambda _: nn.Identity())
    initialise(network, torch.Generator().manual_seed(0))
    x = torch.randn(1, 1, 160, 160, requires_grad=True)
    score = network(x)[0][-1]
    (gradient,) = torch.autograd.grad(score[0, 0, 11, 11], x)
    rows, columns = torch.where(gradient[0, 0] != 0)
    assert int(rows.max() - rows.min()) + 1 == 70
    assert int(columns.max() - columns.min()) + 1 == 70


def test_instance_norm_is_the_plain_one_in_training_and_use() -> None:
    network = GlobalGenerator(2, width=4, blocks=1)
    x = torch.randn(2, 2, 32, 32)
    with torch.no_grad():
        first = network.model[1](network.model[0](x))
        normal = network.model[2](first)
        assert torch.allclose(normal, F.instance_norm(first), atol=1e-6)
        assert normal.mean((2, 3)).abs().max() < 1e-5
        assert (normal.var((2, 3), correction=0) - 1).abs().max() < 1e-3
        assert torch.equal(network.train()(x), network.eval()(x))


# -- losses


def maps(*values: float) -> list[list[torch.Tensor]]:
    return [[torch.full((1, 2, 3, 3), v), torch.full((1, 1, 2, 2), v)] for v in values]


def test_the_adversarial_loss_is_least_squares_over_the_scales() -> None:
    assert float(adversarial(maps(0.25, 1.0), real=True)) == pytest.approx(0.75**2)
    assert float(adversarial(maps(0.25, 1.0), real=False)) == pytest.approx(0.25**2 + 1)


def test_equal_features_match_and_the_score_does_not_count() -> None:
    real, fake = maps(0.5, 0.5), maps(0.5, 0.5)
    fake[0][-1] = fake[0][-1] + 9.0
    assert float(feature_matching(fake, real).sum()) == 0.0


def test_feature_matching_weighs_scales_and_layers() -> None:
    table = feature_matching(maps(1.0, 3.0), maps(0.0, 0.0))
    assert table.shape == (2, 1)
    assert table[:, 0].tolist() == pytest.approx([1.0 * 4 / 1 / 2, 3.0 * 4 / 1 / 2])


def test_feature_matching_gives_the_real_side_no_gradient() -> None:
    critic = MultiscaleDiscriminator(3, width=2, scales=1)
    picture = torch.randn(1, 3, 32, 32, requires_grad=True)
    real = torch.randn(1, 3, 32, 32, requires_grad=True)
    feature_matching(critic(picture), critic(real)).sum().backward()
    assert picture.grad is not None
    assert float(picture.grad.abs().sum()) > 0
    assert real.grad is None


def test_the_start_is_narrow_and_seeded() -> None:
    first, second = (GlobalGenerator(2, width=8, blocks=1) for _ in range(2))
    for network in (first, second):
        initialise(network, torch.Generator().manual_seed(4))
    weight = first.model[1].weight
    assert isinstance(weight, torch.Tensor)
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
