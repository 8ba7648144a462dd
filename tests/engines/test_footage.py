"""A clip of one's own: read once as a stream, one person followed, bad clips told."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engines.nn.loading import load_state
from engines.nn.motion import footage as module
from engines.nn.motion.dancers import TARGET, joints, motion
from engines.nn.motion.footage import by_posenet, filed, footage, parts, working_size
from engines.nn.motion.posenet import PoseNet
from engines.nn.motion.stick_figures import seventeen
from explorer.core.media import MediaError, assets, open_clip, read_input
from explorer.core.registry import table
from explorer.core.weights import WeightStore
from explorer.core.writing.clip_writer import ClipWriter
from explorer.engine import EngineError


class FakeClip:
    """Frames whose grey level is their number; ends where told."""

    def __init__(self, count: int, size: tuple[int, int] = (90, 120), ends: int = 1 << 30) -> None:
        self.name, self.fps, self.live, self.steady = "somebody.mp4", 20.0, False, True
        self.path = None
        self.sha256 = f"{id(self)}"
        self._count, self._size, self._ends = count, size, ends
        self.read: list[int] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        if index >= min(self._count, self._ends):
            raise IndexError(index)
        self.read.append(index)
        return np.full((*self._size, 3), index % 256, np.uint8)

    def close(self) -> None:
        """Nothing is held open."""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    module._known.clear()
    yield
    module._known.clear()


def quiet(text: str, fraction: float | None = None) -> None:
    assert text
    assert fraction is None or 0 <= fraction <= 1


def poses(count: int = 40, scale: float = 1.0, dx: float = 0.0) -> np.ndarray[Any, Any]:
    made = seventeen(joints(TARGET, motion(0, count), 90))
    made[..., :2] = made[..., :2] * scale + (dx, 0)
    made[:, 1:5, 2] = 0
    return made


def watched(crowd: list[Any], clip: FakeClip | None = None, **given: Any) -> Any:
    """Footage of a clip in whose frame t the people are ``crowd[t]``."""
    clip = clip or FakeClip(len(crowd))
    turn = iter(crowd)
    asked = {"side": 120, "most": 1000, **given}
    return footage(clip, asked["side"], asked["most"], lambda: lambda pixels: next(turn), quiet)


def test_frames_are_read_once_in_order_and_poses_lie_in_the_small_frames() -> None:
    clip, one = FakeClip(40, (180, 240)), poses()
    made = watched([p[None] for p in one], clip, side=120)
    assert clip.read == list(range(40))
    assert made.frames.shape == (40, 88, 120, 3)
    assert made.frames[:, 0, 0, 0].tolist() == list(range(40))
    assert not made.frames.flags.writeable
    # The picture is halved and cut at top and bottom: 90 rows become 88.
    seen = one[..., 2] > 0
    np.testing.assert_allclose(made.poses[seen][:, 0], one[seen][:, 0] / 2, atol=1e-9)
    np.testing.assert_allclose(made.poses[seen][:, 1], one[seen][:, 1] / 2 - 1, atol=1e-9)
    assert made.remarks == ()
    assert made.fps == 20
    footage(clip, 120, 1000, lambda: lambda pixels: pytest.fail("read again"), quiet)
    assert len(clip.read) == 40


def test_another_size_is_read_anew_and_old_clips_are_forgotten() -> None:
    clips = [FakeClip(3) for _ in range(module.KEPT + 1)]
    for clip in clips:
        watched([poses(1)] * 3, clip)
    watched([poses(1)] * 3, clips[-1], side=64)
    assert len(clips[-1].read) == 6
    watched([poses(1)] * 3, clips[0])
    assert len(clips[0].read) == 6
    assert len(module._known) == module.KEPT


@pytest.mark.parametrize(
    ("height", "width", "side", "wanted"),
    [(144, 176, 88, (72, 88)), (1080, 1920, 128, (72, 128)), (1920, 1080, 128, (128, 72)),
     (100, 1000, 96, (32, 96)), (64, 64, 64, (64, 64))],
)  # fmt: skip
def test_small_frames_have_sides_that_halve_three_times(
    height: int, width: int, side: int, wanted: tuple[int, int]
) -> None:
    assert working_size(height, width, side) == wanted


def test_of_two_people_the_larger_is_kept_and_it_is_said() -> None:
    large, small = poses(), poses(scale=0.4, dx=70)
    crowd = [np.stack([small[t], large[t]] if t % 2 else [large[t], small[t]]) for t in range(40)]
    crowd[7] = small[7:8]  # lost for a moment
    made = watched(crowd)
    seen = (made.poses[..., 2] > 0).any(1)
    assert seen.sum() == 39
    np.testing.assert_allclose(made.poses[seen][:, 15, 0], np.delete(large[:, 15, 0], 7), atol=1e-9)
    assert "up to 2 people in 40 of 40 frames" in made.remarks[1]
    assert made.remarks[0].startswith("nobody, or not the same person, in 1 of 40 frames")


def test_who_leaves_and_comes_back_is_the_same_person() -> None:
    one = poses(60)
    crowd: list[Any] = [p[None] for p in one]
    for t in range(20, 40):
        crowd[t] = np.zeros((0, 17, 3))
    crowd[40:] = [p + np.array([150.0, 0, 0]) for p in crowd[40:]]  # at another place
    made = watched(crowd)
    assert (made.poses[..., 2] > 0).any(1).tolist() == [True] * 20 + [False] * 20 + [True] * 20
    assert made.remarks == ("nobody, or not the same person, in 20 of 60 frames: left out",)


def test_who_stands_beside_the_person_is_never_taken_for_it() -> None:
    one, other = poses(60), poses(60, scale=0.8, dx=80)
    crowd: list[Any] = [np.stack([one[t], other[t]]) for t in range(60)]
    crowd[50:] = [other[t : t + 1] for t in range(50, 60)]
    made = watched(crowd)
    assert not (made.poses[50:, :, 2] > 0).any()


def test_nobody_is_one_clear_error() -> None:
    with pytest.raises(EngineError, match=r"somebody\.mp4: no person is in any of 5 frames; take"):
        watched([np.zeros((0, 17, 3))] * 5)
    assert not module._known


def test_a_broken_clip_gives_the_frames_that_it_has() -> None:
    made = watched([poses(1)] * 9, FakeClip(500, ends=9))
    assert len(made.frames) == len(made.poses) == 9
    with pytest.raises(EngineError, match="has no frame"):
        watched([], FakeClip(5, ends=0))


def test_a_long_clip_is_cut_and_frames_of_unequal_length_are_told() -> None:
    clip = FakeClip(100)
    clip.steady = False
    made = watched([poses(1)] * 30, clip, most=30)
    assert made.remarks[0] == "the first 30 of 100 frames are read"
    assert made.remarks[1].startswith("frames of unequal length; they are taken one by one")
    assert clip.read == list(range(30))


def test_a_camera_or_a_picture_is_no_clip() -> None:
    camera = FakeClip(5)
    camera.live = True
    for value in (camera, object()):
        with pytest.raises(EngineError, match="no clip with an end; film one"):
            footage(value, 64, 9, lambda: lambda pixels: poses(1), quiet)  # type: ignore[arg-type]


def test_a_cancel_keeps_nothing() -> None:
    clip = FakeClip(50)

    def cancel(text: str, fraction: float | None = None) -> None:
        if len(clip.read) > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        footage(clip, 64, 99, lambda: lambda pixels: poses(1), cancel)
    assert len(clip.read) == 21
    assert not module._known


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    with monkeypatch.context() as patch:

        class Full:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: object) -> None:
                return None

            def write(self, data: Any) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(tempfile, "TemporaryFile", lambda prefix: Full())
        with pytest.raises(EngineError, match="No space left on device; make room there"):
            filed([frame])
    made = filed(frame + i for i in range(3))
    assert made[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_parts_by_hand() -> None:
    good = np.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 1], bool)
    assert parts(good) == [range(1, 3), range(5, 6), range(7, 10)]
    assert parts(np.zeros(4, bool)) == []
    assert parts(np.ones(4, bool)) == [range(4)]


def test_posenet_finds_the_astronaut_where_the_card_says(tmp_path: Path) -> None:
    network = PoseNet()
    rows = [w for row in table().values() for w in row.weights]
    load_state(network, WeightStore(rows).load("posenet").tensors, "posenet")
    pixels = read_input("image", assets() / "astronaut.png").pixels  # type: ignore[union-attr]
    with torch.no_grad():
        found = by_posenet(network, torch.device("cpu"))(pixels)
    assert len(found) == 1
    # The published network's own at 385 px (a pixel here is two in the photo): nose, eyes.
    np.testing.assert_allclose(found[0, 0, :2], (222, 126), atol=3)
    np.testing.assert_allclose(found[0, 1:3, :2], [(245, 103), (204, 100)], atol=5.5)
    assert found[0, [0, 1, 2, 5], 2].min() > 0.5
    assert found[0, 13:, 2].max() < 0.15


def test_rates_are_steady_or_not(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with ClipWriter(path, 25) as film:
        for level in range(20):
            film.write(np.full((32, 48, 3), 9 * level, np.uint8))
    clip = read_input("clip", path)
    assert clip.steady  # type: ignore[union-attr]
    assert clip.whole  # type: ignore[union-attr]
    assert not open_clip(path).whole
    clip._times = [0.0, 40.0, 80.0, 200.0, 240.0]  # type: ignore[union-attr]
    assert not clip.steady  # type: ignore[union-attr]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[:900])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        read_input("clip", cut)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 25


def test_a_long_clip_is_not_held_in_memory() -> None:
    statm = Path("/proc/self/statm")
    one = poses(1)

    def resident() -> int:
        if statm.is_file():
            return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    torch.set_num_threads(1)
    clip = FakeClip(1500, (96, 96))
    sizes: list[int] = []

    def people(pixels: Any) -> Any:
        if len(clip.read) % 250 == 0:
            sizes.append(resident())
        return one

    made = footage(clip, 96, 10_000, lambda: people, quiet)  # type: ignore[arg-type]
    assert made.frames.shape == (1500, 96, 96, 3)
    assert made.frames[1499, 0, 0, 0] == 1499 % 256
    assert max(sizes) - sizes[0] < made.frames.nbytes // 2  # of 41 MB
