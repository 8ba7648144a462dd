"""The form of an engine's knobs, made from their declarations alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.app.editors import Editor, editor_for
from explorer.app.history import History, Step
from explorer.app.track import number_text
from explorer.panels.icons import icon, pixmap
from explorer.panels.theme import DARK, Theme
from explorer.params import Effect, Knob, KnobError, acts, as_dict, check

EFFECT: dict[Effect, tuple[str, str, str]] = {
    "live": ("zap", "live", "Acts at the next step, while the network runs"),
    "again": ("brush", "redraw", "Drawn anew from what is there; the network does not run"),
    "run": ("refresh", "re-run", "The network runs again on this input"),
    "build": ("box", "rebuild", "The network is built anew"),
}


TO_COME, NONE = "The knobs appear when the engine is open.", "This engine has no knobs."


class KnobRow(QWidget):
    """Name, unit, effect and reset over the editor, and below it what is wrong with the value."""

    edited = Signal(str, object)
    finished = Signal()
    reset = Signal(str)

    def __init__(self, knob: Knob) -> None:
        super().__init__()
        self.knob = knob
        self.title = title_of(knob.name)
        self.editor: Editor = editor_for(knob, self.title)
        self.editor.setToolTip(knob.help)
        self.label = QLabel(self.title)
        self.label.setToolTip(knob.help)
        self.unit = QLabel(knob.unit)
        self.unit.setProperty("role", "caption")
        glyph, word, meaning = EFFECT[knob.effect]
        self._glyph = glyph
        self.effect_icon, self.effect_word = QLabel(), QLabel(word)
        self.effect_word.setProperty("role", "caption")
        for part in (self.effect_icon, self.effect_word):
            part.setToolTip(f"{word}: {meaning}")
        self.back = QToolButton()
        self.back.setAccessibleName(f"Reset {self.title}")
        self.back.setToolTip(f"Reset to {shown(knob.default)}")
        self.error = QLabel()
        self.error.setProperty("role", "error")
        self.error.setWordWrap(True)
        self.error.hide()
        self.when = QLabel()
        self.when.setProperty("role", "caption")
        self.when.setWordWrap(True)
        self.when.hide()
        self._lay_out()
        self.editor.edited.connect(self._edited)
        self.editor.finished.connect(self.finished)
        self.back.clicked.connect(self._reset)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(4)
        # The button keeps its place while hidden, so that no row moves when a value changes.
        policy = self.back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.back.setSizePolicy(policy)
        head.addWidget(self.label)
        head.addWidget(self.unit)
        head.addStretch(1)
        for part in (self.effect_icon, self.effect_word, self.back):
            head.addWidget(part)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.editor)
        column.addWidget(self.error)
        column.addWidget(self.when)

    def show_value(self, value: Any) -> None:
        """Show a value that holds; it takes an error away."""
        self.editor.show_value(value)
        self.back.setVisible(value != self.knob.default)
        self.error.hide()

    def show_error(self, text: str) -> None:
        """Say below the knob what is wrong; the value in force stays."""
        self.error.setText(text)
        self.error.show()

    def show_whether_it_acts(self, *, now: bool) -> None:
        """Say when a knob does something; one that waits for another knob cannot be moved.

        What counts in training only is set before the training, so it stays open.
        """
        idle = not now
        self.when.setText(when_text(self.knob))
        self.when.setVisible(idle)
        blocked = idle and self.knob.when != "training"
        for part in (self.editor, self.label, self.unit, self.effect_word):
            part.setEnabled(not blocked)

    def set_theme(self, theme: Theme) -> None:
        """Tint the icons."""
        self.effect_icon.setPixmap(pixmap(self._glyph, theme, 12, "muted", self.devicePixelRatio()))
        self.back.setIcon(icon("reset", theme, 14))
        self.editor.set_theme(theme)

    @Slot(object)
    def _edited(self, value: Any) -> None:
        self.edited.emit(self.knob.name, value)

    @Slot()
    def _reset(self) -> None:
        self.reset.emit(self.knob.name)


class KnobsPanel(QWidget):
    """All knobs of one engine.

    ``changed`` tells the name and checked value after an edit, a gesture, a reset, undo or redo;
    `set_values` tells nothing. Every change is a step of ``history``, a drag is one.
    """

    changed = Signal(str, object)

    def __init__(self, history: History | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = history if history is not None else History(self)
        self.rows: dict[str, KnobRow] = {}
        self._values: dict[str, Any] = {}
        self._theme: Theme = DARK
        self.setAccessibleName("Knobs")
        self.empty = QLabel(TO_COME)
        self.empty.setProperty("role", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.reset_button = QPushButton("Reset all")
        self.reset_button.setToolTip("Put every knob back to its default")
        self.reset_button.clicked.connect(self.reset_all)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._scroll)
        self.wait()

    def wait(self) -> None:
        """No engine is open yet: show no knobs, least of all those of the one before."""
        self.set_knobs({}, {})
        self.empty.setText(TO_COME)

    def set_knobs(self, known: Mapping[str, Knob], values: Any = None) -> None:
        """Make the form anew for ``known``, at ``values`` (mapping or Params) or defaults."""
        self.history.forget(self)
        self.rows = {name: KnobRow(knob) for name, knob in known.items()}
        self._values = {name: knob.default for name, knob in known.items()}
        form = QWidget()
        form.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(form)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(12)
        # The old form goes with its scroll area's widget; what is kept must not go with it.
        self.empty.setParent(None)
        self.reset_button.setParent(None)
        for row in self.rows.values():
            column.addWidget(row)
            row.edited.connect(self._edited)
            row.finished.connect(self.history.seal)
            row.reset.connect(self.reset)
            row.set_theme(self._theme)
        column.addWidget(self.empty)
        column.addWidget(self.reset_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        self._scroll.setWidget(form)
        self.empty.setText(NONE)
        self.empty.setVisible(not self.rows)
        self.reset_button.setVisible(bool(self.rows))
        self.set_values(values if values is not None else {})

    def values(self) -> dict[str, Any]:
        """The values in force, by name."""
        return dict(self._values)

    def set_values(self, values: Any) -> None:
        """Show values that hold already (a mapping or Params); unknown names are left out."""
        given = as_dict(values) if dataclasses.is_dataclass(values) else values
        self._values.update({n: v for n, v in given.items() if n in self.rows})
        for name, row in self.rows.items():
            row.show_value(self._values[name])
        self._mark()

    def set_by_gesture(self, name: str, value: Any) -> None:
        """Set a knob as its editor would: checked, with undo, told; a click adds a point."""
        if name not in self.rows:
            return
        if self.rows[name].knob.kind == "points" and value and not isinstance(value[0], tuple):
            value = (*self._values[name], tuple(value))
        self._edited(name, value)

    def set_error(self, name: str, text: str) -> None:
        """Show below a knob why the session did not take its value."""
        if name in self.rows:
            self.rows[name].show_error(text)

    def focus_knob(self, name: str) -> None:
        """Bring a knob into view and put the focus on it."""
        row = self.rows[name]
        self._scroll.ensureWidgetVisible(row)
        target = next((w for w in row.editor.findChildren(QWidget) if w.isVisibleTo(row)
                       and w.focusPolicy() & Qt.FocusPolicy.TabFocus), row)  # fmt: skip
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot()
    def reset_all(self) -> None:
        """Put every knob back to its default, as one step."""
        old = {n: v for n, v in self._values.items() if v != self.rows[n].knob.default}
        if not old:
            return
        new = {name: self.rows[name].knob.default for name in old}
        self._put(new)
        self.history.seal()
        self.history.add(
            Step("reset knobs", lambda: self._put(old), lambda: self._put(new), owner=self)
        )

    @Slot(str)
    def reset(self, name: str) -> None:
        """Put one knob back to its default."""
        self.history.seal()
        self._change(name, self.rows[name].knob.default)
        self.history.seal()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        for row in self.rows.values():
            row.set_theme(theme)

    @Slot(str, object)
    def _edited(self, name: str, value: Any) -> None:
        row = self.rows[name]
        try:
            good = check(row.knob, value)
        except KnobError as error:
            row.show_error(str(error).removeprefix(f"knob {name!r}: ").capitalize())
            return
        if good == self._values[name]:
            row.show_value(good)
        else:
            self._change(name, good)

    def _change(self, name: str, value: Any) -> None:
        old = self._values[name]
        if old == value:
            return
        label = f"{title_of(name)} {shown(old)} → {shown(value)}"
        self._put({name: value})
        self.history.add(
            Step(
                label,
                lambda: self._put({name: old}),
                lambda: self._put({name: value}),
                key=("knob", name),
                owner=self,
            )
        )

    def _put(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._values[name] = value
            self.rows[name].show_value(value)
        self._mark()
        for name, value in values.items():
            self.changed.emit(name, value)

    def _mark(self) -> None:
        present = SimpleNamespace(**self._values)
        for row in self.rows.values():
            row.show_whether_it_acts(now=acts(row.knob, present))
        moved = any(self._values[n] != row.knob.default for n, row in self.rows.items())
        self.reset_button.setEnabled(moved)


def when_text(knob: Knob) -> str:
    """Under what a knob acts, for a person: "Acts when Optimiser is Adam"."""
    if knob.when in ("", "training", "inputs"):
        return "Acts in training" if knob.when == "training" else ""
    other, _, values = knob.when.partition("=")
    return f"Acts when {title_of(other)} is {values.replace('|', ' or ')}"


def title_of(name: str) -> str:
    """A knob's name as a person reads it: "content_weight" is "Content weight"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def shown(value: Any) -> str:
    """A value in a few characters, for tooltips and the undo label."""
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, tuple) and not isinstance(value[0], tuple) and len(value) <= 4:
        return "(" + ", ".join(number_text(v) for v in value) + ")"
    if isinstance(value, tuple):
        return f"{len(value)} values"
    text = str(value).replace("\n", " ")
    return text if len(text) <= 24 else text[:23] + "…"
