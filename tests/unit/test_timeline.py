"""The timeline is a bounded ring, packs without losing a bit, and keeps what was marked."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from explorer.core.stores.packing import Packed, pack
from explorer.core.timeline import Timeline
from explorer.kinds import Image, Matrix
from explorer.views import Frame, Handle, Rendered, Statistics, View

NOISE = np.random.default_rng(0)


def frame(step: int, side: int = 64, *, run: int = 1, noise: bool = True) -> Frame:
    """One matrix; noise does not pack, so that sizes can be counted."""
    random = NOISE.integers(-(2**63), 2**63 - 1, (side, side))
    values = random if noise else np.full((side, side), float(step))
    return Frame(run, 0, step, (Matrix("a/b", values, step=step),))


def shown(step: int, means: np.ndarray) -> Frame:
    """A step on which the layer ``conv`` was looked at."""
    means = means.astype(np.float32)
    numbers = Statistics(0.0, 1.0, 0.5, 0.0, 0, 0, 0 * means, means + 1, means)
    picture = Rendered(
        View("conv"), np.zeros((8, 8), np.uint8), np.array([0, 1], np.float32),
        np.arange(len(means)), (4, 4), 2, 0, 1, (1, len(means), 4, 4), "float32", "Conv2d",
        numbers, Handle("conv", -1, 0, 1, step),
    )  # fmt: skip
    return Frame(1, step, 0, (), (picture,))


@pytest.fixture(autouse=True, scope="module")
def _impatient() -> Iterator[None]:
    """What is quiet for a hundredth of a second is quiet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.core.timeline.QUIET", 0.01)
        yield


def settled(timeline: Timeline) -> None:
    """Wait for the packing thread to have nothing more to do."""
    for thread in threading.enumerate():
        if thread.name == "timeline":
            thread.join(timeout=20)


@settings(max_examples=30)
@given(st.integers(1, 200), st.sets(st.integers(0, 60), max_size=3))
def test_a_long_run_keeps_first_last_and_marks(count: int, marked: set[int]) -> None:
    size = frame(0).nbytes()
    timeline = Timeline(cap=size * 20)
    for step in range(count):
        timeline.add(frame(step))
        if step in marked and step < count:
            timeline.mark(len(timeline) - 1)
    settled(timeline)
    kept = [step for _, _, step in timeline.steps()]
    assert timeline.bytes <= timeline.cap
    assert timeline.bytes == size * len(timeline)
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert {m for m in marked if m < count} <= set(kept)


def test_of_earlier_runs_the_oldest_go_first_so_that_the_last_seconds_of_a_clip_are_whole() -> None:
    timeline = Timeline(cap=20 * frame(0).nbytes())
    for run in range(100):
        timeline.add(frame(0, run=run))
        if run == 3:
            timeline.mark(3)
    kept = [run for run, _, _ in timeline.steps()]
    assert kept == [3, *range(81, 100)]
    assert timeline.bytes <= timeline.cap


def test_the_array_at_a_step_is_that_step_s() -> None:
    timeline = Timeline()
    for step in range(5):
        timeline.add(frame(step, noise=False))
    values = timeline.at(2).artefacts[0].values
    assert float(values.mean()) == 2.0


def test_an_item_too_large_is_kept_small_and_says_so() -> None:
    timeline = Timeline(cap=64 * 2**10)
    timeline.add(frame(0, side=256))
    assert len(timeline) == 1
    assert timeline.at(0).artefacts == ()
    assert "not recorded" in timeline.at(0).notes[-1]


def test_packed_frames_come_back_bit_for_bit_and_hold_more_time() -> None:
    timeline = Timeline(cap=40 * 8 * 64 * 64)
    given_ = [np.round(NOISE.random((64, 64)), 1) for _ in range(120)]
    for step, values in enumerate(given_):
        timeline.add(Frame(step, 0, 0, (Matrix("a/b", values),)))
        if step % 10 == 0:
            settled(timeline)  # as at video rate, where the packing thread keeps up
    settled(timeline)
    assert timeline.bytes <= timeline.cap
    assert len(timeline) > 60  # 40 would fit as they came
    for position, (run, _, _) in enumerate(timeline.steps()):
        values = timeline.at(position).artefacts[0].values
        assert np.array_equal(values, given_[run])
        assert values is given_[run] or not values.flags.writeable


