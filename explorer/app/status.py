"""The status bar: pixel probe at the left, messages and progress, then figures in fixed fields."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStatusBar,
    QWidget,
)

from explorer.panels.header import ElidedLabel
from explorer.panels.theme import Theme, font
from explorer.panels.wording import bytes_text

EVERY_MS = 250
PATIENCE_MS = 300  # work shorter than this shows no progress: it would only flicker
MESSAGE_MS = 8000
PROBE_STEP = PROGRESS_STEP = 48  # px by which their room grows
ROOM_FOR_WORDS = 560  # px kept for probe, message or progress, and pill
# name, widest text, what it is; the first ones go last when the window is narrow
FIELDS: tuple[tuple[str, str, str], ...] = (
    ("device", "CUDA:0", "Device that the network runs on"),
    ("fps", "fps 000.0", "Pictures a second"),
    ("memory", "mem 00.0 GiB", "Memory of this process"),
    ("network", "net 0000.0 ms", "Time in the network, for each picture"),
    ("draw", "draw 0000.0 ms", "Time drawing on the screen, for each picture"),
    ("capture", "cap 000.0 ms", "Time reading layers, within the network's"),
    ("decode", "dec 000.0 ms", "Time reading the picture or clip"),
    ("dropped", "drop 0000", "Pictures that were left out to stay current"),
)
SHORT = {"network": "net", "draw": "draw", "capture": "cap", "decode": "dec"}


class StatusBar(QStatusBar):
    """Everything that is said in one line; figures change at 4 Hz and never their width.

    ``cancel_wanted`` comes from the button beside the progress.
    """

    cancel_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Status")
        self.setSizeGripEnabled(False)
        self._sums: dict[str, list[float]] = {}
        self._frames = self._dropped = 0
        self._moving = False
        self._since = time.monotonic()
        self._started: float | None = None
        self._words = ""
        self.probe, self.message = (
            ElidedLabel("number", "text", still=True), ElidedLabel("body", "text", still=True)
        )  # fmt: skip
        self.progress = _Progress()
        self.progress.cancel.clicked.connect(self.cancel_wanted)
        self.pill = QLabel()
        self.pill.setObjectName("pill")
        self.pill.setAccessibleName("Provenance of the weights")
        self.pill.hide()
        self.fields = {name: _field(name, widest, tip) for name, widest, tip in FIELDS}
        # One container: QStatusBar's own message would hide what was added to it.
        row = QHBoxLayout()
        row.setContentsMargins(8, 2, 8, 2)
        row.setSpacing(12)
        row.addWidget(self.probe, 3)
        row.addWidget(self.message, 4)
        for widget in (self.progress, self.pill, *self.fields.values()):
            row.addWidget(widget)
        whole = QWidget()
        whole.setLayout(row)
        # Fields go when the window is narrower; they must not keep it from becoming so.
        row.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        whole.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.addWidget(whole, 1)
        self._timers()
        self._show_memory()

    def _timers(self) -> None:
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._reveal)
        self._every = QTimer(self)
        self._every.setInterval(EVERY_MS)
        self._every.timeout.connect(self._refresh)
        self._forget = QTimer(self)
        self._forget.setSingleShot(True)
        self._forget.setInterval(MESSAGE_MS)
        self._forget.timeout.connect(self._clear_message)

    # -- one line

    def show_probe(self, text: str) -> None:
        """Value and place under the mouse, whole; empty when it points at nothing."""
        self.probe.set_text(text)
        self._share_room()

    def show_message(self, text: str) -> None:
        """Say something for some seconds."""
        self.message.set_text(text)
        self._share_room()
        self._forget.start()

    @Slot()
    def _clear_message(self) -> None:
        self.message.set_text("")
        self._share_room()

    def _share_room(self) -> None:
        """The probe before the message: its value stands at its end, and must not be cut."""
        wanted = QFontMetrics(font("number")).horizontalAdvance(self.probe.text())
        room = self.probe.width() + self.message.width()
        least = min(wanted + 4, room)
        # In steps, so that the words beside it do not dance with every digit.
        self.probe.setMinimumWidth(min(-(-least // PROBE_STEP) * PROBE_STEP, max(room, 0)))

    def show_provenance(self, provenance: str, licences: tuple[str, ...] = ()) -> None:
        """The pill: where the weights come from; licences in its tooltip."""
        self.pill.setText(provenance)
        self.pill.setToolTip("\n".join((f"Weights: {provenance}", *licences)))
        self.pill.setVisible(bool(provenance))

    # -- figures

    def show_device(self, device: str) -> None:
        """Where the network runs: "CPU", "CUDA:0"."""
        self.fields["device"].set_text(device.upper())

    def note_frame(self, milliseconds: Mapping[str, float], draw_ms: float = 0.0) -> None:
        """Count a picture; the means are shown at the next quarter of a second."""
        self._frames += 1
        for name, value in {**milliseconds, "draw": draw_ms}.items():
            if name in SHORT:
                self._sums.setdefault(name, []).append(value)
        if not self._every.isActive():
            self._since = time.monotonic()
            self._every.start()

    def note_dropped(self, count: int) -> None:
        """How many pictures were left out since the clip began."""
        self._dropped = count

    def show_moving(self, *, moving: bool) -> None:
        """Only a clip or a camera can leave pictures out; nothing else has such a figure."""
        self._moving = moving
        self._fit()

    @Slot()
    def _refresh(self) -> None:
        now = time.monotonic()
        if self._started is not None:
            self._show_elapsed(now)
        if self._frames:
            rate = min(self._frames / max(now - self._since, 1e-6), 999.9)
            self.fields["fps"].set_text(f"fps {rate:5.1f}")
            for name, values in self._sums.items():
                mean = sum(values) / len(values)
                self.fields[name].set_text(f"{SHORT[name]} {mean:5.1f} ms")
            self.fields["dropped"].set_text(f"drop {self._dropped}")
            self._frames, self._sums, self._since = 0, {}, now
        elif now - self._since > 2 and self._started is None:
            self.fields["fps"].set_text("fps   –  ")
            self._every.stop()
        self._show_memory()

    def _show_memory(self) -> None:
        self.fields["memory"].set_text(f"mem {bytes_text(resident_bytes())}")

    # -- progress

    def show_progress(self, text: str, fraction: float | None = None) -> None:
        """Say what takes time; a bar with elapsed seconds and Cancel stand there after 0.3 s."""
        if self._started is None:
            self._started = time.monotonic()
            self._patience.start()
        self._words = text
        self.progress.show_fraction(fraction)
        self._show_elapsed(time.monotonic())

    def clear_progress(self) -> None:
        """The work is done."""
        self._patience.stop()
        self._started = None
        self.progress.hide()
        self.message.show()

    @Slot()
    def _reveal(self) -> None:
        self.message.hide()  # progress takes its place, not that of the probe
        self.progress.show()
        self._every.start()

    def _show_elapsed(self, now: float) -> None:
        self.progress.show_text(self._words, now - (self._started or now))

    # -- looks

    def set_still(self, *, still: bool) -> None:
        """Without motion, work of unknown length has its seconds alone and no moving bar."""
        self.progress.still = still

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        for label in (self.probe, self.message, self.progress.text, *self.fields.values()):
            label.set_theme(theme)
        self.pill.setStyleSheet(
            f"#pill {{ border: 1px solid {theme['outline']}; border-radius: 8px;"
            f" padding: 0 8px; color: {theme['text']}; font-size: 11px; }}"
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out the last fields where there is no room for all."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - ROOM_FOR_WORDS
        for name, _, _ in FIELDS:
            field = self.fields[name]
            counts = self._moving or name != "dropped"
            room -= field.minimumWidth() + 12 if counts else 0
            field.setVisible(counts and room >= 0)


class _Progress(QWidget):
    """Text, bar and Cancel."""

    def __init__(self) -> None:
        super().__init__()
        self.still = False
        self.text = ElidedLabel("body", "text", still=True, right=True)
        self.bar = QProgressBar()
        self.bar.setFixedWidth(96)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop what is running (Esc)")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for widget in (self.text, self.bar, self.cancel):
            row.addWidget(widget)
        self.hide()

    def show_fraction(self, fraction: float | None) -> None:
        """How far it is, 0 to 1; None is not known."""
        self.bar.setVisible(fraction is not None or not self.still)
        self.bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))

    def show_text(self, words: str, seconds: float) -> None:
        """What is done and since when."""
        told = f"{words.rstrip('….')}… {seconds:.0f} s"
        wide = QFontMetrics(font("body")).horizontalAdvance(told)
        self.text.set_room(-(-wide // PROGRESS_STEP) * PROGRESS_STEP)
        self.text.set_text(told)


def _field(name: str, widest: str, tip: str) -> ElidedLabel:
    label = ElidedLabel("number", "text", still=True, right=True)
    label.setObjectName(f"status-{name}")
    label.set_room(QFontMetrics(font("number")).horizontalAdvance(widest) + 6)
    label.set_hint(tip)
    return label


def resident_bytes() -> int:
    """Memory that this process holds now; where the system does not tell, the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return _peak_bytes()
    import resource

    return pages * resource.getpagesize()


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such module, and no cheap figure without a dependency
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
