"""The samples: listed with their hashes, small, and moving as the truth beside them says."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from explorer.core.media import assets, open_clip
from scripts.sources import problems

SAMPLES = (
    "chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "flower.jpg", "temple.jpg",
    "brushwork.jpg", "bunny.mp4", "drift.mp4", "drift.json",
)  # fmt: skip


def test_every_file_in_assets_is_listed_with_its_hash() -> None:
    assert problems(assets()) == []


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "good.txt").write_text("good")
    (folder / "bad.txt").write_text("bad")
    (folder / "new.txt").write_text("new")
    (folder / "icons").mkdir()
    (folder / "icons" / "a.svg").write_text("a")
    good = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"
    (folder / "SOURCES.md").write_text(
        f"| `good.txt` | here | `{good}` |\n| `bad.txt` | here | `{good}` |\n"
        f"| `gone.txt` | here | `{good}` |\n| `icons/*.svg` | here | `{'0' * 64}` |\n"
    )
    found = problems(folder)
    assert [line.partition(":")[0] for line in found] == [
        "bad.txt", "gone.txt", "icons/*.svg", "new.txt",
    ]  # fmt: skip


def test_samples_are_small() -> None:
    assert sum((assets() / name).stat().st_size for name in SAMPLES) < 6_000_000
    everything = sum(file.stat().st_size for file in assets().rglob("*") if file.is_file())
    assert everything < 40_000_000


def test_the_rendered_clip_moves_as_its_truth_says() -> None:
    truth = json.loads((assets() / "drift.json").read_text(encoding="utf-8"))
    clip = open_clip(assets() / "drift.mp4")
    assert (len(clip), clip.fps) == (truth["frames"], truth["fps"])
    assert clip[0].shape == (truth["height"], truth["width"], 3)
    step = truth["ground_px_per_frame"]
    for t in range(truth["frames"] - 1):
        before, after = clip[t].astype(int), clip[t + 1].astype(int)
        inner = before[8:-8, 8:-8]
        error = {}
        for dx in range(step[0] - 2, step[0] + 3):
            for dy in range(step[1] - 2, step[1] + 3):
                moved = after[8 + dy : after.shape[0] - 8 + dy, 8 + dx : after.shape[1] - 8 + dx]
                error[dx, dy] = np.minimum(np.abs(moved - inner), 20).mean()  # the ball counts less
        best = min(error, key=lambda shift: error[shift])
        assert list(best) == step, t
    clip.close()


def test_the_ball_is_where_its_truth_says() -> None:
    """Its checks are the only place where red and white meet, and the coffee has no white spots."""
    truth = json.loads((assets() / "drift.json").read_text(encoding="utf-8"))
    photo = cv2.imread(str(assets() / "coffee.png"))[..., ::-1].astype(int)
    clip = open_clip(assets() / "drift.mp4")
    for t in range(0, truth["frames"], 5):
        x0 = 160 - truth["ground_px_per_frame"][0] * t
        y0 = 20 - truth["ground_px_per_frame"][1] * t
        ground = photo[y0 : y0 + truth["height"], x0 : x0 + truth["width"]]
        covered = (np.abs(clip[t].astype(int) - ground).sum(axis=2) > 90).astype(np.uint8)
        covered = cv2.morphologyEx(covered, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        _, _, _, centres = cv2.connectedComponentsWithStats(covered)
        sizes = cv2.connectedComponentsWithStats(covered)[2][:, cv2.CC_STAT_AREA]
        largest = 1 + int(sizes[1:].argmax())
        found = centres[largest] + 0.5
        assert np.hypot(*(found - truth["ball_centre_px"][t])) < 2.0, t
        assert abs(sizes[largest] / (np.pi * truth["ball_radius_px"] ** 2) - 1) < 0.2, t
    clip.close()
