"""Live knobs and cancel act in the step that follows the one on the screen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from explorer.core.media import sample_inputs
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.engine import Cancelled
from explorer.kinds import Image
from explorer.views import Edit, Frame

CHANGED = 2  # the step that is shown while the person acts


@pytest.fixture
def style() -> Session:
    torch.set_num_threads(1)
    values = {"size": 32, "steps": 5, "show_every": 1, "optimiser": "Adam"}
    made = Session(table()["style"], device="cpu", params=values)
    made.open()
    made.statistics_every = 0.0
    return made


def canvases(session: Session, act: Any = None) -> dict[int, np.ndarray]:
    found = {}
    for frame in session.run(sample_inputs(session.row)):
        found |= {a.step: a.image for a in frame.artefacts if a.name == "pictures/canvas"}
        if act is not None and frame.step == CHANGED:
            act()
    return found


def test_a_live_knob_of_an_optimisation_acts_in_the_next_step(style: Session) -> None:
    plain = canvases(style)
    assert sorted(plain) == [0, 1, 2, 3, 4, 5]
    changed = canvases(style, lambda: style.set_params({"style": 1e4, "rate": 0.2}))
    for step in range(CHANGED + 1):
        assert np.array_equal(plain[step], changed[step])
    for step in range(CHANGED + 1, 6):
        assert not np.array_equal(plain[step], changed[step])


def losses(session: Session, act: Any = None) -> list[float]:
    """The first term of the loss at every step, from 1 on."""
    for frame in session.run(sample_inputs(session.row)):
        found = [a.y for a in frame.artefacts if a.name == "loss/terms"]
        if act is not None and frame.step == CHANGED:
            act()
    return [float(v) for v in found[0][0]]


def test_an_edit_of_an_optimisation_acts_in_the_next_step(style: Session) -> None:
    plain = losses(style)

    def cut() -> None:
        style.edits = (Edit(style.row.points[0], op="scale", value=-3.0),)

    changed = losses(style, cut)
    assert changed[:CHANGED] == plain[:CHANGED]
    assert changed[CHANGED] != plain[CHANGED]  # that of step 3


def test_a_cancel_while_a_step_is_shown_computes_nothing_more(style: Session) -> None:
    calls: list[int] = []
    shown: list[Frame] = []
    with pytest.raises(Cancelled):  # noqa: PT012 -- the run is stopped from within
        for frame in style.run(sample_inputs(style.row)):
            shown.append(frame)
            if frame.step == CHANGED:
                style.network.register_forward_hook(lambda *_: calls.append(1))
                style.cancel()
    assert [f.step for f in shown if any(isinstance(a, Image) for a in f.artefacts)] == [0, 1, 2]
    assert calls == []
