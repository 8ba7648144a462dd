"""Before and after an edit, on stills and clips: equal to two separate runs, and cheaper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.core import registry
from explorer.core.baseline import not_finite, with_before
from explorer.core.capture import hook_count
from explorer.core.registry import Row
from explorer.core.session import EngineFailed, Session
from explorer.engine import Engine, Inputs, Outcome, Run
from explorer.inputs import ImageInput, Pixels
from explorer.kinds import Artefact, Image, Scores
from explorer.params import knob
from explorer.views import Edit, Frame


@dataclass(frozen=True, slots=True)
class NetParams:
    remembers: bool = knob(False, help="the output is added to the next frame")
    noise: bool = knob(True, help="random numbers in the input")
    top: int = knob(2, low=1, high=4, effect="again")


class Net(Engine[NetParams]):
    """Two convolutions, noise in their input, and on request a memory of the output."""

    Params: ClassVar[type[Any]] = NetParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Scores, Image)

    def build(self, params: NetParams) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3))

    def run(self, inputs: Inputs, params: NetParams, memory: Any = None) -> Run:
        photo = inputs["image"].pixels
        x = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() / 255
        if params.noise:
            x = x + 0.1 * torch.randn_like(x)
        if memory is not None:
            x = x + memory
        yield Image("input/photo", photo)
        logits = self.network(x).mean((2, 3))[0]
        yield from self.again(logits, params)
        return Outcome(logits.mean() if params.remembers else None, kept=logits)

    def again(self, kept: Tensor, params: NetParams) -> Iterator[Artefact]:
        shares = kept.softmax(0)
        best = shares.topk(params.top)
        yield Scores(
            "prediction/top", best.values.numpy(), [f"class {i}" for i in best.indices.tolist()],
            full=shares.numpy(), classes=[f"class {i}" for i in range(4)],
        )  # fmt: skip


class Film:
    """Frames of noise."""

    name, path, sha256, fps, live = "film", None, "", 25.0, False

    def __init__(self, count: int = 6) -> None:
        self._frames = list(np.random.default_rng(1).integers(0, 256, (count, 9, 9, 3), np.uint8))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Pixels:
        return self._frames[index]

    def close(self) -> None:
        self._frames.clear()


ROW = Row("net", "net:Net", "Net", "Tests", inputs={"image": "image"})
EDIT = (Edit("0", (1, 4), "scale", -3.0),)
FROM = 2  # the frame from which on the edit is in force


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda row: Net)


def opened(**values: Any) -> Session:
    session = Session(ROW, device="cpu", seed=5, params=values)
    session.open()
    session.statistics_every = 0.0
    list(session.run({"image": ImageInput(np.zeros((9, 9, 3), np.uint8))}))  # the first sweep
    session.reset_memory()
    return session


def played(
    session: Session, edits: Sequence[Edit], indices: Sequence[int] = range(6)
) -> list[Frame]:
    film, made = Film(), []
    for index in indices:
        session.edits = tuple(edits) if index >= FROM else ()
        made += list(session.at({"image": film}, index))
    return made


def scores(artefacts: Sequence[Artefact]) -> Scores | None:
    return next((a for a in artefacts if isinstance(a, Scores)), None)


def same(a: Scores | None, b: Scores | None) -> bool:
    return a is not None and b is not None and np.array_equal(a.full, b.full)


@pytest.mark.parametrize("remembers", [False, True])
def test_a_clip_shows_both_worlds_as_two_separate_runs_would(remembers: bool) -> None:
    both = played(opened(remembers=remembers), EDIT)
    plain = played(opened(remembers=remembers), ())
    alone = opened(remembers=remembers)
    alone.compares = False
    edited = played(alone, EDIT)
    assert len(both) == len(plain) == len(edited) == 6
    for n, (frame, without, only) in enumerate(zip(both, plain, edited, strict=True)):
        assert same(scores(frame.artefacts), scores(only.artefacts)), n
        assert not only.before
        if n < FROM:
            assert frame.before == ()
            continue
        assert [a.name for a in frame.before] == ["prediction/top"], "the photo has not changed"
        assert same(scores(frame.before), scores(without.artefacts)), n
        assert not same(scores(frame.before), scores(frame.artefacts)), n


@pytest.mark.parametrize(("remembers", "above"), [(False, 1), (True, 2)])
def test_the_part_above_the_edit_runs_once_and_the_part_below_twice(
    monkeypatch: pytest.MonkeyPatch, remembers: bool, above: int
) -> None:
    session = opened(remembers=remembers)
    work: list[nn.Module] = []
    forward = nn.Conv2d.forward

    def counted(module: nn.Conv2d, x: Tensor) -> Tensor:
        work.append(module)
        return forward(module, x)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    played(session, (Edit("1", (2,)),), [2, 3])
    first, last = session.network[0], session.network[2]  # type: ignore[index]
    # With memory the two worlds differ from the second edited frame on, above the edit as well.
    assert work.count(first) == 1 + above
    assert work.count(last) == 4


@pytest.mark.parametrize("remembers", [False, True])
def test_a_paused_frame_is_decoded_once_and_counts_once(remembers: bool) -> None:
    once = played(opened(remembers=remembers), EDIT)
    session = opened(remembers=remembers)
    paused = played(session, EDIT, [0, 1, 2, 3, 3, 3, 4, 5])
    kept = [f for n, f in enumerate(paused) if n not in (4, 5)]
    for one, other in zip(once, kept, strict=True):
        assert same(scores(one.artefacts), scores(other.artefacts))
        assert bool(one.before) == bool(other.before)
        assert not one.before or same(scores(one.before), scores(other.before))


def test_the_global_random_state_is_left_alone() -> None:
    session = opened()
    torch.manual_seed(9)
    wanted = torch.rand(3)
    torch.manual_seed(9)
    played(session, EDIT)
    assert torch.equal(torch.rand(3), wanted)


def still(value: int = 90) -> dict[str, Any]:
    return {"image": ImageInput(np.full((9, 9, 3), value, np.uint8))}


def test_a_class_that_is_new_in_the_list_has_the_value_it_had() -> None:
    session = opened(top=1)
    plain = scores([a for f in session.run(still()) for a in f.artefacts])
    assert plain is not None
    assert plain.before is None
    worst = int(np.argmin(plain.full))
    session.edits = (Edit("2", (worst,), "add", 9.0),)
    inputs = session.inputs
    made = scores([a for f in session.run(inputs) for a in f.artefacts])
    assert made is not None
    assert list(made.labels) == [f"class {worst}"]
    assert made.labels != plain.labels
    assert made.before.tolist() == [plain.full[worst]]
    assert session.set_params({"top": 4}) == "again"
    (after,) = [scores(f.artefacts) for f in session.again()]
    assert after is not None
    assert [plain.full[int(la[-1])] for la in after.labels] == after.before.tolist()


def test_edits_that_are_switched_off_or_change_nothing_leave_no_before() -> None:
    session = opened()
    session.edits = (Edit("0", op="zero", on=False),)
    assert [f.before for f in session.run(still())] == [()]
    session.edits = (Edit("0", op="scale", value=1.0),)
    (frame,) = session.run(still())
    assert frame.before == ()


def test_scores_without_labels_go_by_their_place() -> None:
    was, after = Scores("a/b", np.array([0.1, 0.9])), Scores("a/b", np.array([0.5, 0.4, 0.1]))
    assert np.array_equal(with_before(after, was).before, np.float32([0.1, 0.9, np.nan]), True)
    assert after.before is None


def test_an_edit_that_makes_nan_says_so_and_the_session_goes_on() -> None:
    session = opened()
    session.edits = (Edit("0", op="scale", value=1e30), Edit("2", op="scale", value=1e30))
    (frame,) = session.run(still())
    assert not_finite(frame.artefacts) == ("prediction/top",)
    assert "2 all units × 1e+30 makes values of 2 that are not finite" in frame.notes
    assert "prediction/top has values that are not finite, by the edits" in frame.notes
    session.edits = ()
    (frame,) = session.run(still())
    assert not_finite(frame.artefacts) == ()
    assert frame.notes == ()


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edit("2", op="scale", value=3e38),
         r"2 all units × 3e\+38 makes values of 2 that are not finite, and it cannot go on"),
        (Edit("2", op="add", value=99.0),
         r"no such number; with the edit 2 all units \+ 99 in force"),
    ],
)  # fmt: skip
def test_an_engine_that_fails_under_an_edit_names_the_edit(
    monkeypatch: pytest.MonkeyPatch, edit: Edit, says: str
) -> None:
    def again(self: Net, kept: Tensor, params: NetParams) -> Iterator[Artefact]:
        if not (kept.abs() < 50).all():
            raise ZeroDivisionError("no such number")
        yield Scores("prediction/top", kept.numpy())

    monkeypatch.setattr(Net, "again", again)
    session = opened()
    session.edits = (edit, edit)
    with pytest.raises(EngineFailed, match=says) as caught:
        list(session.run(still()))
    assert "\n" not in str(caught.value)
    assert hook_count(session.network) == 0
    session.edits = ()
    assert list(session.run(still()))


def test_freeze_of_a_frame_that_was_not_seen_looks_at_it_first() -> None:
    film = Film()
    session = opened(noise=False)
    session.edits = (Edit("0", op="freeze", moment=4),)
    (first,), (second,) = (list(session.at({"image": film}, n)) for n in (1, 3))
    session.edits = ()
    (truth,) = session.at({"image": film}, 4)
    assert same(scores(first.artefacts), scores(truth.artefacts))
    assert same(scores(second.artefacts), scores(truth.artefacts))
    assert not same(scores(first.before), scores(truth.artefacts))
    assert first.notes == ()


def test_freeze_of_a_frame_beyond_the_end_says_so() -> None:
    session = opened()
    session.edits = (Edit("0", op="freeze", moment=400),)
    (frame,) = session.at({"image": Film()}, 1)
    assert frame.notes == ("0 all units held at 400 changes nothing: frame 400 has not been seen",)
