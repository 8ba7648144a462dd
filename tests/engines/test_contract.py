"""One suite over the whole catalogue: what every engine promises to the explorer."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from explorer import params as knobs
from explorer.core.capture import hook_count
from explorer.core.media import read_input, sample_inputs
from explorer.core.registry import Row, load, table
from explorer.core.session import Session
from explorer.engine import Cancelled, EndOfStep, Engine
from explorer.kinds import KIND, Artefact
from explorer.views import Edit, Frame, View

ROWS = {name: row for name, row in table().items() if row.origin == "engines:CATALOG"}
QUICK: dict[str, dict[str, Any]] = {
    "fast-rcnn": {"batch": 2, "scale": 150},
    "fast-style": {"size": 32, "side": 32, "features": "efficientnet-lite0"},
    "faster-rcnn": {"batch": 4},
    "fpn": {"batch": 4},
    "mask-rcnn": {"batch": 4},
    "keypoint-rcnn": {"batch": 4},
    "style": {"size": 32, "steps": 2, "units": 8},
    "yolo-v1": {"batch": 4},
    "yolo-v2": {"batch": 4},
    "yolo-v2-face": {"size": 224, "score": 0.02},
    "nanodet": {"size": 224, "score": 0.12},
    "dance": {"frames": 2, "batch": 1, "train_steps": 1, "face_steps": 2},
    "dance-jumper": {"frames": 2, "side": 64, "batch": 1, "train_steps": 1, "face_steps": 2},
    "pix2pixhd": {"batch": 1},
    "posenet": {"size": 193},
    "yolo9000": {"train_steps": 6, "batch": 4, "score": 0.05},
}
OTHER_IMAGE, OTHER_TEXT = ("coffee.png", "flower.jpg"), "a1b2c3d4??d"
# Facts about an architecture or a past training: neither the picture nor a nudge of the weights
# may change them.
CONSTANT = {"vgg": {"layers/receptive field"}, "resnet": {"degradation"}}
GOLDEN = Path(__file__).parent.parent / "golden"
# Another value of a text knob that rebuilds, by engine and knob; and another file for a slot.
WORDS = {
    ("fast-style", "file"): str(
        GOLDEN.parent.parent / "assets/weights/brushwork-style.safetensors"
    ),
    ("yolo-v1", "darknet"): str(GOLDEN / "darknet_v1.cfg"),
    ("yolo-v2", "darknet"): str(GOLDEN / "darknet.cfg"),
    ("yolo9000", "darknet"): str(GOLDEN / "yolo9000" / "tiny.cfg"),
    ("yolo9000", "subset"): "red ring",
    ("yolo9000", "label"): "green square",
}
OTHER_FILE = {
    "file.json": GOLDEN / "boxes.json",
    "folder.training": GOLDEN.parent.parent / "assets",
}
BUILDS_TRIED = 2  # of the choices of a knob that rebuilds


@pytest.fixture(scope="module", params=sorted(ROWS))
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = ROWS[request.param]
    return found


def opened(row: Row, values: Mapping[str, Any] | None = None) -> Session:
    torch.set_num_threads(1)
    session = Session(
        row, device="cpu", seed=3, params={**QUICK.get(row.name, {}), **(values or {})}
    )
    session.statistics_every = 0.0
    session.open()
    return session


@pytest.fixture(scope="module")
def session(row: Row) -> Iterator[Session]:
    made = opened(row)
    yield made
    made.close()


def frames(session: Session, inputs: Mapping[str, Any] | None = None) -> list[Frame]:
    session.reset_memory()
    given = sample_inputs(session.row) if inputs is None else inputs
    return list(session.run(given))


def artefacts(made: list[Frame]) -> list[Artefact]:
    return [a for frame in made for a in frame.artefacts]


def prints(made: list[Artefact]) -> dict[str, str]:
    """A fingerprint of each artefact name over all its steps: arrays, words and notes."""
    found: dict[str, Any] = {}
    for artefact in made:
        digest = found.setdefault(artefact.name, hashlib.sha256())
        for field in dataclasses.fields(artefact):
            if field.name in ("run", "frame", "before"):
                continue
            value = getattr(artefact, field.name)
            digest.update(
                value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            )
    return {name: digest.hexdigest() for name, digest in found.items()}


def test_the_layout_of_maps_changes_no_result(session: Session) -> None:
    network: Any = session.network
    if session.engine.layout == "NCHW":
        assert all(p.is_contiguous() for p in network.parameters())
        return
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    shaped = [m.weight for m in convolutions if m.in_channels > m.groups and m.kernel_size[0] > 1]
    assert shaped
    assert not any(weight.is_contiguous() for weight in shaped)
    as_declared = artefacts(frames(session))
    network.to(memory_format=torch.contiguous_format)
    plain = artefacts(frames(session))
    network.to(memory_format=torch.channels_last)
    assert [a.name for a in plain] == [a.name for a in as_declared]
    for one, other in zip(as_declared, plain, strict=True):
        for field, values in one.arrays().items():
            if values.dtype.kind == "f" and values.size:
                size = float(np.nanmax(np.abs(values), initial=1e-3))
                np.testing.assert_allclose(
                    values, other.arrays()[field], rtol=0, atol=2e-4 * size, err_msg=one.name
                )


def test_the_row_fits_the_class(row: Row) -> None:
    cls = load(row)
    assert issubclass(cls, Engine)
    assert dataclasses.is_dataclass(cls.Params)
    assert cls.Params.__dataclass_params__.frozen
    named = {kind for group in row.groups.values() for kind in group.kinds}
    assert named == {kind.__name__ for kind in cls.emits}
    assert set(row.sample) | set(row.optional) == set(row.inputs)
    assert row.title
    assert row.summary
    assert row.paper


def test_knobs_have_a_range_and_help(row: Row) -> None:
    for knob in knobs.knobs(load(row).Params).values():
        assert knobs.check(knob, knob.default) == knob.default or knob.default is None
        if knob.kind in ("number", "integer"):
            assert knob.low is not None, knob.name
            assert knob.high is not None, knob.name
        assert knob.help or knob.kind == "choice", f"{knob.name} has no help"


def test_artefacts_are_declared_and_read_only(session: Session) -> None:
    made = frames(session)
    assert made[-1].last
    for artefact in artefacts(made):
        group = session.row.groups[artefact.group]
        assert type(artefact).__name__ in group.kinds, artefact.name
        assert group.when != "training", f"{artefact.name} came without one"
        assert KIND[type(artefact).__name__] is type(artefact)
        for name, array in artefact.arrays().items():
            assert not array.flags.writeable, (artefact.name, name)
            assert array.dtype.kind != "f" or np.isfinite(array).all(), (artefact.name, name)


def yields(session: Session) -> Iterator[Artefact | EndOfStep]:
    """All that the engine itself hands out in one run."""
    run = session.engine.run(sample_inputs(session.row), session.params)
    sent = None
    with contextlib.suppress(StopIteration):
        while True:
            yield run.send(sent)
            sent = session.params


def test_steps_end_where_the_engine_says(session: Session) -> None:
    """Who optimises says it of every step, so that a live knob and a cancel act in the next one."""
    steps = [frame.step for frame in frames(session) if frame.artefacts]
    assert steps == sorted(set(steps)), "a step that was handed out goes on"
    before: Artefact | None = None
    marked = True
    with torch.no_grad():
        for made in yields(session):
            if isinstance(made, EndOfStep):
                marked = True
                continue
            if before is not None and made.step != before.step:
                assert marked or not session.engine.optimises, f"the end of step {before.step}"
            elif before is not None:
                assert not marked, f"step {made.step} goes on after its end"
            before, marked = made, False


def test_an_edit_gives_the_same_whether_the_part_above_it_runs_again_or_not(
    session: Session,
) -> None:
    frames(session)  # the first sweep is done
    points = session.row.points
    for point in {points[-1], points[len(points) // 2]}:
        session.edits = (Edit(point, (0,), "scale", -2.0),)
        replayed = prints(artefacts(frames(session)))
        session.compares = False
        session._passes.forget()
        whole = prints(artefacts(frames(session)))
        assert session.replayed == ()
        session.compares, session.edits = True, ()
        assert replayed == whole, point


def test_every_listed_point_fires(session: Session) -> None:
    session.views = tuple(View(point) for point in session.row.points)
    try:
        made = frames(session)
    finally:
        session.views = ()
    seen = {r.view.point for frame in made for r in frame.rendered}
    assert seen == set(session.row.points)
    assert not made[-1].notes


def test_the_same_seed_gives_the_same_artefacts(session: Session) -> None:
    assert prints(artefacts(frames(session))) == prints(artefacts(frames(session)))


def test_every_artefact_follows_input_or_weights(session: Session) -> None:
    before = prints(artefacts(frames(session)))
    changed: set[str] = set()
    images = itertools.cycle(OTHER_IMAGE)
    other = {
        slot: read_input(kind, OTHER_FILE.get(kind) or another(kind, images))
        for slot, kind in session.row.inputs.items()
        if slot not in session.row.optional
    }
    if other:
        after = prints(artefacts(frames(session, other)))
        changed |= {name for name in before if after.get(name) != before[name]}
    else:  # its knobs are its input, and what it derives from the weights it derives when built
        changed |= changed_by_knobs(session, before)
    changed |= changed_by_weights(session, before)
    constant = CONSTANT.get(session.row.name, set())
    still = {n for n in before if n not in changed and not {n, n.partition("/")[0]} & constant}
    assert not still, "these do not change with input or weights"


def another(kind: str, images: Iterator[str]) -> Any:
    return OTHER_TEXT if kind == "text" else asset(next(images))


def changed_by_knobs(session: Session, before: dict[str, str]) -> set[str]:
    changed: set[str] = set()
    default = knobs.as_dict(session.params)
    for knob in knobs.knobs(type(session.params)).values():
        for value in candidates(knob, default[knob.name], session.row.name)[:1]:
            other = opened(session.row, {knob.name: value})
            after = prints(artefacts(frames(other)))
            changed |= {name for name in before if after.get(name) != before[name]}
            other.close()
    return changed


def changed_by_weights(session: Session, before: dict[str, str]) -> set[str]:
    kept = {name: value.clone() for name, value in session.network.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in session.network.parameters():
            p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator))
    try:
        after = prints(artefacts(frames(session)))
    finally:
        session.network.load_state_dict(kept)
    return {name for name in before if after.get(name) != before[name]}


def test_every_knob_changes_some_artefact(session: Session) -> None:
    default = session.params
    dead = []
    still: dict[str, dict[str, str]] = {}  # what there is before a knob is moved
    for knob in knobs.knobs(type(default)).values():
        if knob.effect == "build" or knob.when in ("training", "inputs"):
            continue
        other, _, alternatives = knob.when.partition("=")
        if other and knobs.knobs(type(default))[other].effect == "build":
            continue
        base = {other: alternatives.split("|")[0]} if other else {}
        if not acts(session, knob, base, still):
            dead.append(knob.name)
        session.set_params(knobs.as_dict(default))
    assert not dead, "these knobs change nothing"


def acts(
    session: Session,
    knob: knobs.Knob,
    base: Mapping[str, Any],
    still: dict[str, dict[str, str]],
) -> bool:
    """Whether one of a few other values changes an artefact of a run."""
    session.set_params(base)
    if repr(base) not in still:
        still[repr(base)] = prints(artefacts(frames(session)))
    before = still[repr(base)]
    for value in candidates(knob, getattr(session.params, knob.name), session.row.name):
        session.set_params({**base, knob.name: value})
        if prints(artefacts(frames(session))) != before:
            return True
    return False


def candidates(knob: knobs.Knob, now: Any, engine: str = "") -> list[Any]:
    if knob.kind == "choice":
        return [c for c in knob.choices if c != now]
    if knob.kind == "switch":
        return [not now]
    if knob.kind == "text":
        return [WORDS.get((engine, knob.name), "nothing of this name")]
    if knob.kind == "points":
        return [((0.0, 1.0),), ((1.0, 0.0),)]
    if knob.kind == "mask":
        return [((120.0, 90.0, 80.0, 1.0),)]
    if knob.kind == "point":
        return [(60.0, 40.0), (120.0, 90.0), (32.0, 50.0)]
    if knob.kind == "box":
        return [(20.0, 20.0, 90.0, 70.0), (60.0, 40.0, 180.0, 160.0)]
    if knob.kind == "vector":
        return [(knob.high or 1.0, *now[1:])]
    if knob.kind in ("number", "integer", "seed"):
        low, high = knob.low or 0.0, knob.high or 1.0
        tried = [now + 1, now + 3, low, high, (low + high) / 2, now * 2, now / 2]
        whole = [int(v) if knob.kind != "number" else float(v) for v in tried]
        return [v for v in whole if low <= v <= high and v != now][:6]
    raise AssertionError(f"no other value for a knob of kind {knob.kind}")


def test_again_needs_no_forward(session: Session) -> None:
    names = [k for k in knobs.knobs(type(session.params)).values() if k.effect == "again"]
    if not names:
        assert type(session.engine).again is Engine.again
        return
    frames(session)
    calls: list[str] = []
    handles = [
        m.register_forward_hook(lambda m, i, o: calls.append(type(m).__name__))
        for m in session.network.modules()
    ]
    try:
        made = [a for frame in session.again() for a in frame.artefacts]
    finally:
        for handle in handles:
            handle.remove()
    assert made
    assert calls == []


def test_nothing_is_left_after_success_error_and_cancel(session: Session) -> None:
    session.views = tuple(View(point) for point in session.row.points[:2])
    try:
        frames(session)
        assert hook_count(session.network) == 0
        running = session.run(sample_inputs(session.row))
        next(running)
        running.close()
        assert hook_count(session.network) == 0
        hook = first_leaf(session).register_forward_hook(broken)
        with pytest.raises(RuntimeError, match="planted"):
            frames(session)
        hook.remove()
        assert hook_count(session.network) == 0
        hook = first_leaf(session).register_forward_hook(lambda *_: session.cancel())
        with pytest.raises(Cancelled):
            frames(session)
        hook.remove()
        assert hook_count(session.network) == 0
        assert frames(session), "ready again"
    finally:
        session.views = ()


def first_leaf(session: Session) -> torch.nn.Module:
    called = {layer.name for layer in session.layers() if layer.called and layer.leaf}
    return next(m for name, m in session.network.named_modules() if name in called)


def broken(*_: Any) -> None:
    raise RuntimeError("planted")


def test_every_build_knob_changes_the_network_or_the_words(row: Row) -> None:
    params = load(row).Params
    for knob in knobs.knobs(params).values():
        if knob.effect != "build":
            continue
        tried = 0
        other, _, alternatives = knob.when.partition("=")
        base = {other: alternatives.split("|")[0]} if other else {}
        before = prints(artefacts(frames(opened(row, base))))
        for choice in reversed(knob.choices or candidates(knob, knob.default, row.name)):
            if choice == knob.default or not present(row, choice):
                continue
            session = opened(row, {**base, knob.name: choice})
            assert prints(artefacts(frames(session))) != before, (knob.name, choice)
            session.close()
            tried += 1
            if tried == BUILDS_TRIED:
                break
        assert tried, f"no other choice of {knob.name} can be built here"


def present(row: Row, choice: object) -> bool:
    """Whether a choice needs no weights that only an official address has."""
    from explorer.core.weights import WeightStore

    store = WeightStore(row.weights)
    missing = {w.name for w in row.weights if store.status(w.name) == "missing"}
    return choice not in missing


def test_training_knobs_act_in_training(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FINAL", "HELD"):  # scenes on which a detector is measured
        monkeypatch.setattr(f"engines.nn.detection.detector_training.{name}", 4)
    wanted = [k for k in knobs.knobs(load(row).Params).values() if k.when == "training"]
    if not wanted:
        assert load(row).train is Engine.train or row.name != "fast-weights"
        return

    def trained(values: Mapping[str, Any]) -> dict[str, str]:
        session = opened(row, values)
        made: list[Artefact] = []
        for frame in session.train(sample_inputs(row), steps=3):
            made += frame.artefacts
        session.close()
        return prints(made)

    before = trained({})
    for knob in wanted:
        assert trained({knob.name: candidates_training(knob)}) != before, knob.name


def candidates_training(knob: knobs.Knob) -> Any:
    if knob.name == "train_steps":
        return 2
    if knob.kind in ("choice", "switch"):
        return candidates(knob, knob.default)[0]
    value = knob.default / 2
    return int(value) if knob.kind == "integer" else value


def asset(name: str) -> Any:
    from explorer.core.paths import assets

    return assets() / name
