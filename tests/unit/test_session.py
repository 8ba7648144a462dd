"""The session: live knobs, memory between frames, seeds, cancel, errors, sealing and training."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.core import registry
from explorer.core.capture import hook_count
from explorer.core.registry import Row
from explorer.core.session import EngineFailed, Session
from explorer.core.training import Trainer
from explorer.engine import (
    Cancelled,
    Checkpoint,
    EndOfStep,
    Engine,
    EngineError,
    Inputs,
    Outcome,
    Run,
    Training,
)
from explorer.inputs import ImageInput, Pixels
from explorer.kinds import Artefact, Curve, Matrix
from explorer.params import KnobError, knob
from explorer.views import Edit, View


@dataclass(frozen=True, slots=True)
class ToyParams:
    scale: float = knob(1.0, low=0.0, high=10.0, effect="live")
    offset: float = knob(0.0, low=-5.0, high=5.0, effect="again")
    steps: int = knob(3, low=1, high=10_000)
    width: int = knob(4, low=1, high=64, effect="build")
    marks: bool = knob(True, help="say where steps end")
    fault: str = knob("none", choices=("none", "raise", "mend", "memory", "reuse", "wrong", "spin"))


class Toy(Engine[ToyParams]):
    """A linear layer called once a step; adds up what it saw over frames."""

    Params: ClassVar[type[Any]] = ToyParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Matrix, Curve)
    warm_up = 2

    def build(self, params: ToyParams) -> nn.Module:
        return nn.Sequential(nn.Linear(3, params.width), nn.ReLU(inplace=True))

    def run(self, inputs: Inputs, params: ToyParams, memory: Any = None) -> Run:
        total = float(memory or 0.0)
        if "image" in inputs:
            total += float(inputs["image"].pixels.mean())
        buffer = torch.zeros(2, 2)
        assert not torch.is_grad_enabled()
        for step in range(params.steps):
            self._fail(params.fault)
            out: Tensor = self.network(torch.rand(1, 3))
            value = float(out.sum()) * params.scale + total
            buffer.fill_(float(step))
            array = buffer.numpy() if params.fault == "reuse" else np.full((2, 2), value)
            if params.fault == "wrong":
                yield "no artefact"  # type: ignore[misc]
            params = yield Matrix("a/values", array, step=step)
            if params.marks and step + 1 < params.steps:
                params = yield EndOfStep()
        yield Matrix("a/memory", np.full((1, 1), total), step=params.steps - 1)
        return Outcome(memory=total, kept=total)

    def again(self, kept: float, params: ToyParams) -> Iterator[Artefact]:
        yield Matrix("a/memory", np.full((1, 1), kept + params.offset))

    def train(
        self, inputs: Inputs, params: ToyParams, resume: Checkpoint | None = None
    ) -> Training:
        optimiser = torch.optim.Adam(self.network.parameters(), lr=0.05)
        start, losses = 0, []
        if resume is not None:
            self.network.load_state_dict(dict(resume.weights))
            optimiser.load_state_dict(dict(resume.state["optimiser"]))
            start = resume.step
        for step in range(start + 1, 10_000):
            x = torch.rand(8, 3)
            loss = (self.network(x) - x.sum(1, keepdim=True)).square().mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
            yield Curve("b/loss", np.arange(len(losses)), np.array(losses), step=step)
            state = {"optimiser": optimiser.state_dict()}
            yield Checkpoint(step, self.network.state_dict(), state, {"loss": loss.item()})

    @staticmethod
    def _fail(fault: str) -> None:
        if fault == "raise":
            raise ZeroDivisionError("planted")
        if fault == "mend":
            raise EngineError("the string is empty; type one")
        if fault == "memory":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")
        if fault == "spin":
            time.sleep(0.001)


class FakeClip:
    """A clip whose frame ``i`` has brightness ``i``."""

    name, path, sha256, fps, live = "fake", None, "", 25.0, False

    def __init__(self, count: int = 12) -> None:
        self.count = count
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pixels:
        if index >= self.count:
            raise IndexError(index)
        self.read.append(index)
        return np.full((2, 2, 3), index, np.uint8)

    def close(self) -> None:
        self.read.clear()


ROW = Row("toy", "toy:Toy", "Toy", "Tests", inputs={"image": "image"})


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda row: Toy)


def opened(**values: Any) -> Session:
    session = Session(ROW, device="cpu", seed=1, params=values)
    session.open()
    return session


def values(session: Session, inputs: Mapping[str, Any] | None = None) -> list[float]:
    frames = session.run(inputs or {})
    return [float(a.values[0, 0]) for f in frames for a in f.artefacts if a.name == "a/values"]


@pytest.mark.parametrize(("marks", "acts_from"), [(True, 1), (False, 2)])
def test_a_live_knob_changed_while_a_step_is_shown_acts_in_the_next(
    marks: bool, acts_from: int
) -> None:
    session = opened(steps=4, scale=1.0, marks=marks)
    plain = values(session)
    got = []
    for frame in session.run({}):
        got += [float(a.values[0, 0]) for a in frame.artefacts if a.name == "a/values"]
        if frame.step == 0:
            assert session.set_params({"scale": 10.0}) == "live"
    # Where the end of a step is not said, it is known from the next one's first artefact only.
    factors = [10.0 if step >= acts_from else 1.0 for step in range(4)]
    assert got == pytest.approx([f * v for f, v in zip(factors, plain, strict=True)])


def test_a_cancel_while_a_step_is_shown_stops_before_the_next() -> None:
    session = opened(steps=100)
    calls: list[int] = []
    session.network.register_forward_hook(lambda *_: calls.append(1))
    running = session.run({})
    assert next(running).step == 0
    assert len(calls) == 1, "the step is handed out before the next one is computed"
    session.cancel()
    with pytest.raises(Cancelled):
        next(running)
    assert len(calls) == 1


def test_marked_and_unmarked_steps_give_the_same_frames() -> None:
    def frames(*, marks: bool) -> list[tuple[int, bool, list[str]]]:
        made = opened(marks=marks).run({})
        return [(f.step, f.last, [a.name for a in f.artefacts]) for f in made]

    assert frames(marks=True) == frames(marks=False)
    assert frames(marks=True)[-1] == (2, True, ["a/values", "a/memory"])


class EndsWithAMark(Toy):
    """Cannot know that no further step follows."""

    def run(self, inputs: Inputs, params: ToyParams, memory: Any = None) -> Run:
        for step in range(2):
            yield Matrix("a/values", np.zeros((1, 1)), step=step)
            yield EndOfStep()
        return None


def test_a_run_that_ends_right_after_a_mark_still_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda row: EndsWithAMark)
    session = opened()
    made = list(session.run({}))
    assert [(f.step, f.last, len(f.artefacts)) for f in made] == [
        (0, False, 1), (1, False, 1), (1, True, 0),
    ]  # fmt: skip
    assert len(session.timeline) == 2, "the empty one is not recorded"


def test_the_same_seed_gives_the_same_run_and_leaves_the_global_one_alone() -> None:
    session = opened()
    torch.manual_seed(123)
    wanted = torch.rand(3)
    torch.manual_seed(123)
    first = values(session)
    assert torch.equal(torch.rand(3), wanted)
    torch.rand(7)
    assert values(session) == first
    other = Session(ROW, device="cpu", seed=2)
    other.open()
    assert values(other) != first


def test_random_numbers_of_others_between_two_steps_do_not_matter() -> None:
    session = opened()
    first = values(session)
    got = []
    for frame in session.run({}):
        torch.rand(5)
        got += [float(a.values[0, 0]) for a in frame.artefacts if a.name == "a/values"]
    assert got == first


def test_again_uses_what_was_kept() -> None:
    session = opened()
    values(session, {"image": ImageInput(np.full((2, 2, 3), 7, np.uint8))})
    assert session.set_params({"offset": 2.0}) == "again"
    frames = list(session.again())
    assert [float(a.values[0, 0]) for f in frames for a in f.artefacts] == [9.0]


def test_unknown_knob_and_value_change_nothing() -> None:
    session = opened()
    with pytest.raises(KnobError, match="did you mean scale"):
        session.set_params({"scal": 2.0})
    with pytest.raises(KnobError, match="outside"):
        session.set_params({"scale": 99.0, "offset": 1.0})
    assert (session.params.scale, session.params.offset) == (1.0, 0.0)


def memories(session: Session, indices: list[int], clip: FakeClip) -> list[float]:
    found = []
    for index in indices:
        for frame in session.at({"image": clip}, index):
            found += [float(a.values[0, 0]) for a in frame.artefacts if a.name == "a/memory"]
    return found


def test_memory_goes_from_frame_to_frame_and_a_paused_one_counts_once() -> None:
    session, clip = opened(), FakeClip()
    assert memories(session, [0, 1, 2, 2, 2, 3], clip) == [0, 1, 3, 3, 3, 6]


def test_a_seek_forgets_and_warms_up() -> None:
    session, clip = opened(), FakeClip()
    memories(session, [0, 1, 2], clip)
    assert memories(session, [9], clip) == [7 + 8 + 9]
    assert memories(session, [10], clip) == [7 + 8 + 9 + 10]
    assert memories(session, [0], clip) == [0]


def test_play_ends_where_the_clip_ends() -> None:
    session, clip = opened(steps=1), FakeClip(5)
    assert [f.frame for f in session.play({"image": clip})] == [0, 1, 2, 3, 4]
    assert [f.frame for f in session.play({"image": clip}, every=2)] == [0, 2, 4]
    assert [f.frame for f in session.play({"image": clip}, frames=2)] == [0, 1]


def test_arrays_are_read_only_and_no_film_shows_its_last_step() -> None:
    session = opened(fault="reuse", steps=4)
    frames = [f for f in session.run({}) if f.artefacts[0].name == "a/values"]
    assert [float(f.artefacts[0].values[0, 0]) for f in frames] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        frames[0].artefacts[0].values[0, 0] = 5


def test_an_error_is_one_line_with_its_traceback_as_text_and_the_session_goes_on() -> None:
    session = opened(fault="raise")
    with pytest.raises(EngineFailed, match="ZeroDivisionError: planted") as caught:
        values(session)
    assert "in _fail" in caught.value.traceback
    assert caught.value.__cause__ is None
    assert hook_count(session.network) == 0
    session.set_params({"fault": "none"})
    assert len(values(session)) == 3


def test_an_error_with_a_remedy_passes_as_it_is() -> None:
    with pytest.raises(EngineError, match="type one"):
        values(opened(fault="mend"))


def test_out_of_memory_says_so_and_offers_a_smaller_size() -> None:
    with pytest.raises(EngineFailed, match=r"out of memory .*smaller size") as caught:
        values(opened(fault="memory"))
    assert caught.value.memory


def test_something_that_is_no_artefact_is_named() -> None:
    with pytest.raises(EngineFailed, match="str, which is no artefact"):
        values(opened(fault="wrong"))


def test_cancel_stops_at_the_next_module_and_leaves_no_hook() -> None:
    session = opened(steps=1000)
    running = session.run({})
    next(running)
    session.cancel()
    with pytest.raises(Cancelled):
        list(running)
    assert hook_count(session.network) == 0
    session.set_params({"steps": 2})
    assert len(values(session)) == 2


def test_views_and_edits_change_in_the_middle_of_a_run() -> None:
    session = opened(steps=6)
    seen = []
    for frame in session.run({}):
        seen.append([r.view.point for r in frame.rendered])
        if frame.step == 1:
            session.views = (View("0"),)
            session.edits = (Edit("0", op="replace", value=2.0),)
    assert seen[0] == seen[1] == []
    assert seen[-1] == ["0"]
    assert session.timeline.at(-1).artefacts[0].name == "a/values"
    shown = [f.rendered[0] for f in map(session.timeline.at, range(len(seen))) if f.rendered]
    assert shown[-1].edited
    assert shown[-1].statistics.low == shown[-1].statistics.high == 2.0


def test_a_changed_view_is_drawn_without_the_network() -> None:
    session = opened()
    session.views = (View("0"),)
    list(session.run({}))
    calls: list[int] = []
    session.network.register_forward_hook(lambda *_: calls.append(1))
    frame = session.redraw((View("0", order="max"),))
    assert frame is not None
    assert frame.rendered[0].view.order == "max"
    assert calls == []
    assert session.redraw((View("1"),)) is None


def test_a_build_knob_makes_the_network_anew() -> None:
    session = opened()
    assert session.set_params({"width": 9}) == "build"
    session.rebuild()
    assert session.network[0].out_features == 9  # type: ignore[index,union-attr]
    assert session.params.width == 9


def test_ten_steps_and_a_stop_and_ten_more_equal_twenty(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    list(opened().train({}, out=whole, steps=20))
    list(opened().train({}, out=half, steps=10))
    stopped = opened()
    list(stopped.train({}, out=half, resume=Trainer.checkpoint_path(half), steps=10))
    from safetensors.torch import load_file

    a, b = load_file(whole), load_file(half)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_cancelled_training_keeps_its_newest_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "t.safetensors"
    session = opened()
    training = session.train({}, out=out)
    for _ in range(7):
        next(training)
    session.cancel()
    with pytest.raises(Cancelled):
        next(training)
    assert Trainer.checkpoint_path(out).exists()
    assert not session.network.training
    assert not any(p.requires_grad for p in session.network.parameters())
    assert not list(tmp_path.glob(".*"))


def test_a_checkpoint_of_another_engine_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "t.safetensors"
    list(opened().train({}, out=out, steps=1))
    other = Session(Row("other", "toy:Toy", "Other", "Tests"), device="cpu")
    other.open()
    with pytest.raises(EngineError, match="of engine 'toy', not of 'other'"):
        list(other.train({}, resume=Trainer.checkpoint_path(out)))


def test_an_unknown_device_is_refused_with_a_remedy() -> None:
    for name in ("gpu", "cuda:99", "meta"):
        with pytest.raises(EngineError, match="cpu"):
            Session(ROW, device=name)


def test_random_weights_are_never_passed_off_as_trained() -> None:
    assert opened().provenance == "random"
