"""The ready clip of a real person: found, learnt, made to move, and scored as its page says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.motion.dance_jumper import CLIP, JUMPER
from engines.nn.motion.footage import by_movenet
from engines.nn.motion.movenet import MoveNet
from engines.nn.readers import eight_bits
from explorer.core.media import assets, read_input, sample_inputs
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.weights import WeightStore
from explorer.kinds import Artefact
from scripts.to_eight_bits import rounded

ROW = table()["dance-jumper"]
PAGE = Path(__file__).parents[2] / "docs/dance-jumper.md"
HELD = 17  # frames


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    torch.set_num_threads(1)
    made = Session(ROW, device="cpu")
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shown(session: Session) -> dict[str, Artefact]:
    """The last artefact of each name of a whole run on the sample."""
    return {a.name: a for f in session.run(sample_inputs(ROW)) for a in f.artefacts}


def test_clip_and_weights_are_those_that_belong_together() -> None:
    assert hashlib.sha256((assets() / "jumper.mp4").read_bytes()).hexdigest() == CLIP
    weights = next(w for w in ROW.weights if w.name == JUMPER)
    file = assets() / "weights/jumper.safetensors"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == weights.sha256
    assert file.stat().st_size == weights.size


def test_every_joint_is_found_in_nearly_every_frame() -> None:
    network = MoveNet()
    network.load_state_dict(
        WeightStore([w for row in table().values() for w in row.weights])
        .load("movenet-lightning")
        .tensors
    )
    people = by_movenet(network, torch.device("cpu"))
    clip: Any = read_input("clip", assets() / "jumper.mp4")
    poses = np.concatenate([people(clip[i]) for i in range(0, len(clip), 5)])
    assert poses.shape == (18, 17, 3)
    assert (poses[..., 2] >= 0.3).mean() > 0.98
    # The wrists go from the hips to above the head and back, twice.
    wrists, nose = poses[:, 9:11, 1].mean(1), poses[:, 0, 1]
    above = (wrists < nose).astype(int)
    assert (np.diff(above) == 1).sum() == 2


def test_the_held_out_frames_score_as_the_page_says(shown: dict[str, Artefact]) -> None:
    """Around the head, where he moves, the network beats all three; the page tells the rest."""
    told = re.findall(r"^\| (.+?) \| ([0-9.]+) dB \| ([0-9.]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(told) == 8
    for rows, part in ((told[:4], ""), (told[4:], " of the head")):
        for measure, column, near in (("PSNR", 1, 0.1), ("SSIM", 2, 0.005)):
            curve: Any = shown[f"quality/{measure}{part}"]
            assert len(curve.x) == HELD
            found = dict(zip(curve.series, np.mean(curve.y, 1).tolist(), strict=True))
            assert found == pytest.approx({r[0]: float(r[column]) for r in rows}, abs=near)
            if part:
                others = [v for name, v in found.items() if name != "generated"]
                assert found["generated"] > max(others)


def test_only_for_its_own_clip_the_network_is_said_to_have_learnt(
    session: Session, shown: dict[str, Artefact], tmp_path: Path
) -> None:
    generated: Any = shown["frames/4 generated"]
    assert "not learnt" not in generated.note
    other = tmp_path / "other.mp4"
    other.write_bytes((assets() / "jumper.mp4").read_bytes() + b"\0")
    inputs = {"target": read_input("clip", other)}
    session.set_params({"frames": 2})
    notes = [a.note for f in session.run(inputs) for a in f.artefacts if "4 generated" in a.name]
    assert notes
    assert all("not learnt" in note for note in notes)


def test_eight_bits_are_off_by_half_a_step_at_most(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "large": torch.randn(8, 16, generator=generator).half(),
        "equal": torch.full((80,), 0.5),
        "short": torch.randn(5, generator=generator),
        "count": torch.tensor(7),
    }
    save_file(rounded(tensors), tmp_path / "small.safetensors")
    read = eight_bits(tmp_path / "small.safetensors")
    assert read.keys() == tensors.keys()
    for name in ("equal", "short", "count"):
        assert torch.equal(read[name], tensors[name])
    span = float(tensors["large"].max() - tensors["large"].min())
    assert (read["large"] - tensors["large"].float()).abs().max() <= span / 510 + 1e-6
