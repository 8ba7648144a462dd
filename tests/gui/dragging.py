"""Drag and drop as the window system sends it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget


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
