"""A network that never ends is stopped at a module, and the session lives on."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from torch import Tensor, nn

from explorer.core.capture import hook_count
from explorer.core.media import sample_inputs
from explorer.core.own_models.model_row import own_row
from explorer.core.session import Session
from explorer.engine import Cancelled


class Endless(nn.Module):
    """Values decide that it goes on, so that no rehearsal can know."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.running = threading.Event()
        self.calls = 0

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("an event cannot be copied")

    def forward(self, x: Tensor) -> Tensor:
        while self.calls >= 0:
            self.calls += 1
            if self.calls > 3:
                self.running.set()
            x = self.conv(x)
            if not self.armed:
                return x
        return x

    armed = False


def test_a_network_that_hangs_is_cancelled_at_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Endless().eval()
    monkeypatch.setattr(f"{__name__}.make", lambda: network, raising=False)
    row, knobs = own_row(f"{__name__}:make")
    opened = Session(row, device="cpu", params={**knobs, "size": 24})
    opened.open()
    assert any("cannot be predicted: it cannot be copied" in r for r in opened.engine.remarks)
    network.calls = 0
    network.running.clear()
    network.armed = True

    def stop() -> None:
        network.running.wait(60)
        opened.cancel()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Cancelled):
        list(opened.run(dict(sample_inputs(opened.row))))
    thread.join()
    assert network.calls > 3
    assert hook_count(network) == 0
    network.armed = False
    assert list(opened.run(dict(sample_inputs(opened.row))))[-1].last  # the session lives on
