"""A training of motion transfer that is killed goes on from its last checkpoint, bit by bit."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.nn.motion import dance_clips
from explorer.core.registry import find, table
from explorer.core.session import Session
from explorer.core.stores import checkpoint
from explorer.kinds import Artefact

KNOBS = {"weights": "random", "train_steps": 2, "face_steps": 2, "batch": 1, "frames": 2}
KILLED_AT = 4  # in the second step of the faces
TRAINED = """
import os, signal, sys
from pathlib import Path
import torch
from engines.nn.motion import dance_clips, dance_learning
from explorer.core import training
from explorer.core.registry import find, table
from explorer.core.session import Session
torch.set_num_threads(1)
training.EVERY = -1.0  # after each step, in place of each minute
dance_learning.HELD = 2
dance_clips.TRAINING = (0,)

def progress(text, fraction):
    if text.startswith(f"step {KILLED_AT} "):
        os.kill(os.getpid(), signal.SIGKILL)

session = Session(find("dance", table()), device="cpu", seed=3, params=KNOBS)
session.open()
session.on_progress = progress
for _ in session.train({}, out=Path(sys.argv[1])):
    pass
print("was not killed")
"""


def opened(seed: int) -> Session:
    made = Session(find("dance", table()), device="cpu", seed=seed, params=KNOBS)
    made.open()
    return made


def trained(session: Session, out: Path, **given: Any) -> list[Artefact]:
    return [a for frame in session.train({}, out=out, **given) for a in frame.artefacts]


def flat(value: Any, where: str = "") -> dict[str, Any]:
    """All that a state holds, by its place."""
    if isinstance(value, dict):
        return {
            k: v for key, item in value.items() for k, v in flat(item, f"{where}/{key}").items()
        }
    if isinstance(value, list | tuple):
        return {k: v for i, x in enumerate(value) for k, v in flat(x, f"{where}/{i}").items()}
    return {where: value}


def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("engines.nn.motion.dance_learning.HELD", 2)
    monkeypatch.setattr(
        "engines.nn.motion.dance_clips.TRAINING", (0,)
    )  # one motion: quicker to draw
    for known in (dance_clips.training_clip, dance_clips.training_figures):
        known.cache_clear()
        request.addfinalizer(known.cache_clear)
    program = TRAINED.replace("KILLED_AT", str(KILLED_AT)).replace("KNOBS", repr(KNOBS))
    half = tmp_path / "half.safetensors"
    killed = subprocess.run(
        [sys.executable, "-c", program, str(half)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = checkpoint.load(half.with_suffix(".checkpoint"))
    assert kept.step == KILLED_AT - 1

    whole, again = opened(3), opened(8)
    trained(whole, tmp_path / "whole.safetensors")
    made = trained(again, tmp_path / "again.safetensors", resume=half)
    # The curve goes on where it stood: two steps of the frames, two of the faces.
    curves = {a.name: a for a in made}
    assert curves["training/loss"].y.shape[1] == 2  # type: ignore[attr-defined]
    assert curves["training/face loss"].y.shape[1] == 2  # type: ignore[attr-defined]
    ends = [
        flat(dict(checkpoint.load(tmp_path / f"{name}.checkpoint").state))
        for name in ("whole", "again")
    ]
    ours, theirs = ({k: v for k, v in e.items() if not k.startswith("/session")} for e in ends)
    assert ours.keys() == theirs.keys()
    moments = [k for k in ours if k.endswith(("exp_avg", "exp_avg_sq"))]
    for optimiser in ("lesson/for network", "lesson/for critic", "face lesson/for face",
                      "face lesson/for critic"):  # fmt: skip
        assert any(optimiser in k for k in moments), optimiser
    for name, value in ours.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(theirs[name], value, rtol=0, atol=0, msg=name)
        else:
            np.testing.assert_equal(theirs[name], value, err_msg=name)
    for session in (whole, again):
        session.close()
