"""The lines above a panel: title, facts, caption and warnings, each cut when there is no room."""

from __future__ import annotations

import time

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QBrush, QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from explorer.panels.icons import pixmap
from explorer.panels.theme import DARK, SPACE_M, TYPE_SCALE, Role, Theme, font

REFRESH_SECONDS = 0.25  # numbers above a live picture change at 4 Hz
NARROW = 130  # px: a header this narrow has a small title and nothing else
LEAST_FACTS = 44  # px: a few cut characters say nothing


class ElidedLabel(QWidget):
    """One line that is cut with an ellipsis when there is no room; the tooltip then has it whole.

    Args:
        middle: cut in the middle, for names whose ends tell them apart.
        least: px; where less of a longer text could be shown, nothing is.
        still: it takes the room that it is given, whatever its text: what changes with every
            picture must not have the window laid out anew.
        right: stands at the right end of its room.
    """

    def __init__(
        self, role: Role, token: str, parent: QWidget | None = None, *, middle: bool = False,
        least: int = 0, still: bool = False, right: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._role, self._token, self._text, self._theme = role, token, "", DARK
        self._least, self._hint = least, ""
        self._mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
        self._small, self._still, self._right = False, still, right
        across = QSizePolicy.Policy.Ignored if still else QSizePolicy.Policy.Preferred
        self.setSizePolicy(across, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """The whole text, cut or not."""
        return self._text

    def set_text(self, text: str) -> None:
        """Show ``text``."""
        if text != self._text:
            self._text = text
            self.setAccessibleName(text)
            if not self._still:
                self.updateGeometry()
            self._refresh_tooltip()
            self.update()

    def set_room(self, width: int) -> None:
        """Give it so many px, neither more nor less."""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedWidth(width)

    def set_token(self, token: str) -> None:
        """Write it in another colour of the theme."""
        if token != self._token:
            self._token = token
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def set_small(self, *, small: bool) -> None:
        """Write it as small as a caption, in its own weight."""
        if small != self._small:
            self._small = small
            self.updateGeometry()
            self._refresh_tooltip()
            self.update()

    def shown(self) -> str:
        """What is written: the text, or what of it there is room for."""
        room = self.width()
        metrics = QFontMetrics(self._face())
        if metrics.horizontalAdvance(self._text) <= room:
            return self._text
        return metrics.elidedText(self._text, self._mode, room) if room >= self._least else ""

    def sizeHint(self) -> QSize:
        """As wide as the text."""
        width = QFontMetrics(self._face()).horizontalAdvance(self._text)
        return QSize(width + 2, TYPE_SCALE[self._role][1])

    def minimumSizeHint(self) -> QSize:
        """Two or three characters: the rest may be cut."""
        return QSize(min(self.sizeHint().width(), 24), TYPE_SCALE[self._role][1])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Offer the tooltip only when text is cut."""
        super().resizeEvent(event)
        self._refresh_tooltip()

    def set_hint(self, hint: str) -> None:
        """Have this as the tooltip, cut or not."""
        self._hint = hint
        self._refresh_tooltip()

    def _refresh_tooltip(self) -> None:
        words = self._hint or (self._text if self.shown() != self._text else "")
        if words != self.toolTip():
            self.setToolTip(words)

    def _face(self) -> QFont:
        made = font(self._role)
        if self._small:
            made.setPixelSize(TYPE_SCALE["caption"][0])
        return made

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what fits."""
        painter = QPainter(self)
        painter.setFont(self._face())
        painter.setPen(self._theme.colour(self._token))
        side = Qt.AlignmentFlag.AlignRight if self._right else Qt.AlignmentFlag.AlignLeft
        flags = side | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), flags, self.shown())
        painter.end()


