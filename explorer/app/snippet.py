"""Copy as Python: a stand-alone program for the picture in use, tried before it is handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication

from explorer.core.instruments import PREFIX
from explorer.kinds import Hypercolumn
from explorer.views import Edit

if TYPE_CHECKING:
    from explorer.app.window import Window


@dataclass(frozen=True, slots=True)
class _Written:
    """The program, or why there is none; ``about`` says of what."""

    about: str
    text: str = ""
    problem: str = ""


class Snippets(QObject):
    """Asks the runner's thread for the proof of what the panel in use shows."""

    _written = Signal(object)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._written.connect(self._copy, Qt.ConnectionType.QueuedConnection)

    def copy(self) -> None:
        """Write the program and put it on the clipboard."""
        window = self._window
        about, asked = self._asked()
        if not asked["points"]:
            window.say("Nothing to copy yet: tick a layer first")
            return
        moving = window.sources.moving()
        if moving is not None and moving.live:
            about += " in the camera's next picture"  # the one that is shown is gone
        frame = window.presenter.frame
        asked |= {"edits": window.edit_book.edits, "frame": frame.frame if frame else 0}
        asked["step"] = frame.step if frame else 0
        window.say(f"Writing a program for {about}, and trying it …")
        inputs = window.sources.inputs()
        window.runner.with_session(partial(self._write, about, inputs, asked))

    def _asked(self) -> tuple[str, dict[str, Any]]:
        """What the panel in use shows, in words and as `proof.Asked` wants it."""
        window = self._window
        panel, layer = window.looking.panel_in_use(), window.centre.current
        artefact = getattr(panel, "artefact", None)
        if isinstance(artefact, Hypercolumn) and artefact.group == f"{PREFIX}pixel":
            points = tuple(name for name, _ in artefact.layers)
            pixel = window.instruments.values("pixel").get("cursor")
            if pixel is not None:
                about = f"the hypercolumn at {pixel[0]:.1f}, {pixel[1]:.1f}"
                return about, {"points": points, "kind": "hypercolumn", "pixel": tuple(pixel)}
        if artefact is not None and artefact.name == f"{PREFIX}unit/Grad-CAM":
            shown = window.presenter.frame.artefacts if window.presenter.frame else ()
            predicted = next((a.target for a in shown if a.target is not None), ("", 0))
            asked = {"points": (layer,), "kind": "grad-cam", "target": predicted}
            return "Grad-CAM", asked | {"explained": window.instruments.values("unit")}
        if artefact is not None and artefact.group == f"{PREFIX}gram":
            layer = window.instruments.values("gram").get("layer") or layer
            return f"the Gram matrix of {layer}", {"points": (layer,), "kind": "gram"}
        point = getattr(panel, "point", "") or layer
        return point, {"points": (point,) if point else ()}

    def _write(self, about: str, inputs: Any, asked: dict[str, Any], session: Any) -> None:
        """In the runner's thread, which has torch."""
        if session is None:
            self._written.emit(_Written(about, problem="no engine is open"))
            return
        from explorer.core.paths import cache
        from explorer.core.proofs.proof import Asked, ProofError, prove
        from explorer.engine import EngineError
        from explorer.params import as_dict

        engine = getattr(session.params, "model", "") or session.row.name
        explained = asked.pop("explained", None)
        try:
            if explained is not None:
                asked |= _cam(session.layers(), explained, asked["target"])
            proof = prove(
                engine, as_dict(session.params), inputs, Asked(**asked),
                device=str(session.device), seed=session.seed,
            )  # fmt: skip
            folder = cache() / "proofs"
            path = proof.keep(folder)
        except (ProofError, EngineError, LookupError, OSError) as error:
            self._written.emit(_Written(about, problem=str(error)))
        else:
            self._written.emit(_Written(about, proof.text(f"Path({str(path)!r})")))

    @Slot(object)
    def _copy(self, written: _Written) -> None:
        window = self._window
        if window.closing:
            return
        if written.text:
            QGuiApplication.clipboard().setText(written.text)
            window.say(f"Copied a program of torch and numpy for {written.about}; it was tried")
            return
        QGuiApplication.clipboard().setText(self._through_session())
        window.say(f"Copied a program that runs layerscope itself ({written.problem})")

    def _through_session(self) -> str:
        w = self._window
        inputs = {
            slot: (kind, w.sources.place(slot)) for slot, kind in w.row.inputs.items()
            if w.sources.place(slot)
        }  # fmt: skip
        return snippet(
            w.row.name, inputs, w.room.changed_knobs(), w.centre.current,
            edits=w.edit_book.edits, device=w.device, seed=w.seed,
        )  # fmt: skip


def _cam(layers: Any, knobs: Mapping[str, Any], predicted: tuple[str, int]) -> dict[str, Any]:
    """Layer and target of a Grad-CAM, as the unit's page chooses them; in the runner's thread."""
    from explorer.instruments.explained import before, layer_of
    from explorer.instruments.unit import OVERS

    layer = layer_of(knobs["layer"], layers)
    if knobs["explain"] == "prediction":
        point, first = predicted
        unit = first if knobs["index"] is None else knobs["index"]
        return {"points": (knobs["cam"] or layer,), "target": (point, unit)}
    cam = knobs["cam"] or before(layer, layers)
    return {"points": (cam,), "target": (layer, knobs["unit"]), "over": OVERS[knobs["place"]]}


def snippet(
    engine: str,
    inputs: Mapping[str, tuple[str, str]],
    knobs: Mapping[str, Any],
    layer: str,
    *,
    edits: Sequence[Edit] = (),
    device: str = "auto",
    seed: int = 0,
) -> str:
    """A program that runs the engine through layerscope and reads a layer.

    Args:
        inputs: slot to (slot type, path or text).
        knobs: those that differ from their defaults.
        layer: whose values it reads and prints the shape of.
    """
    opened = [
        f"    {slot!r}: read_input({kind!r}, {where!r})," for slot, (kind, where) in inputs.items()
    ]
    lines = [
        "from explorer.core.media import read_input",
        "from explorer.core.registry import find, table",
        "from explorer.core.session import Session",
        *(["from explorer.editing import Edit, Mask"] if edits else []),
        "from explorer.views import View",
        "",
        f"row = find({engine!r}, table())",
        f"session = Session(row, device={device!r}, seed={seed}, params={dict(knobs)!r})",
        "session.open()",
        f"session.views = (View({layer!r}),)",
        *([f"session.edits = {tuple(edits)!r}"] if edits else []),
        "inputs = {",
        *opened,
        "}",
        "for frame in session.run(inputs):  # one frame a step",
        "    for picture in frame.rendered:",
        "        values = session.read(picture.handle)  # (units, height, width)",
        f"        print({layer!r}, values.shape, values.min(), values.max())",
        "session.close()",
    ]
    return "\n".join(lines) + "\n"
