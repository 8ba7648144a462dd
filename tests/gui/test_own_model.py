"""A person's own model in the window: consent, weights that ask for their network, slots that
follow what it takes, and a bad file that costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from torch import nn

from explorer.app.arch_card import ArchCard
from explorer.app.card import ConsentCard, ErrorCard
from explorer.app.drop import Dropped, kind_of_file

pytestmark = pytest.mark.gui
LONG = 120_000  # ms

CODE = """
import torch
from torch import nn

class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))

class Words(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Embedding(256, 8), nn.Linear(8, 3))

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
    def forward(self, left, right):
        return self.conv(left) - self.conv(right)

def broken():
    raise OSError("no disc")

"""


@pytest.fixture
def code(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(CODE, encoding="utf-8")
    return str(path)


@pytest.fixture
def window(real_window: Any) -> Any:
    return real_window()


def drop(window: Any, path: Path) -> None:
    window.intake.take([Dropped(kind_of_file(path), path)])


def card(window: Any, qtbot: Any, kind: type[Any]) -> Any:
    qtbot.waitUntil(lambda: any(isinstance(c, kind) for c in window.cards.shown()), timeout=LONG)
    return next(c for c in window.cards.shown() if isinstance(c, kind))


def wait_for_output(window: Any, qtbot: Any, title: str) -> list[Any]:
    def is_there() -> bool:
        frame, opened = window.presenter.frame, window.room.opened
        here = opened is not None and opened.row.title == title and frame is not None
        return here and any(a.name.startswith("output/") for a in frame.artefacts)

    qtbot.waitUntil(is_there, timeout=LONG)
    return list(window.presenter.frame.artefacts)


def test_weights_ask_for_their_network_and_run_in_it(
    window: Any, qtbot: Any, code: str, tmp_path: Path
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    drop(window, tmp_path / "weights.pt")
    asking: ArchCard = card(window, qtbot, ArchCard)
    assert not asking.yes.isEnabled()
    before = window.row.name
    QTest.mouseClick(asking.no, Qt.MouseButton.LeftButton)
    assert window.row.name == before
    assert not window.cards.shown()
    drop(window, tmp_path / "weights.pt")
    asking = card(window, qtbot, ArchCard)
    QTest.keyClicks(asking.field, f"{code}:Small")
    QTest.keyClick(asking.field, Qt.Key.Key_Return)
    wait_for_output(window, qtbot, "weights.pt in net.py:Small")
    qtbot.waitUntil(lambda: "maps" in window.centre.panel().arrays(), timeout=LONG)
    assert window.centre.panel().arrays()["maps"].shape[0] == 4  # the first layer is ticked
    assert window.knobs.values()["weights"].endswith("weights.pt")
    # A second file of weights is offered to the network that is open.
    drop(window, tmp_path / "weights.pt")
    assert card(window, qtbot, ArchCard).field.text() == f"{code}:Small"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_asks_first_and_shows_its_outputs(
    window: Any, qtbot: Any, tmp_path: Path
) -> None:
    traced = torch.jit.trace(nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 8, 8))
    path = tmp_path / "net.pt"
    traced.save(str(path))  # type: ignore[no-untyped-call]
    drop(window, path)
    asking: ConsentCard = card(window, qtbot, ConsentCard)
    assert window.row.name == "classify"
    QTest.mouseClick(asking.yes, Qt.MouseButton.LeftButton)
    made = wait_for_output(window, qtbot, "net.pt")
    assert any("cannot be hooked" in getattr(a, "text", "") for a in made)
    assert [layer.name for layer in window.room.layers] == ["program"]


def test_the_slots_follow_what_the_network_takes(window: Any, qtbot: Any, code: str) -> None:
    window.foreign.open_model(Path(f"{code}:Words"))
    wait_for_output(window, qtbot, "net.py:Words")
    assert list(window.room.slots.rows) == ["text"]
    field = window.room.slots.rows["text"].field
    assert field.text() == "the cat sat on the mat"
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "abc")
    QTest.keyClick(field, Qt.Key.Key_Return)

    def three_rows() -> bool:
        found = [a for a in window.presenter.frame.artefacts if a.name == "output/result"]
        return bool(found) and found[0].values.shape == (3, 3)

    qtbot.waitUntil(three_rows, timeout=LONG)
    window.foreign.open_model(Path(f"{code}:Pair"))
    wait_for_output(window, qtbot, "net.py:Pair")
    assert list(window.room.slots.rows) == ["left", "right"]


def test_what_was_set_for_one_network_is_not_set_for_the_next(
    window: Any, qtbot: Any, code: str
) -> None:
    window.foreign.open_model(Path(f"{code}:Small"))
    wait_for_output(window, qtbot, "net.py:Small")
    window.knobs.set_by_gesture("size", 40)
    window.foreign.open_model(Path(f"{code}:Pair"))
    wait_for_output(window, qtbot, "net.py:Pair")
    assert window.knobs.values()["size"] == 0
    window.choose_device("cpu")  # the same network once more keeps what was set
    wait_for_output(window, qtbot, "net.py:Pair")
    assert window.knobs.values()["model"] == f"{code}:Pair"


@pytest.mark.parametrize(
    ("name", "why"),
    [("broken", "raised OSError: no disc"), ("nothing", "has no 'nothing'")],
)
def test_a_factory_that_fails_is_a_card_and_the_window_goes_on(
    window: Any, qtbot: Any, code: str, name: str, why: str
) -> None:
    window.foreign.open_model(Path(f"{code}:{name}"))
    error: ErrorCard = card(window, qtbot, ErrorCard)
    assert why in error.cause.text()
    window.cards.clear()
    window.room.open("classify")
    qtbot.waitUntil(lambda: window.room.opened is not None, timeout=LONG)
    qtbot.waitUntil(lambda: window.presenter.frame is not None, timeout=LONG)
    assert window.room.opened.row.name == "classify"
