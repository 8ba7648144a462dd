"""Motion transfer on clips of one's own, run, trained and exported as a person would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engines.nn.motion import dance_learning
from engines.nn.motion import footage as reading
from explorer import cli
from explorer import params as knobs
from explorer.core.export import write_run
from explorer.core.media import assets, read_input
from explorer.core.registry import find, load, table
from explorer.core.session import Session
from explorer.core.writing.clip_writer import ClipWriter
from explorer.engine import Cancelled, EngineError
from explorer.kinds import Artefact

FRAMES = 36
KNOBS = {
    "weights": "random",
    "side": 64,
    "frames": 3,
    "train_steps": 2,
    "face_steps": 1,
    "batch": 1,
}


def filmed(path: Path, count: int, fps: float, *, scale: float = 1.0, people: bool = True) -> Path:
    """The astronaut swaying and nodding before the camera, half size; or an empty room."""
    photo = cv2.imread(str(assets() / "astronaut.png"))[:, :, ::-1]
    photo = cv2.resize(photo, None, fx=0.35 * scale, fy=0.35 * scale, interpolation=cv2.INTER_AREA)
    if not people:
        photo = np.full_like(photo, 120)
    height, width = photo.shape[:2]
    with ClipWriter(path, fps) as film:
        for t in range(count):
            turn = cv2.getRotationMatrix2D((width / 2, height), 6 * np.sin(t / 4), 1.0)
            turn[0, 2] += 5 * np.sin(t / 6)
            film.write(cv2.warpAffine(photo, turn, (width, height), borderValue=(90, 90, 90)))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "target": filmed(folder / "target.mp4", FRAMES, 20),
        "source": filmed(folder / "source.mp4", 8, 40, scale=1.4),
        "short": filmed(folder / "short.mp4", 9, 20),
        "empty": filmed(folder / "empty.mp4", 5, 20, people=False),
    }


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest) -> Any:
    torch.set_num_threads(1)
    reading._known.clear()
    made = Session(find("dance", table()), device="cpu", seed=3, params=KNOBS)
    made.open()
    yield made
    made.close()
    reading._known.clear()


def given(clips: dict[str, Path], **slots: str) -> dict[str, Any]:
    return {slot: read_input("clip", clips[name]) for slot, name in slots.items()}


def shown(session: Session, inputs: dict[str, Any], **values: Any) -> list[Artefact]:
    plain = knobs.as_dict(load(session.row).Params()) | KNOBS
    session.set_params(plain | values)
    made = [a for frame in session.run(inputs) for a in frame.artefacts]
    for clip in inputs.values():
        clip.close()
    return made


def named(made: list[Artefact], name: str) -> list[Any]:
    return [a for a in made if a.name == name]


def test_the_targets_own_frames_drive_and_are_the_truth(
    session: Session, clips: dict[str, Path]
) -> None:
    made = shown(session, given(clips, target="target"))
    true = named(made, "frames/5 true")
    assert [a.step for a in true] == [0, 1, 2]
    # The last fifth of the clip, as it is read by another reader and made as small.
    film = cv2.VideoCapture(str(clips["target"]))
    film.set(cv2.CAP_PROP_POS_FRAMES, FRAMES - round(0.2 * FRAMES))
    frame = cv2.resize(film.read()[1][:, :, ::-1], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(frame.astype(int) - true[0].image).mean() < 4
    for measure in ("PSNR", "SSIM", "PSNR of the head", "SSIM of the head"):
        curve = named(made, f"quality/{measure}")[0]
        assert curve.series == ("generated", "mean frame", "last frame", "nearest pose")
        assert curve.y.shape == (4, 3)
    assert "nothing to normalise" in named(made, "light/clips")[0].text
    assert named(made, "frames/4 generated")[0].note.startswith(
        "WARNING: this person is not learnt"
    )
    assert len(named(made, "critic/true, full size")) == 3


def test_a_source_of_another_size_and_rate_drives(session: Session, clips: dict[str, Path]) -> None:
    made = shown(session, given(clips, target="target", source="source"))
    rows = named(made, "film/side by side")
    assert [a.fps for a in rows] == [20.0] * 3
    assert rows[0].image.shape == (256, 3 * 256, 3)
    words = named(made, "light/clips")[0].text
    assert words.startswith("No feet in view: normalised by the shoulders")
    assert "source: 40 frames a second, shown at the target's 20" in words
    # The same person filmed 1.4 times as large is as large again in small frames of one size.
    scale = named(made, "normalisation/scale")[0].y
    np.testing.assert_allclose(scale, 1, atol=0.12)
    assert not named(made, "frames/5 true")
    assert not named(made, "quality/PSNR")
    assert named(made, "quality/frame change")[0].series == ("generated",)
    raw = shown(session, given(clips, target="target", source="source"), normalise=False)
    assert "not normalised" in named(raw, "light/clips")[0].text


def test_a_source_alone_drives_the_rendered_dancer(
    session: Session, clips: dict[str, Path]
) -> None:
    made = shown(session, given(clips, source="source"), frames=2)
    assert named(made, "frames/4 generated")[0].image.shape == (64, 64, 3)
    assert named(made, "frames/3 drives")[0].image.min() < 255  # a figure is drawn


def test_knobs_of_ones_own_clips_act(session: Session, clips: dict[str, Path]) -> None:
    plain = shown(session, given(clips, target="target"))
    figure = named(plain, "frames/3 drives")
    for name, value in {"confidence": 0.95, "clean": "1", "side": 96, "size": 1.3, "lift": 5.0,
                        "moved": ((30.0, 20.0), (5.0, 5.0))}.items():  # fmt: skip
        other = named(shown(session, given(clips, target="target"), **{name: value}),
                      "frames/3 drives")  # fmt: skip
        same = [np.array_equal(a.image, b.image) for a, b in zip(figure, other, strict=True)]
        assert not all(same), name
    both = given(clips, target="target", source="source")
    own, others = (
        named(shown(session, both, limbs=on), "frames/3 drives")[0].image for on in (False, True)
    )
    assert not np.array_equal(own, others), "limbs"
    cut = shown(session, given(clips, target="target"), most=31)
    assert "target: the first 31 of 36 frames are read" in named(cut, "light/clips")[0].text


def test_bad_clips_are_told_in_a_line(session: Session, clips: dict[str, Path]) -> None:
    for slots, values, words in (
        ({"target": "empty"}, {}, r"empty\.mp4: no person is in any of 5 frames"),
        ({"target": "short"}, {}, "the person is in 9 frames; at least 30 are needed"),
        ({"target": "target", "source": "empty"}, {}, r"empty\.mp4: no person"),
        ({"target": "target"}, {"first": 500}, "none is number 500; lower first"),
    ):
        with pytest.raises(EngineError, match=words) as error:
            shown(session, given(clips, **slots), **values)
        assert "\n" not in str(error.value)
    with pytest.raises(EngineError, match="a source alone teaches nothing"):
        list(session.train(given(clips, source="source")))


def test_reading_shows_progress_can_be_stopped_and_is_done_once(
    session: Session, clips: dict[str, Path]
) -> None:
    reading._known.clear()
    seen: list[str] = []

    def watch(text: str, fraction: float | None) -> None:
        seen.append(text)
        if text.startswith("target.mp4: pose in frame 5 "):
            session.cancel()

    session.on_progress = watch
    with pytest.raises(Cancelled):
        shown(session, given(clips, target="target"))
    assert seen[-1] == f"target.mp4: pose in frame 5 of {FRAMES}"
    session.on_progress = lambda text, fraction: seen.append(text)
    shown(session, given(clips, target="target"))
    assert seen[-1] == f"target.mp4: pose in frame {FRAMES} of {FRAMES}"
    count = len(seen)
    shown(session, given(clips, target="target"), clean="1")
    assert len(seen) == count
    session.on_progress = None


def test_a_target_is_learnt_and_the_film_exported(
    clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    torch.set_num_threads(1)
    monkeypatch.setattr(dance_learning, "HELD", 4)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "me.safetensors"
    settings = [w for k, v in KNOBS.items() for w in ("--set", f"{k}={v}")]
    assert (
        cli.main(["train", "dance", f"target={clips['target']}", *settings, "--out", str(out)]) == 0
    )
    assert "PSNR" in capsys.readouterr().err
    assert cli.main(["weights", "import", "own-dancer", str(out)]) == 0
    run = ["run", "dance", f"target={clips['target']}", f"source={clips['source']}", "--set",
           "weights=own-dancer", "--set", "side=64", "--set", "frames=50", "--json"]  # fmt: skip
    capsys.readouterr()
    assert cli.main([*run, "--out", str(tmp_path / "film")]) == 0
    record = json.loads(capsys.readouterr().out)
    notes = {a["name"]: a["note"] for a in record["artefacts"]}
    assert "not learnt" not in notes["frames/4 generated"]
    film = cv2.VideoCapture(str(tmp_path / "film/film_side_by_side.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == 20
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 4  # eight frames at twice the rate
    assert (film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (768, 256)


def test_a_film_of_any_length_holds_two_frames(
    session: Session, clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.motion import dance_own

    held: list[int] = []
    add = dance_own.Quality.add

    def counted(self: Any, film: Any, *rest: Any) -> None:
        held.append(max(len(film.frames), len(film.raw), len(film.figures)))
        add(self, film, *rest)

    monkeypatch.setattr(dance_own.Quality, "add", counted)
    plain = knobs.as_dict(load(session.row).Params()) | KNOBS
    session.set_params(plain | {"frames": 7})
    inputs = given(clips, target="target")
    record = write_run(tmp_path / "out", session.run(inputs), {})
    assert held == [1, 2, 3, 3, 3, 3, 3]
    files = {a["name"]: a["files"] for a in record["artefacts"]}
    assert "film_side_by_side.mp4" in files["film/side by side"]
