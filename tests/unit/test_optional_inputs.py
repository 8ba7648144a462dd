"""Inputs that may stay empty, and clips that an engine takes whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from torch import nn

from explorer import cli
from explorer import params as knobs
from explorer.core import registry
from explorer.core.media import read_input
from explorer.core.registry import is_filled, parse
from explorer.core.streams import clip_of, with_frame
from explorer.core.writing.clip_writer import ClipWriter
from explorer.engine import Engine, EngineError, Inputs, Run
from explorer.inputs import ImageInput
from explorer.kinds import Artefact, Image
from explorer.params import knob

PLAIN: dict[str, Any] = {
    "name": "lengths", "engine": "a:B", "title": "Lengths", "family": "Tests",
    "groups": {"out": {"kinds": ["Image"]}},
}  # fmt: skip
CLIPS = {"inputs": {"first": "clip", "second": "clip"}, "optional": ["second"]}


class Lengths(Engine[Any]):
    """Shows how long its clips are, as levels of grey; a step a clip, as a film."""

    emits: ClassVar[tuple[type[Artefact], ...]] = (Image,)

    def build(self, params: Any) -> nn.Module:
        return nn.Identity()

    def run(self, inputs: Inputs, params: Any, memory: Any = None) -> Run:
        for step, clip in enumerate(inputs.values()):
            if not hasattr(clip, "fps"):
                raise EngineError("not a whole clip")
            yield Image("out/length", np.full((8, 8, 3), len(clip), np.uint8), step=step)
        return None


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    with ClipWriter(path, 25) as film:
        for level in range(7):
            film.write(np.full((32, 48, 3), 30 * level, np.uint8))
    return path


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> registry.Row:
    from dataclasses import make_dataclass

    made = parse({**PLAIN, **CLIPS}, "tests")
    Lengths.Params = make_dataclass(
        "LengthsParams", [("level", float, knob(1.0, low=0, high=2, when="inputs"))], frozen=True
    )
    monkeypatch.setattr(registry, "load", lambda row: Lengths)
    monkeypatch.setattr(registry, "table", lambda: {"lengths": made})
    return made


def test_rows_name_which_inputs_may_stay_empty(row: registry.Row) -> None:
    assert row.optional == ("second",)
    assert is_filled(row, {"first"})
    assert is_filled(row, {"first", "second"})
    assert not is_filled(row, {"second"})
    assert is_filled(parse(PLAIN, "tests"), ())
    with pytest.raises(ValueError, match="optional: unknown input 'third'"):
        parse({**PLAIN, **CLIPS, "optional": ["third"]}, "tests")


def test_a_clip_slot_takes_its_clip_whole_and_an_image_slot_its_frames(clip: Path) -> None:
    whole, streamed = read_input("clip", clip), read_input("image", clip)
    assert clip_of({"first": whole}) is None
    assert clip_of({"first": whole, "image": streamed}) is streamed
    pixels = streamed[3]  # type: ignore[index]
    made = with_frame({"first": whole, "image": streamed}, pixels, 3)
    assert made["first"] is whole
    assert isinstance(made["image"], ImageInput)
    assert made["image"].frame == 3


def test_run_and_verify_without_what_may_stay_empty(
    clip: Path, row: registry.Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for slots, last in ((["first"], 7), (["first", "second"], 7)):
        out = tmp_path / "-".join(slots)
        given = [f"{slot}={clip}" for slot in slots]
        assert cli.main(["run", "lengths", *given, "--out", str(out)]) == 0
        with np.load(out / "out_length.npz") as arrays:
            assert arrays["image"].max() == last
        capsys.readouterr()
        assert cli.main(["verify", str(out)]) == 0, capsys.readouterr().err
        assert "arrays are equal" in capsys.readouterr().out
    assert cli.main(["run", "lengths", "third=x.mp4", "--out", str(tmp_path / "no")]) == 2


def test_a_knob_on_inputs_is_never_idle(row: registry.Row) -> None:
    level = knobs.knobs(Lengths.Params)["level"]
    assert knobs.acts(level, Lengths.Params())
    assert knobs.acts(level, Lengths.Params(), training=True)
