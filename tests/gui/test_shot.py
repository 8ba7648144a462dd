"""The picture of the real window that `layerscope shot` takes, with the real runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from explorer.app.shot import ShotFailed, shot
from explorer.cli import main
from explorer.core.registry import UnknownEngine
from explorer.views import Edit

pytestmark = pytest.mark.gui


def test_a_shot_shows_the_run_and_leaves_the_settings_alone(
    qapp: Any, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "window.png"
    shot(out, engine="classify", size=(1100, 700), capture=("_blocks.2",), theme="light")
    picture = cv2.imread(str(out))
    assert picture.shape[:2] == (700, 1100)
    maps = picture[130:430, 260:800].reshape(-1, 3).astype(int)
    assert np.ptp(maps, axis=1).max() > 150  # coloured maps stand in the middle
    assert picture[5, 700:].min() > 200  # the light theme
    assert not (home / "settings.json").exists()


def test_a_shot_of_a_frame_differs_from_that_of_another(
    qapp: Any, home: Path, tmp_path: Path
) -> None:
    from explorer.core.paths import assets

    clip = str(assets() / "bunny.mp4")
    pictures = []
    for frame in (None, 60):  # without one a clip that plays is stopped at its first frame
        shot(tmp_path / f"{frame}.png", [clip], engine="classify", size=(1100, 700), frame=frame)
        pictures.append(cv2.imread(str(tmp_path / f"{frame}.png"))[60:620].astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() > 1


def test_a_shot_takes_named_slots_and_texts(qapp: Any, home: Path, tmp_path: Path) -> None:
    pictures = []
    for words in (["string=a1b2c3??b"], ["a1b2c3??b"], ["string=a1b2c3??c"]):
        out = tmp_path / f"{len(pictures)}.png"
        size = ["--size", "1000x700", "--device", "cpu"]
        assert main(["shot", str(out), *words, "--engine", "fast-weights", *size]) == 0
        pictures.append(cv2.imread(str(out))[60:560].astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5, "the same text"
    assert np.abs(pictures[0] - pictures[2]).mean() > np.abs(pictures[0] - pictures[1]).mean()


def test_an_unknown_slot_of_a_shot_names_the_near_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["shot", str(tmp_path / "o.png"), "contnt=x.png", "--engine", "style"]
    assert main(words) == 2
    assert "did you mean content" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says", "kind"),
    [
        ({"capture": ("_blocks.77",)}, "_blocks.7", "input"),
        ({"edits": (Edit("nowhere", (1,)),)}, "unknown layer 'nowhere'", "input"),
        ({"values": {"top": 99}}, "99 is outside", "knob"),
        ({"values": {"tops": 3}}, "Did you mean top", "knob"),
        ({"layout": "none such"}, "No layout 'none such'", "input"),
        ({"commands": ("keyes",)}, "unknown command 'keyes'; did you mean keys", "input"),
        ({"paths": ["/nowhere/photo.png"]}, "no such file", "input"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_no_file(
    qapp: Any, home: Path, tmp_path: Path, options: dict[str, Any], says: str, kind: str
) -> None:
    out = tmp_path / "out.png"
    with pytest.raises(ShotFailed, match=says) as failure:
        shot(out, engine="classify", **options)
    assert failure.value.kind == kind
    assert "\n" not in str(failure.value)
    assert not out.exists()


def test_an_unknown_engine_names_the_near_ones(qapp: Any, home: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownEngine, match="classify"):
        shot(tmp_path / "out.png", engine="clasify")
