"""What is shown is saved now and then; a window that went down is offered once at the next start.

A recovery file lies beside a lock that names its process (QLockFile). A clean exit removes both; a
file whose process is no more was left by a crash.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile, QObject, QTimer, Slot
from PySide6.QtWidgets import QPushButton

from explorer.app.card import Strip
from explorer.core.stores.session_file import (
    SUFFIX,
    SavedSession,
    SessionFileError,
    as_json,
    read,
    write,
)

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.panels.theme import Theme

SOON_MS = 2000  # after a change
EVERY_MS = 30_000


class RestoreStrip(Strip):
    """Asks once whether the last state is wanted back; the window works meanwhile."""

    def __init__(self, window: Window, saved: SavedSession) -> None:
        super().__init__(window, "warning", "warn")
        words = f"layerscope did not close properly. Restore {saved.words()}?"
        self.text.setText(words)
        self.setAccessibleName(words)
        self.restore = QPushButton("Restore")
        self.restore.setToolTip("Show again what was open then")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Forget it")
        self.discard.clicked.connect(self.dismiss)
        row = self.layout()
        assert row is not None
        row.insertWidget(2, self.restore)  # type: ignore[attr-defined]
        row.insertWidget(3, self.discard)  # type: ignore[attr-defined]


class Autosave(QObject):
    """Writes the recovery file of this window, and finds those of windows that went down.

    Attributes:
        strip: the question, while it is asked.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.folder = window.settings.path.parent / "recovery"
        self.path = self.folder / f"{os.getpid()}-{id(self):x}{SUFFIX}"
        self.strip: RestoreStrip | None = None
        self._lock: QLockFile | None = None
        self._written = ""
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self.save)
        self._every = QTimer(self)
        self._every.setInterval(EVERY_MS)
        self._every.timeout.connect(self.save)

    def begin(self) -> None:
        """Offer what a crash has left, and save from now on."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._window.say(f"Nothing is saved against a crash: {error.strerror or error}")
            return
        self._lock = _lock(self.path)
        self._lock.tryLock(0)
        left = self.abandoned()
        if left is not None:
            self._offer(left)
        window = self._window
        changes = (
            window.edit_book.changed, window.knobs.changed, window.sources.changed,
            window.centre.views_changed, window.runner.opened,
        )  # fmt: skip
        for signal in changes:
            signal.connect(self._changed)
        self._every.start()

    def abandoned(self) -> SavedSession | None:
        """The newest state that a dead process has left; all of them are removed."""
        found: list[tuple[float, SavedSession]] = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            lock = _lock(path)
            if path == self.path or not lock.tryLock(0):
                continue  # its window is still open
            try:
                found.append((path.stat().st_mtime, read(path)))
            except (SessionFileError, OSError) as error:
                self._window.say(f"A state left by a crash cannot be read: {error}")
            path.unlink(missing_ok=True)
            lock.unlock()
        for orphan in self.folder.glob(f"*{SUFFIX}.lock"):  # it went down before it saved
            lock = _lock(orphan.with_suffix(""))
            if lock.tryLock(0):
                lock.unlock()
        return max(found, key=lambda pair: pair[0])[1] if found else None

    @Slot()
    def save(self) -> None:
        """Write the state when it differs from the one written last."""
        window = self._window
        if self._lock is None or window.closing or window.room.opened is None:
            return
        try:
            session = window.session_files.gather()
            text = as_json(session)
            if text != self._written:
                write(session, self.path)
                self._written = text
        except (SessionFileError, TypeError, ValueError) as error:
            window.say(f"Not saved against a crash: {error}")

    def end(self) -> None:
        """A clean exit leaves nothing."""
        self._soon.stop()
        self._every.stop()
        if self._lock is not None:
            self.path.unlink(missing_ok=True)
            self._lock.unlock()
            self._lock = None

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        if self.strip is not None:
            self.strip.set_theme(theme)

    def _offer(self, saved: SavedSession) -> None:
        self.strip = RestoreStrip(self._window, saved)
        self.strip.restore.clicked.connect(lambda: self._restore(saved))
        self.strip.set_theme(self._window.theme)
        menus = self._window.menuWidget()
        top = menus.layout() if menus is not None else None
        assert top is not None
        top.addWidget(self.strip)
        self.strip.show()

    def _restore(self, saved: SavedSession) -> None:
        if self.strip is not None:
            self.strip.dismiss()
        self._window.session_files.restore(saved)

    @Slot()
    def _changed(self, *_: object) -> None:
        self._soon.start()


def _lock(path: Path) -> QLockFile:
    """The lock of a recovery file; it is stale when its process is no more, however old."""
    lock = QLockFile(f"{path}.lock")
    lock.setStaleLockTime(0)
    return lock
