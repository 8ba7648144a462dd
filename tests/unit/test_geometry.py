"""The place of a map cell in the picture, against the support of its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from explorer.core.capture import Capture
from explorer.engine import Preprocess, prepare
from explorer.kinds import Affine
from explorer.views import Rendered, View


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, 2, 3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.a = nn.Conv2d(4, 4, 3, padding=1)
        self.tail = nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        out: Tensor = self.tail(x + self.a(x))
        return out


class Shortcut(nn.Module):
    """A block whose shortcut passes a module of its own after the branch has run."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2))
        self.identity = nn.Identity()
        self.tail = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        added = self.branch(x)
        out: Tensor = self.tail(added + self.identity(x))
        return out


CHAIN = nn.Sequential(
    nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 4, 3, 2),
    nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.AvgPool2d(2),
)  # fmt: skip


def picture_of(network: nn.Module, name: str, size: int = 64) -> tuple[Rendered, Tensor]:
    x, _ = prepare(torch.zeros(size, size, 3).byte().numpy(), Preprocess(size=size, fit="stretch"))
    capture = Capture(network.eval(), lambda: False)
    capture.install((View(name),), ())
    capture.sweep(on=True)
    with torch.no_grad():
        network(x)
    rendered = capture.rendered(1, 0, ())[0]
    capture.remove()
    return rendered, x


def support(network: nn.Module, name: str, x: Tensor, row: int, column: int) -> tuple[float, ...]:
    """Rows and columns (first, last + 1) of the input that reach one cell, by gradient."""
    kept: list[Tensor] = []
    hook = network.get_submodule(name).register_forward_hook(lambda m, i, o: kept.append(o))
    for p in network.parameters():
        nn.init.constant_(p, 0.1)
    x = torch.rand_like(x).requires_grad_()
    network(x)
    hook.remove()
    kept[-1][0, :, row, column].sum().backward()
    assert x.grad is not None
    where = x.grad[0].abs().sum(0).nonzero()
    (top, left), (bottom, right) = where.amin(0).tolist(), where.amax(0).tolist()
    return top, bottom + 1, left, right + 1


@pytest.mark.parametrize(
    ("network", "name"),
    [(CHAIN, "0"), (CHAIN, "3"), (CHAIN, "4"), (CHAIN, "5"), (Residual(), "a"),
     (Shortcut(), "tail")],
)  # fmt: skip
def test_place_and_field_equal_the_gradient_support(network: nn.Module, name: str) -> None:
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):  # a maximum has a gradient at one place only
            module.forward = lambda x: nn.functional.avg_pool2d(x, 3, 2, 1)  # type: ignore[method-assign]
    rendered, x = picture_of(network, name)
    assert rendered.affine is not None
    assert rendered.receptive is not None
    row = column = rendered.map_size[0] // 2
    top, bottom, left, right = support(network, name, x, row, column)
    centre_x, centre_y = rendered.affine.to_input(column + 0.5, row + 0.5)
    assert not rendered.affine.approximate
    assert centre_x == pytest.approx((left + right) / 2)
    assert centre_y == pytest.approx((top + bottom) / 2)
    assert rendered.receptive == (right - left, bottom - top)


def test_a_residual_sum_takes_the_place_of_its_size() -> None:
    rendered, _ = picture_of(Residual(), "tail")
    assert rendered.affine is not None
    assert rendered.affine.sx == 8.0
    assert not rendered.affine.approximate


def test_the_picture_of_the_crop_leads_back_to_the_photo() -> None:
    photo = torch.zeros(300, 451, 3).byte().numpy()
    _, affine = prepare(photo, Preprocess(size=224, fit="crop"))
    x, y = affine.to_input(112, 112)
    assert (x, y) == pytest.approx((225.5, 150), abs=1.2)
    _, affine = prepare(photo, Preprocess(size=224, fit="letterbox"))
    assert affine.to_input(0, 112) == pytest.approx((0, 150), abs=1.2)
    assert affine.to_input(224, 112)[0] == pytest.approx(451, abs=1e-6)


def test_affines_compose_and_invert() -> None:
    outer, inner = Affine(2, 3, 5, 7), Affine(0.5, 4, -1, 2)
    both = outer.after(inner)
    assert both.to_input(3, 9) == outer.to_input(*inner.to_input(3, 9))
    assert both.to_grid(*both.to_input(3, 9)) == pytest.approx((3, 9))
