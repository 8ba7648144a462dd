"""TextPanel: a text, or tokens on a ground as strong as their weight."""

from __future__ import annotations

from html import escape

import numpy as np
from PySide6.QtWidgets import QTextBrowser, QWidget

from explorer import colours
from explorer.kinds import Artefact, Text
from explorer.panels.panel import Panel
from explorer.panels.theme import DARK, Theme, font
from explorer.panels.wording import number_text


class TextPanel(Panel):
    """Weights colour the ground of their token; signed ones diverge around 0."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.browser = QTextBrowser()
        super().__init__(parent, theme=theme)
        self.browser.setFont(font("body"))
        self.browser.setOpenLinks(False)
        self.set_body(self.browser)

    def facts(self, artefact: Artefact) -> str:
        """How many tokens, and what their weights are."""
        assert isinstance(artefact, Text)
        count = f"{len(artefact.tokens)} tokens" if artefact.tokens else ""
        return " · ".join(part for part in (count, artefact.unit) if part)

    def draw(self, artefact: Artefact) -> None:
        """Write the text."""
        assert isinstance(artefact, Text)
        if not artefact.tokens:
            self.browser.setPlainText(artefact.text)
            return
        weights = artefact.weights
        spans = [
            self._span(token, float(weights[i]) if len(weights) else None, weights)
            for i, token in enumerate(artefact.tokens)
        ]
        self.browser.setHtml(f"<p style='line-height:170%'>{' '.join(spans)}</p>")

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        if self.artefact is not None:
            self.draw(self.artefact)

    def _span(self, token: str, weight: float | None, weights: np.ndarray) -> str:
        if weight is None or not np.isfinite(weight):
            return escape(token)
        low, high = colours.limits_for(float(np.nanmin(weights)), float(np.nanmax(weights)))
        name = colours.map_for(low, high)
        index = colours.index_of(np.array([[weight]]), low, high)[0, 0]
        red, green, blue = (int(v) for v in colours.table(name)[index][:3])
        ink = "#000000" if 0.3 * red + 0.59 * green + 0.11 * blue > 140 else "#FFFFFF"
        return (
            f"<span title='{number_text(weight)}' style='color:{ink};"
            f"background-color:rgb({red},{green},{blue})'>&nbsp;{escape(token)}&nbsp;</span>"
        )
