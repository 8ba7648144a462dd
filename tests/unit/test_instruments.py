"""Instruments: what they are given, when they look, and what a broken one does."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from explorer.core import instruments, registry
from explorer.core.capture import hook_count
from explorer.core.instruments import Bench, Instrument, Taken, UnknownInstrument
from explorer.core.layers import Layer
from explorer.core.media import sample_inputs
from explorer.core.session import Session
from explorer.engine import Cancelled
from explorer.kinds import Artefact, Curve, Matrix
from explorer.params import KnobError, knob
from explorer.views import Edit


@dataclass(frozen=True, slots=True)
class MeanParams:
    layer: str = knob("stage1", help="layer to look at")
    power: int = knob(1, low=1, high=4)


class Mean(Instrument[MeanParams]):
    """Channel means of a layer to a power, and a study that counts the engine's artefacts."""

    name = "mean"
    Params: ClassVar[type[Any]] = MeanParams

    def points(self, params: MeanParams, layers: Sequence[Layer]) -> tuple[str, ...]:
        return tuple(la.name for la in layers if la.name == params.layer)

    def look(self, taken: Taken, params: MeanParams) -> Iterator[Artefact]:
        for tensor in taken.tensors.values():
            values = tensor.mean((2, 3)) ** params.power
            yield Matrix("mean/values", values.cpu().numpy())

    def study(self, bench: Bench, params: MeanParams) -> Generator[Artefact, Any, None]:
        for step in range(3):
            with torch.enable_grad():
                seen = [a.name for a in bench.engine_pass()]
            yield Curve("mean/count", np.arange(2), np.array([step, len(seen)]), step=step)


class Broken(Mean):
    """Fails whenever it looks."""

    name = "broken"

    def look(self, taken: Taken, params: MeanParams) -> Iterator[Artefact]:
        raise ValueError("no such luck")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(instruments, "load", lambda name: {"mean": Mean, "broken": Broken}[name]())
    row = registry.table()["resnet"]
    opened = Session(row)
    opened.open()
    yield opened
    opened.close()
    assert hook_count(opened.network) == 0


def _run(session: Session) -> list[Any]:
    return list(session.run(sample_inputs(session.row)))


def _layer(session: Session) -> str:
    return next(la.name for la in session.layers() if la.shape is not None and len(la.shape) == 4)


def test_an_instrument_sees_what_the_layer_returned(session: Session) -> None:
    _run(session)
    layer = _layer(session)
    session.instruments.lay_on("mean", {"layer": layer}, session.layers())
    seen: list[torch.Tensor] = []
    handle = session.network.get_submodule(layer).register_forward_hook(
        lambda _m, _a, out: seen.append(out.detach().clone())
    )
    frames = _run(session)
    handle.remove()
    (made,) = [a for a in frames[-1].artefacts if a.name == "inspect-mean/values"]
    np.testing.assert_array_equal(made.values, seen[-1][:1].mean((2, 3)).numpy())


def test_a_knob_of_its_own_needs_no_run(session: Session) -> None:
    _run(session)
    layer = _layer(session)
    session.instruments.lay_on("mean", {"layer": layer}, session.layers())
    assert session.look() is None  # not captured yet
    first = next(a for a in _run(session)[-1].artefacts if a.group == "inspect-mean")
    calls = []
    handle = session.network.register_forward_pre_hook(lambda *_: calls.append(1))
    session.instruments.lay_on("mean", {"power": 2}, session.layers())
    frame = session.look("mean")
    handle.remove()
    assert not calls
    assert frame is not None
    np.testing.assert_allclose(frame.artefacts[0].values, first.values**2, rtol=1e-6)


def test_a_study_streams_and_leaves_the_captures_of_the_run(session: Session) -> None:
    frames = _run(session)
    layer = _layer(session)
    session.instruments.lay_on("mean", {"layer": layer}, session.layers())
    frames = _run(session)
    own = len([a for f in frames for a in f.artefacts if not a.name.startswith("inspect-")])
    before = session.look("mean")
    steps = list(session.study("mean", session.inputs))
    after = session.look("mean")
    assert [f.artefacts[0].y[1] for f in steps] == [own] * 3
    assert [f.step for f in steps] == [0, 1, 2]
    assert steps[-1].last
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.artefacts[0].values, after.artefacts[0].values)
    assert hook_count(session.network) == 0


def test_a_cancel_reaches_a_study(session: Session) -> None:
    _run(session)
    session.instruments.lay_on("mean", {}, session.layers())
    study = session.study("mean", session.inputs)
    next(study)
    session.cancel()
    with pytest.raises(Cancelled):
        next(study)
    assert hook_count(session.network) == 0


def test_edits_act_in_what_an_instrument_sees(session: Session) -> None:
    _run(session)
    layer = _layer(session)
    session.instruments.lay_on("mean", {"layer": layer}, session.layers())
    session.edits = (Edit(layer, (0,), "replace", 2.5),)
    frames = _run(session)
    (made,) = [a for a in frames[-1].artefacts if a.name == "inspect-mean/values"]
    assert made.values[0, 0] == 2.5


def test_a_broken_instrument_takes_nothing_down(session: Session) -> None:
    _run(session)
    session.instruments.lay_on("broken", {"layer": _layer(session)}, session.layers())
    session.instruments.lay_on("mean", {"layer": _layer(session)}, session.layers())
    last = _run(session)[-1]
    assert any("broken cannot be drawn: ValueError: no such luck" in n for n in last.notes)
    assert any(a.name == "inspect-mean/values" for a in last.artefacts)


def test_a_wrong_knob_changes_nothing(session: Session) -> None:
    session.instruments.lay_on("mean", {"power": 3}, session.layers())
    with pytest.raises(KnobError, match="power"):
        session.instruments.lay_on("mean", {"power": 9}, session.layers())
    assert session.instruments.params("mean").power == 3


def test_taken_off_nothing_is_captured_for_it(session: Session) -> None:
    _run(session)
    session.instruments.lay_on("mean", {"layer": _layer(session)}, session.layers())
    session.instruments.take_off("mean")
    assert session.instruments.points == ()
    assert not any(a.group == "inspect-mean" for a in _run(session)[-1].artefacts)


def test_an_unknown_instrument_names_the_near_ones() -> None:
    with pytest.raises(UnknownInstrument, match="instrument 'no-such'"):
        instruments.load("no-such")


def test_every_instrument_of_the_table_can_be_made() -> None:
    for row in instruments.INSTRUMENTS:
        made = instruments.load(row.name)
        assert made.name == row.name
        assert row.title
        assert row.summary
        made.Params()  # every knob has a default
