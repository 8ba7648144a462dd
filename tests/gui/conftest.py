"""Windows for tests: a runner of numpy, the offscreen platform, each with a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runner import FakeRunner

MakeWindow = Callable[..., Any]
LONG = 120_000  # ms: the first import of torch on a busy machine


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


@pytest.fixture
def real_window(make_window: Any, qtbot: Any) -> Any:
    """A window with the real runner, made by a function; its default engine has run."""
    from explorer.app.runner import Runner

    def make(**options: Any) -> Any:
        window = make_window(show=False, runner=Runner(1), **options)
        window.show()
        qtbot.waitUntil(lambda: window.presenter.frame is not None, timeout=LONG)
        qtbot.waitUntil(lambda: bool(window.centre.panel().arrays()), timeout=LONG)
        qtbot.waitUntil(lambda: not window.presenter.drawing, timeout=LONG)
        return window

    return make
