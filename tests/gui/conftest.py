"""Windows for tests: a runner of numpy, the offscreen platform, each with a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runner import FakeRunner

MakeWindow = Callable[..., Any]


@pytest.fixture
def make_window(qtbot: Any, home: Path) -> Iterator[MakeWindow]:
    """Make windows that are shown and awake; each is closed at the end."""
    from explorer.app.start import application
    from explorer.app.window import Window

    application()
    made: list[Any] = []

    def make(*, show: bool = True, **options: Any) -> Any:
        options.setdefault("runner", FakeRunner())
        window = Window(**options)
        made.append(window)
        qtbot.addWidget(window)
        if show:
            with qtbot.waitSignal(window.awoken, timeout=60_000):
                window.show()
            qtbot.waitUntil(lambda: window.presenter.frame is not None)
            qtbot.waitUntil(lambda: bool(window.centre.panel().arrays()))
        return window

    yield make
    for window in made:
        window.close()


@pytest.fixture
def window(make_window: MakeWindow) -> Any:
    """A window on the default engine, its sample run."""
    return make_window()
