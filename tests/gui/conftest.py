"""Windows for tests: with a runner of numpy, on the offscreen platform, each with a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runner import FakeRunner
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

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
            qtbot.waitUntil(lambda: window.presenter.frame is not None or not window.row.inputs)
        return window

    yield make
    for window in made:
        window.close()


@pytest.fixture
def window(make_window: MakeWindow) -> Any:
    """A window on the default engine, its sample run."""
    return make_window()


def mime_of(*paths: Path) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(p)) for p in paths])
    return mime


def drop(widget: QWidget, mime: QMimeData) -> bool:
    """Drag the data over the middle of a widget and let go, as the window system would."""
    middle = QPoint(widget.width() // 2, widget.height() // 2)
    action, buttons = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    keys = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(middle, action, mime, buttons, keys)
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    move = QDragMoveEvent(middle, action, mime, buttons, keys)
    QApplication.sendEvent(widget, move)
    let_go = QDropEvent(QPointF(middle), action, mime, buttons, keys)
    QApplication.sendEvent(widget, let_go)
    return let_go.isAccepted()