def test_packing_waits_while_frames_come_faster_than_it_could(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("explorer.core.timeline.QUIET", 0.5)
    timeline = Timeline(cap=400 * 8 * 256 * 256)
    for run in range(200):
        timeline.add(Frame(run, 0, 0, (Matrix("a/b", np.full((256, 256), float(run))),)))
    held = timeline.bytes
    assert held >= 198 * 8 * 256 * 256  # those of before the pace was known may be packed
    settled(timeline)
    assert timeline.bytes < held / 3
    assert np.array_equal(timeline.at(7).artefacts[0].values, np.full((256, 256), 7.0))


@pytest.mark.parametrize("many_steps", [False, True], ids=["a clip", "one run"])
def test_what_has_gone_is_let_go_while_packing_waits(
    monkeypatch: pytest.MonkeyPatch, many_steps: bool
) -> None:
    monkeypatch.setattr("explorer.core.timeline.QUIET", 0.5)
    timeline = Timeline(cap=40 * frame(0).nbytes())
    arrays_made = []
    for number in range(400):
        made = frame(number, run=1) if many_steps else frame(0, run=number)
        arrays_made.append(weakref.ref(made.artefacts[0].values))
        timeline.add(made)
        if number == 0:
            timeline.mark(0)  # what stays must not keep what came after it
    del made
    gc.collect()
    assert sum(array() is not None for array in arrays_made) <= len(timeline) <= 40
    settled(timeline)


@given(arrays.arrays(st.sampled_from([np.uint8, np.int64, np.float32, np.float64]),
                     st.tuples(st.integers(1, 90), st.integers(1, 90))))  # fmt: skip
def test_any_array_packs_and_unpacks(array: np.ndarray) -> None:
    small = pack(np.tile(array, (8, 8)))
    back = small.array() if isinstance(small, Packed) else small
    assert back.tobytes() == np.tile(array, (8, 8)).tobytes()
    assert back.dtype == array.dtype


def test_noise_is_left_as_it_is_and_zeros_shrink() -> None:
    noise = NOISE.integers(0, 256, (200, 200), np.uint8)
    assert pack(noise) is noise
    zeros = pack(np.zeros((200, 200), np.float32))
    assert isinstance(zeros, Packed)
    assert zeros.nbytes < 2000


def test_a_picture_that_all_steps_share_counts_once_packed_or_not() -> None:
    photo = np.zeros((300, 300, 3), np.uint8)
    timeline = Timeline(cap=40 * photo.nbytes)
    for run in range(50):
        timeline.add(Frame(run, 0, 0, (Image("input/photo", photo),)))
    assert len(timeline) == 50
    assert timeline.bytes == photo.nbytes
    for run in range(50, 62):  # enough that the photos are packed
        timeline.add(frame(0, side=128, run=run))
    settled(timeline)
    assert 0 < timeline.bytes - 12 * 8 * 128 * 128 < 3000
    assert np.array_equal(timeline.at(20).artefacts[0].image, photo)


def test_serials_find_an_entry_after_others_have_gone() -> None:
    timeline = Timeline(cap=20 * frame(0).nbytes())
    for run in range(15):
        timeline.add(frame(0, run=run))
    serial, looked_at = timeline.serial(10), timeline.at(10)
    for run in range(15, 25):
        timeline.add(frame(0, run=run))
    assert timeline.at(timeline.position(serial)) is looked_at
    for run in range(25, 60):
        timeline.add(frame(0, run=run))
    assert timeline.position(serial) == 0  # it has gone: the next one after it


def test_the_means_of_units_are_read_of_steps_that_showed_the_layer() -> None:
    timeline = Timeline()
    means = NOISE.random((6, 4)).astype(np.float32)
    for step in range(6):
        timeline.add(shown(step, means[step]))
        timeline.add(frame(step))
    timeline.add(shown(7, NOISE.random(3)))  # the network was built anew with fewer units
    for step in range(3):
        timeline.add(shown(8 + step, means[step]))
    serials, found = timeline.unit_means("conv")
    assert np.array_equal(found, np.concatenate([means, means[:3]]))
    assert [timeline.at(timeline.position(int(s))).frame for s in serials] == [
        0, 1, 2, 3, 4, 5, 8, 9, 10,
    ]  # fmt: skip
    assert timeline.unit_means("other")[1].shape[0] == 0


def test_switched_off_it_records_nothing_and_keeps_what_it_has() -> None:
    timeline = Timeline()
    timeline.add(frame(0))
    timeline.on = False
    timeline.add(frame(1))
    assert [step for _, _, step in timeline.steps()] == [0]