class Header(QWidget):
    """Title and facts on one line, a muted caption below, warnings with an icon at the right.

    Facts and caption are renewed at most four times a second while the title stays the same.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._wanted: tuple[str, str, str, str] = ("", "", "", "")
        self._shown_at = 0.0
        self._low = self._apart = False
        self.title = ElidedLabel("title", "text", self, middle=True)
        self.facts = ElidedLabel("number", "muted", self, least=LEAST_FACTS, still=True)
        self.caption = ElidedLabel("caption", "muted", self, still=True)
        self.warning = ElidedLabel("caption", "error", self)
        self.warning_icon, self.frozen_icon = QLabel(self), QLabel(self)
        for label in (self.warning_icon, self.frozen_icon):
            label.setFixedSize(16, 16)
        self.frozen_icon.setToolTip("Frozen: the picture stands still (F)")
        self.stale = ElidedLabel("caption", "text", self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.flush)
        self._lay_out()
        self.frozen_icon.hide()
        self.stale.hide()
        self.set_theme(DARK)
        self._show_parts()

    def _lay_out(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(SPACE_M)
        first.addWidget(self.title)
        first.addWidget(self.facts, 1)
        first.addWidget(self.stale)
        first.addWidget(self.frozen_icon)
        self.extra = QHBoxLayout()
        self.extra.setSpacing(SPACE_M)
        first.addWidget(self.warning_icon)
        first.addWidget(self.warning)
        first.addLayout(self.extra)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addLayout(first)
        rows.addWidget(self.caption)

    def show_lines(self, title: str, facts: str = "", caption: str = "", warning: str = "") -> None:
        """Set all four texts; at once when title, warning or presence changed, else at 4 Hz."""
        old = self._wanted
        self._wanted = (title, facts, caption, warning)
        changed = (title, warning) != (old[0], old[3])
        changed |= (bool(facts), bool(caption)) != (bool(old[1]), bool(old[2]))
        wait = REFRESH_SECONDS - (time.monotonic() - self._shown_at)
        if changed or wait <= 0:
            self.flush()
        elif not self._timer.isActive():
            self._timer.start(max(1, round(1000 * wait)))

    def flush(self) -> None:
        """Show what was set last, now."""
        self._timer.stop()
        self._shown_at = time.monotonic()
        for label, text in zip(
            (self.title, self.facts, self.caption, self.warning), self._lines(), strict=True
        ):
            label.set_text(text)
        self.warning_icon.setToolTip(self._wanted[3])
        self.title.set_hint(self.text())  # the rest of the line may have no room
        self._show_parts()

    def set_stale(self, words: str) -> None:
        """Hatch the header and say that what is below is old (``frame 12 of 40``); "" ends that."""
        self.stale.set_text(words)
        self.stale.setVisible(bool(words))
        self.update()

    def set_frozen(self, *, frozen: bool) -> None:
        """Show the snowflake."""
        self.frozen_icon.setVisible(frozen)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Diagonal lines behind what is stale."""
        if self.stale.text():
            painter = QPainter(self)
            lines = QBrush(self._theme.colour("hairline"), Qt.BrushStyle.BDiagPattern)
            painter.fillRect(self.rect(), lines)
            painter.end()

    def set_low(self, *, low: bool) -> None:
        """Leave the caption to the tooltip, for panels that have no height to spare."""
        if low != self._low:
            self._low = low
            self._show_parts()

    def name(self) -> str:
        """The title that was set last, however it is shown."""
        return self._wanted[0]

    def text(self) -> str:
        """All that was set last, as one line: ``title · facts · caption · warning``."""
        return " · ".join(part for part in self._wanted if part)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        for label in (self.title, self.facts, self.caption, self.warning, self.stale):
            label.set_theme(theme)
        snow = pixmap("snowflake", theme, 14, "accent", self.devicePixelRatioF())
        self.frozen_icon.setPixmap(snow)
        self.warning_icon.setPixmap(pixmap("warning", theme, 14, "error", self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent) -> None:
        """Keep the icon sharp when the window moves to a denser screen."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self.set_theme(self._theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep a narrow header to its title; the rest is in the tooltip."""
        super().resizeEvent(event)
        narrow = event.size().width() < NARROW
        self.title.set_small(small=narrow)
        for i in range(self.extra.count()):
            item = self.extra.itemAt(i)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setVisible(not narrow)
        self.flush()

    def _lines(self) -> tuple[str, str, str, str]:
        """The four texts; in a narrow header a title of several words takes the caption's line."""
        title, facts, caption, warning = self._wanted
        if self.width() >= NARROW:
            return title, facts, caption, warning
        first, space, last = title.rpartition(" ")
        if not space or (self.fits() and not self._apart):
            return title, "", "", warning
        return first, "", last, warning

    def fits(self) -> bool:
        """Whether the title has room in one line, small where the header is narrow."""
        face = font("title")
        face.setPixelSize(TYPE_SCALE["caption"][0])
        wide = QFontMetrics(face).horizontalAdvance(self._wanted[0])
        return self.width() >= NARROW or wide <= self.width()

    def set_apart(self, *, apart: bool) -> None:
        """Write a narrow title over two lines even where it fits, as its neighbours have to."""
        if apart != self._apart:
            self._apart = apart
            self.flush()

    def _show_parts(self) -> None:
        narrow = self.width() < NARROW
        self.caption.setVisible(bool(self.caption.text()) and not (self._low and not narrow))
        self.facts.setVisible(not narrow)
        self.warning.setVisible(bool(self.warning.text()) and not narrow)
        self.warning_icon.setVisible(bool(self.warning.text()))
