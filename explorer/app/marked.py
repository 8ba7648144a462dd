"""A box to tick and a list to open, with the tick and the arrow that a style sheet takes away."""

from __future__ import annotations

from PySide6.QtCore import QPointF
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QComboBox, QStyle, QStyleOptionButton

from explorer.panels.icons import pixmap
from explorer.panels.theme import DARK, Theme


class TickBox(QCheckBox):
    """A check box whose state is a tick, not a colour alone."""

    theme: Theme = DARK

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the tick over the filled box."""
        super().paintEvent(event)
        if not self.isChecked():
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        part = QStyle.SubElement.SE_CheckBoxIndicator
        box = self.style().subElementRect(part, option, self)
        centre = QPointF(box.center()) + QPointF(0.5, 0.5)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.theme.colour("on_accent"), 2))
        corners = (QPointF(-4, 0), QPointF(-1, 3), QPointF(4, -3))
        painter.drawPolyline([centre + corner for corner in corners])


class ArrowBox(QComboBox):
    """A list of choices that shows by an arrow that it opens."""

    theme: Theme = DARK

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the arrow at the right end."""
        super().paintEvent(event)
        painter = QPainter(self)
        token = "muted" if self.isEnabled() else "disabled"
        arrow = pixmap("chevron-down", self.theme, 14, token, self.devicePixelRatioF())
        painter.drawPixmap(self.width() - 22, (self.height() - 14) // 2, arrow)
