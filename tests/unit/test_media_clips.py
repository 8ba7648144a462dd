"""Clips and cameras: every frame carries its number as a bar code, so each read can be checked."""

from __future__ import annotations

import hashlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from explorer.core.media import MediaError, assets, open_camera, open_clip
from explorer.core.reading.cameras import Camera

BITS, WIDTH, HEIGHT = 8, 192, 96


def coded(number: int) -> np.ndarray:
    """A frame whose lower half spells ``number`` in eight black and white blocks, red above."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[: HEIGHT // 2] = (220, 40, 40)
    for bit in range(BITS):
        left = bit * WIDTH // BITS
        frame[HEIGHT // 2 :, left : left + WIDTH // BITS] = 255 * (number >> bit & 1)
    return frame


def number_of(frame: np.ndarray) -> int:
    blocks = frame[HEIGHT * 5 // 8 : HEIGHT * 7 // 8].mean(axis=(0, 2)).reshape(BITS, -1)
    return sum(1 << bit for bit, block in enumerate(blocks) if block.mean() > 127)


def written(path: Path, codec: str, frames: int) -> Path:
    fourcc = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), fourcc, 25, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(coded(number)[..., ::-1])
    writer.release()
    return path


@pytest.fixture(
    params=["clip.mp4", "clip.avi", "clip.webm", "uneven.gif", "animated.png"], scope="module"
)
def clip_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("clips") / request.param
    if path.suffix in (".gif", ".png"):  # frames of very different lengths
        frames = [Image.fromarray(coded(number)) for number in range(60)]
        durations = [40 + 370 * (number % 7 == 3) + 90 * (number % 5 == 1) for number in range(60)]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations)
        return path
    return written(path, {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}[path.suffix], 200)


def test_random_access_is_exact(clip_file: Path) -> None:
    clip = open_clip(clip_file)
    count = len(clip)
    assert count == (60 if clip_file.suffix in (".gif", ".png") else 200)
    order = np.random.default_rng(1).permutation(count)[:70].tolist()
    order += [0, 1, 2, count - 1, count - 2, 0, count // 2, count // 2 + 30 % count, 5, 5]
    assert [number_of(clip[i]) for i in order if i < count] == [i for i in order if i < count]
    clip.close()


def test_reading_on_never_seeks(clip_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = open_clip(clip_file)
    monkeypatch.setattr(clip, "_seek", lambda index: pytest.fail(f"seek to {index}"))
    assert [number_of(frame) for frame in clip] == list(range(len(clip)))
    clip.close()


def test_frames_are_rgb_and_the_caller_s_own(clip_file: Path) -> None:
    clip = open_clip(clip_file)
    frame = clip[3]
    assert frame.dtype == np.uint8
    assert frame.shape == (HEIGHT, WIDTH, 3)
    red, _, blue = frame[: HEIGHT // 3].reshape(-1, 3).mean(axis=0)
    assert red > 180 > 90 > blue
    kept = frame.copy()
    assert number_of(clip[4]) == 4
    assert np.array_equal(frame, kept)
    clip.close()


def test_outside_the_clip(clip_file: Path) -> None:
    clip = open_clip(clip_file)
    for index in (len(clip), -1, 10**9):
        with pytest.raises(IndexError):
            clip[index]
    assert number_of(clip[0]) == 0
    clip.close()


def test_facts_of_a_clip() -> None:
    path = assets() / "bunny.mp4"
    clip = open_clip(path)
    assert (clip.name, clip.path, clip.fps, clip.live, len(clip)) == (
        "bunny.mp4", path, 25.0, False, 132,
    )  # fmt: skip
    assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    clip.close()


def test_close_leaves_no_thread_and_is_said(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    clip = open_clip(written(tmp_path / "clip.avi", "MJPG", 30))
    clip[0], clip[20]
    clip.close()
    clip.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(MediaError, match="closed"):
        clip[0]


def test_readers_in_several_threads_get_their_own_frames(tmp_path: Path) -> None:
    clip = open_clip(written(tmp_path / "clip.avi", "MJPG", 60))
    wrong: list[int] = []

    def read(seed: int) -> None:
        order = np.random.default_rng(seed).integers(0, 60, 40).tolist()
        wrong.extend(index for index in order if number_of(clip[index]) != index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clip.close()
    assert not wrong


# ---- clips that are not what they say


@pytest.fixture(params=["cut.avi", "cut.webm"])
def cut_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    """A clip cut in its middle, and how many of its frames a plain decoder still gets."""
    path = tmp_path / request.param
    written(path, "MJPG" if path.suffix == ".avi" else "VP80", 200)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    plain, count = cv2.VideoCapture(str(path)), 0
    while plain.read()[0]:
        count += 1
    plain.release()
    assert 60 < count < 190
    return path, count


def test_a_clip_that_ends_early_corrects_its_length(cut_file: tuple[Path, int]) -> None:
    path, count = cut_file
    clip = open_clip(path)
    assert len(clip) >= count
    numbers = [number_of(frame) for frame in clip]
    assert len(numbers) == len(clip) == count
    assert numbers[:-1] == list(range(count - 1))  # the last one may be half there
    assert number_of(clip[count - 2]) == count - 2
    with pytest.raises(IndexError):
        clip[count]
    clip.close()


def test_a_jump_past_the_early_end_finds_it(cut_file: tuple[Path, int]) -> None:
    path, count = cut_file
    clip = open_clip(path)
    claimed = len(clip)
    with pytest.raises(IndexError):
        clip[max(claimed - 1, count)]
    assert len(clip) == count or claimed == count
    assert number_of(clip[count - 2]) == count - 2
    assert number_of(clip[7]) == 7
    clip.close()


def test_an_mp4_without_its_end_cannot_be_opened(tmp_path: Path) -> None:
    path = written(tmp_path / "cut.mp4", "mp4v", 100)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(MediaError, match=r"^cut\.mp4: .* whose end is missing\. Drop an MP4"):
        open_clip(path)


@pytest.mark.parametrize(("content", "cause"), [
    (b"", "empty"),
    (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nother.ts\n", "a text, not a clip"),
    (b"ffconcat version 1.0\nfile other.mp4\n", "a text, not a clip"),
    (b"\0\x01\x02\x03" * 300, "not a clip that can be decoded"),
])  # fmt: skip
def test_what_is_no_clip(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=cause) as caught:
        open_clip(path)
    assert str(caught.value).startswith("broken.mp4: ")
    assert "\n" not in str(caught.value)


def test_missing_folder_still_picture(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        open_clip(tmp_path / "gone.mp4")
    with pytest.raises(MediaError, match="a folder"):
        open_clip(tmp_path)
    with pytest.raises(MediaError, match="a still picture"):
        open_clip(assets() / "chelsea.png")


@pytest.mark.parametrize(
    "name", ["näme 写真 🐈.avi", "concat:a|b.avi", "%03d.avi", "two\nlines.avi"]
)
def test_names_are_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.replace(written(tmp_path / "plain.avi", "MJPG", 5), tmp_path / name)
    clip = open_clip(Path(name))
    assert number_of(clip[3]) == 3
    assert clip.name.isprintable()
    clip.close()


def test_cv2_leaves_qt_and_torch_alone() -> None:
    code = (
        "import os, sys; os.environ.pop('QT_QPA_FONTDIR', None)\n"
        "os.environ['QT_QPA_PLATFORM_PLUGIN_PATH'] = 'mine'\n"
        "from explorer.core import media\n"
        "assert not {'cv2', 'torch', 'PySide6'} & set(sys.modules), 'imported too early'\n"
        "media.read_image(media.assets() / 'chelsea.png')\n"
        "import cv2; assert cv2.getNumThreads() == 1\n"
        "assert os.environ['QT_QPA_PLATFORM_PLUGIN_PATH'] == 'mine'\n"
        "assert 'QT_QPA_FONTDIR' not in os.environ\n"
        "assert not {'torch', 'PySide6'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- cameras


class Device:
    """A camera that delivers when told to; None makes a read fail."""

    def __init__(self) -> None:
        self.frames: queue.Queue[np.ndarray | None] = queue.Queue()
        self.reads = threading.Semaphore(0)
        self.released = threading.Event()

    def get(self, prop: int) -> float:
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reads.release()
        frame = self.frames.get()
        return frame is not None, frame

    def release(self) -> None:
        self.released.set()

    def deliver(self, *numbers: int) -> None:
        """Hand over frames and wait until the camera thread has taken the last one."""
        for number in numbers:
            self.reads.acquire()
            self.frames.put(coded(number)[..., ::-1])
        self.reads.acquire()
        self.reads.release()

    def vanish(self) -> None:
        for _ in range(200):
            self.frames.put(None)


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.vanish()


def test_a_camera_gives_its_newest_frame_and_drops_stale_ones(device: Device) -> None:
    camera = Camera(device)
    assert (len(camera), camera.live, camera.fps, camera.path) == (0, True, 30.0, None)
    device.deliver(1, 2, 3, 4)
    assert number_of(camera[0]) == 4
    assert camera.dropped == 3
    device.deliver(5)
    assert number_of(camera[0]) == 5
    device.vanish()
    camera.close()


def test_a_camera_waits_for_a_frame_it_has_not_given_yet(device: Device) -> None:
    camera = Camera(device)
    device.deliver(1)
    assert number_of(camera[0]) == 1
    later = threading.Timer(0.05, device.deliver, (9,))
    later.start()
    assert number_of(camera[0]) == 9
    later.join()
    device.vanish()
    camera.close()


def test_a_camera_that_goes_away_says_so(device: Device) -> None:
    camera = Camera(device, "camera 3")
    device.deliver(1)
    camera[0]
    device.vanish()
    for _ in range(2):
        with pytest.raises(MediaError, match=r"^camera 3: the camera went away\. Plug it in"):
            camera[0]
    assert device.released.wait(5)
    camera.close()


def test_a_real_capture_that_ends_is_a_camera_that_goes_away(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.avi", "MJPG", 40)
    camera = Camera(cv2.VideoCapture(str(path)))
    seen: list[int] = []
    ended = ""
    while not ended:
        try:
            seen.append(number_of(camera[0]))
        except MediaError as error:
            ended = str(error)
    assert "went away" in ended
    assert seen == sorted(set(seen))
    assert seen[-1] == 39
    camera.close()


def test_closing_a_camera_ends_its_thread(device: Device) -> None:
    camera = Camera(device, "camera 7")
    device.deliver(1)
    device.frames.put(None)
    camera.close()
    camera.close()
    assert "camera 7" not in [thread.name for thread in threading.enumerate()]
    assert device.released.is_set()
    with pytest.raises(MediaError, match="closed"):
        camera[0]


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MediaError) as caught:
        open_camera(99)
    assert str(caught.value).startswith("camera 99: ")
    assert "drop a photo or clip" in str(caught.value)
    assert capfd.readouterr().err == ""
