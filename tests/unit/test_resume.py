"""Resuming below an edit gives the very numbers of a full run, and runs less."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from explorer.core.capture import hook_count
from explorer.core.media import read_image, sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.resume import Resume
from explorer.core.session import Session
from explorer.kinds import Scores
from explorer.views import Edit, View


@pytest.fixture(scope="module")
def session() -> Session:
    torch.set_num_threads(1)
    made = Session(table()["classify"], device="cpu")
    made.statistics_every = 0.0
    made.open()
    return made


def scores(session: Session, inputs: Any) -> Any:
    made = [a for f in session.run(inputs) for a in f.artefacts if isinstance(a, Scores)]
    return made[0]


def afresh(session: Session, inputs: Any) -> Any:
    """The same run with nothing recorded: the oracle."""
    session._passes.forget()
    session.compares = False
    try:
        return scores(session, inputs)
    finally:
        session.compares = True


def calls_during(session: Session, inputs: Any) -> set[str]:
    """Modules that really computed, by their own forward."""
    done: set[str] = set()
    handles = [
        m.register_forward_hook(lambda m, i, o, n=name: done.add(n))
        for name, m in session.network.named_modules()
        if not list(m.children())
    ]
    scores(session, inputs)
    for handle in handles:
        handle.remove()
    return done


@pytest.mark.parametrize(
    "point", ["_blocks.12", "_conv_head", "_blocks.3._bn1", "_fc", "_conv_stem"]
)
@pytest.mark.parametrize("views", [(), (View("_blocks.2._bn1"), View("_blocks.14"))])
def test_equal_to_a_full_run_bit_for_bit(
    session: Session, point: str, views: tuple[View, ...]
) -> None:
    inputs = sample_inputs(session.row)
    session.edits, session.views = (), views
    plain = scores(session, inputs)
    session.edits = (Edit(point, (0, 3, 5), "scale", 3.0),)
    resumed = scores(session, inputs)
    replayed = session.replayed
    truth = afresh(session, inputs)
    session.edits, session.views = (), ()
    assert session.replayed == ()
    assert bool(replayed) == (point != "_pad")
    assert resumed.labels == truth.labels
    assert (resumed.scores == truth.scores).all()
    assert (resumed.scores != plain.scores).any()
    was = dict(zip(plain.classes, plain.full.tolist(), strict=True))
    assert resumed.before.tolist() == [was[label] for label in resumed.labels]
    assert plain.before is None


def test_only_what_lies_below_runs(session: Session) -> None:
    inputs = sample_inputs(session.row)
    session.edits = ()
    scores(session, inputs)
    session.edits = (Edit("_blocks.12", op="zero"),)
    done = calls_during(session, inputs)
    session.edits = ()
    assert "_blocks.5._project_conv" not in done
    assert "_blocks.12._project_conv" not in done, "an edit of what a block returns needs no block"
    assert {"_blocks.13._project_conv", "_fc"} <= done


def test_another_photo_another_knob_and_an_edit_above_run_in_full(session: Session) -> None:
    inputs = sample_inputs(session.row)
    session.edits = ()
    scores(session, inputs)
    session.edits = (Edit("_conv_head", op="zero"),)
    scores(session, inputs)
    assert session.replayed
    session.compares = False  # or each is run without the edits first, and then replayed
    other = {"image": read_image(assets() / "coffee.png")}
    scores(session, other)
    assert session.replayed == ()
    session.set_params({"size": 192})
    scores(session, inputs)
    assert session.replayed == ()
    session.set_params({"size": 224})
    session.compares = True
    session.edits = (Edit("_conv_head", op="zero"), Edit("_conv_stem", (0,)))
    scores(session, inputs)
    assert not any(name.startswith("_blocks") for name in session.replayed)
    session.edits = ()


def test_nothing_stays_patched(session: Session) -> None:
    inputs = sample_inputs(session.row)
    session.edits = ()
    scores(session, inputs)
    session.edits = (Edit("_fc", op="zero"),)
    running = session.run(inputs)
    next(running)
    running.close()
    session.edits = ()
    assert not [n for n, m in session.network.named_modules() if "forward" in vars(m)]
    assert hook_count(session.network) == 0


def test_an_edit_without_a_run_before_it_runs_the_upper_part_once(session: Session) -> None:
    inputs = {"image": read_image(assets() / "coffee.png")}
    session.edits = (Edit("_blocks.12", op="zero"),)
    calls: list[str] = []
    handles = [
        session.network.get_submodule(name).register_forward_hook(
            lambda m, i, o, n=name: calls.append(n)
        )
        for name in ("_blocks.5._project_conv", "_blocks.13._project_conv")
    ]
    made = scores(session, inputs)
    for handle in handles:
        handle.remove()
    session.edits = ()
    plain = scores(session, inputs)
    assert sorted(calls) == ["_blocks.13._project_conv"] * 2 + ["_blocks.5._project_conv"]
    was = dict(zip(plain.classes, plain.full.tolist(), strict=True))
    assert made.before.tolist() == [was[label] for label in made.labels]


def test_a_view_into_a_replayed_block_lets_it_run(session: Session) -> None:
    inputs = sample_inputs(session.row)
    session.edits = ()
    scores(session, inputs)
    session.edits, session.views = (Edit("_fc", op="zero"),), (View("_blocks.5._bn1"),)
    frames = list(session.run(inputs))
    session.edits, session.views = (), ()
    assert "_blocks.5" not in session.replayed
    assert "_blocks.6" in session.replayed
    assert [r.view.point for r in frames[-1].rendered] == ["_blocks.5._bn1"]


class Writes(nn.Module):
    """What follows its first block writes into that block's output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.stem(x).relu_())
        return y


@torch.no_grad()
def test_a_replayed_output_that_is_written_in_place_is_recorded_anew_and_copied() -> None:
    torch.manual_seed(0)
    network, x = Writes(), torch.randn(2, 4)
    truth = network(x)
    resume = Resume(network)
    edits = (Edit("head", op="zero"),)

    def replay() -> tuple[tuple[str, ...], Tensor]:
        with resume.replayed("key", edits, ()) as names:
            hidden = network.stem(x).relu_()
        return names, hidden

    for _ in range(2):
        with resume.recorded("key") as made:
            network(x)
        resume.keep(made, ())
        for _ in range(2):
            names, hidden = replay()
            assert torch.equal(network.head(hidden), truth)
            if resume.known("key") is None:
                assert names == ("stem", "head")
                break
        else:
            assert names == ("stem", "head"), "copies serve again and again"
            return
    pytest.fail("the recording was dropped twice")


def test_a_network_that_runs_many_times_in_a_run_is_never_replayed() -> None:
    session = Session(table()["fast-weights"], device="cpu")
    session.open()
    inputs = sample_inputs(session.row)
    list(session.run(inputs))
    session.edits = (Edit("readout.2", op="zero"),)
    list(session.run(inputs))
    assert session.replayed == ()
