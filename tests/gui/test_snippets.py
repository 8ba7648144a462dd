"""Copy as Python: what is on the clipboard is a program that gives the numbers on the screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication

from explorer.editing import Edit
from explorer.panels.panel import Panel

pytestmark = pytest.mark.gui


def copied(window: Any, qtbot: Any) -> str:
    clipboard = QGuiApplication.clipboard()
    clipboard.clear()
    window.commands["copy-snippet"].trigger()
    qtbot.waitUntil(lambda: bool(clipboard.text()), timeout=60_000)
    return str(clipboard.text())


def test_where_no_proof_can_be_had_the_program_runs_layerscope_and_says_so(
    window: Any, qtbot: Any
) -> None:
    window.edit_book.put((Edit("_blocks.7", (3,)),), "edit")
    text = copied(window, qtbot)
    compile(text, "snippet", "exec")
    assert "session.run(inputs)" in text
    assert "Edit(point='_blocks.7', units=(3,)" in text
    assert "runs layerscope itself" in window.status_bar.message.text()


def test_an_edit_made_in_the_window_is_in_the_program(
    real_window: Any, qtbot: Any, tmp_path: Path
) -> None:
    window = real_window()
    window.centre.panel().select(3)
    window.commands["zero-unit"].trigger()
    qtbot.waitUntil(lambda: np.ptp(window.centre.panel().arrays()["maps"][3]) == 0)
    text = copied(window, qtbot)
    assert "it was tried" in window.status_bar.message.text()
    assert '"""_blocks.7 #3 × 0"""' in text
    program, out = tmp_path / "program.py", tmp_path / "values.npy"
    program.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program), str(out)], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    values = np.load(out)
    session = window.runner._session
    shown = window.centre.panel().rendered if hasattr(window.centre.panel(), "rendered") else None
    handle = shown.handle if shown is not None else window.presenter.frame.rendered[0].handle
    assert np.array_equal(values, session.read(handle))
    assert not values[3].any()


def test_instruments_are_copied_too(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    for name, artefact, says in (
        ("pixel", "hypercolumn", "torch.lerp"),
        ("gram", "this input", "flat @ flat.T"),
        ("unit", "Grad-CAM", "torch.autograd.grad"),
    ):
        window.instruments.open(name, {})
        window.instruments.follow("cursor", (200.0, 120.0))
        window.instruments.follow("layer", "_blocks.7")
        window.instruments.follow("unit", 4)
        dock = window.instruments.docks[name]
        if name == "unit":
            dock.run.click()

        def panels(dock: Any = dock, artefact: str = artefact) -> list[Any]:
            found = [p for p in dock.group.findChildren(Panel) if p.artefact is not None]
            return [p for p in found if p.artefact.item == artefact]

        qtbot.waitUntil(lambda panels=panels: bool(panels()), timeout=60_000)
        window.looking.panel_in_use = lambda panels=panels: panels()[0]
        text = copied(window, qtbot)
        assert says in text, window.status_bar.message.text()
        assert "it was tried" in window.status_bar.message.text()
