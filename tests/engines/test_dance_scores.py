"""The dancer that is shipped, scored again, and what its figures must show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from safetensors import safe_open

from engines.nn.motion.dance_clips import drive, training_clip
from engines.nn.motion.dance_learning import HELD, scores
from engines.nn.motion.dance_network import Dancer
from engines.nn.motion.dance_scores import driving_poses, face_quality, film_of, quality, unrest
from engines.nn.motion.dancers import TARGET, joints, motion, painted, render
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session

FILE = assets() / "weights/dancers.safetensors"
FRAMES = 16


@pytest.fixture(scope="module")
def dancer() -> Iterator[Dancer]:
    torch.set_num_threads(1)
    session = Session(table()["dance"], device="cpu")
    session.open()
    yield session.network
    session.close()


def test_the_file_is_the_one_of_the_catalogue_in_eight_bits() -> None:
    weights = next(w for w in table()["dance"].weights if w.name == "dancers")
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == weights.sha256
    with safe_open(FILE, "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    # Short tensors stay in half precision; steps are doubles; batch norms count.
    assert kinds == {torch.uint8, torch.float16, torch.float64, torch.int64}


def test_the_file_scores_as_recorded(dancer: Dancer) -> None:
    with safe_open(FILE, "pt") as file:
        about = file.metadata()
    held = drive("own skeleton").truth
    film, corrected = film_of(dancer, held.poses[:HELD])
    psnr, ssim = scores(film, held.frames[:HELD])
    assert psnr == pytest.approx(float(about["score PSNR"]), abs=0.05)
    assert ssim == pytest.approx(float(about["score SSIM"]), abs=0.002)
    face = face_quality(dancer, HELD)
    assert face["after"][0] == pytest.approx(float(about["score face PSNR"]), abs=0.05)
    assert face["after"][1] == pytest.approx(float(about["score face SSIM"]), abs=0.002)
    assert face["after"][0] > face["before"][0] + 0.2
    assert face["after"][1] > face["before"][1] + 0.005
    assert scores(corrected, held.frames[:HELD])[0] > psnr


def test_normalisation_recovers_most_and_all_baselines_are_beaten(dancer: Dancer) -> None:
    found = {name: pair[0] for name, pair in quality(dancer, FRAMES).items()}
    assert found["raw"] < found["normalised"] < found["own skeleton"]
    gap = found["own skeleton"] - found["raw"]
    assert found["normalised"] - found["raw"] > 0.6 * gap
    assert found["normalised with limbs"] - found["raw"] > 0.9 * gap
    for name in ("mean frame", "last frame", "nearest pose"):
        assert found["normalised"] > found[name] + 2, name
    # No painter gets more out of these joints than the rule that the truth was painted by.
    assert found["normalised"] < found["normalised, painted without error"]


def test_noise_on_the_joints_makes_a_film_restless(dancer: Dancer) -> None:
    calm, nervous = unrest(dancer, 0.0, FRAMES), unrest(dancer, 1.0, FRAMES)
    assert calm["true"] == nervous["true"]
    for name in ("with feedback", "without feedback"):
        assert nervous[name] > calm[name] > calm["true"]


def test_own_joints_are_painted_as_they_were_rendered() -> None:
    danced = motion(4, 3)
    np.testing.assert_array_equal(
        painted(TARGET, joints(TARGET, danced), danced), render(TARGET, danced)
    )
    poses = driving_poses()
    assert {clip.shape for clip in poses.values()} == {(300, 17, 3)}
    toes = [np.max(clip[:, 15:, 1]) for clip in poses.values()]
    assert toes[0] < toes[1] == pytest.approx(toes[2], abs=1e-3)
    assert len(training_clip().frames) == 900
