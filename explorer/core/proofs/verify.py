"""Runs that can be checked: what to do again, hashes of every array, and whether they are equal."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from explorer.core.instruments import INSTRUMENTS
from explorer.core.own_models.model_row import is_own
from explorer.core.paths import assets
from explorer.core.stores.atomic import atomic
from explorer.core.stores.session_file import SavedInput
from explorer.editing import EditError, as_record, of_record
from explorer.inputs import FolderInput, Inputs, TextInput
from explorer.kinds import Artefact, Text

LARGEST = 64 * 2**20  # bytes of a run.json


class VerifyError(ValueError):
    """A run cannot be verified: one line of cause and remedy."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One array: ``state`` is equal, differs, missing (from the new run) or damaged (its file)."""

    name: str
    field: str
    state: str


def digest(array: npt.NDArray[Any]) -> str:
    """sha256 of an array's values, in C order; of a text array, of its lines."""
    if array.dtype.kind in "US":
        return hashlib.sha256("\n".join(map(str, array.reshape(-1).tolist())).encode()).hexdigest()
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def hashes(artefact: Artefact) -> dict[str, str]:
    """sha256 of each array field, and of a text."""
    found = {name: digest(array) for name, array in artefact.arrays().items()}
    if isinstance(artefact, Text):
        found["text"] = hashlib.sha256(artefact.text.encode()).hexdigest()
    return found


def saved_input(value: Any) -> SavedInput:
    """Where an input can be opened again, and its hash; the packaged samples are named by file."""
    sha256 = str(getattr(value, "sha256", ""))
    if isinstance(value, TextInput):
        return SavedInput("text", value.text, sha256)
    if getattr(value, "live", False):
        return SavedInput("camera", "camera:0")
    if isinstance(value, FolderInput):
        return SavedInput("file", str(value.path.absolute()))
    path = getattr(value, "path", None)
    if path is None:
        return SavedInput("file", "", sha256)
    if Path(path).absolute().is_relative_to(assets().absolute()):
        return SavedInput(
            "sample", str(Path(path).absolute().relative_to(assets().absolute())), sha256
        )
    return SavedInput("file", str(Path(path).absolute()), sha256)


def again(session: Any, inputs: Inputs, **how: Any) -> dict[str, Any]:
    """What `verify` needs to do the same once more; ``how``: steps, frames, every, instruments."""
    import torch

    saved = {slot: saved_input(value) for slot, value in inputs.items()}
    return {
        "model": str(getattr(session.params, "model", "")),
        "threads": torch.get_num_threads(),
        "inputs": {
            slot: {"kind": s.kind, "where": s.where, "sha256": s.sha256}
            for slot, s in saved.items()
        },
        "edits": [as_record(edit) for edit in session.edits],
        "capture": [view.point for view in session.views],
        **{name: value for name, value in how.items() if value is not None},
    }


def read_record(folder: Path) -> dict[str, Any]:
    """The run.json of a folder.

    Raises:
        VerifyError: it is not there, is none of ours, or was written without hashes.
    """
    path = Path(folder) / "run.json"
    try:
        if path.stat().st_size > LARGEST:
            raise VerifyError(f"{path}: over {LARGEST // 2**20} MiB, no record of a run")
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise VerifyError(f"{folder} holds no run.json; name the --out of a run") from error
    except OSError as error:
        raise VerifyError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise VerifyError(f"{path} is no JSON, so no record of a run") from error
    entries = record.get("artefacts") if isinstance(record, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise VerifyError(f"{path} is no record of a run of layerscope")
    if not isinstance(record.get("again"), dict):
        raise VerifyError(f"{path} was written before runs could be verified; run it once more")
    return record


def verify(
    folder: Path, given: Mapping[str, str] | None = None, *, run_code: bool = False
) -> Iterator[Verdict]:
    """Run again what ``folder`` holds; one verdict an array, those of the files first.

    Args:
        given: slot to path, for inputs that are no longer where they were.
        run_code: the run used a person's own model, whose code may run now.

    Raises:
        VerifyError: the record or an input is missing or another one.
        EngineError, EngineFailed, WeightsMissing, MediaError: as when it is run.
    """
    record = read_record(folder)
    entries = [e for e in record["artefacts"] if isinstance(e.get("sha256"), dict)]
    yield from _files(Path(folder), entries)
    found = _found(record, dict(given or {}), run_code=run_code)
    for entry in entries:
        name = str(entry.get("name"))
        new = found.get(name, {})
        for field, old in entry["sha256"].items():
            state = "missing" if field not in new else "equal" if new[field] == old else "differs"
            yield Verdict(name, field, state)


def _files(folder: Path, entries: Sequence[Mapping[str, Any]]) -> Iterator[Verdict]:
    """Arrays whose file does not hold what the record says."""
    for entry in entries:
        names = [str(f) for f in entry.get("files", ()) if str(f).endswith(".npz")]
        for name in names:
            path = folder / Path(name).name
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    held = {key: digest(arrays[key]) for key in arrays.files}
            except (OSError, ValueError, EOFError, KeyError, BadZipFile):
                yield Verdict(str(entry.get("name")), f"all of {name}", "damaged")
                continue
            for field, old in entry["sha256"].items():
                if field in held and held[field] != old:  # not every field goes into the file
                    yield Verdict(str(entry.get("name")), f"{field} in {name}", "damaged")


def _found(
    record: Mapping[str, Any], given: dict[str, str], *, run_code: bool
) -> dict[str, dict[str, str]]:
    """Hashes of what a new run gives, by artefact and field."""
    import torch

    from explorer.core.session import Session
    from explorer.core.streams import clip_of
    from explorer.views import View

    how = record["again"]
    row, values = _row(record, run_code=run_code)
    instruments = _instruments(how, run_code=run_code)
    inputs = _inputs(row, how.get("inputs", {}), given)
    try:
        edits = tuple(of_record(edit) for edit in how.get("edits", ()))
    except EditError as error:
        raise VerifyError(f"the record's edits: {error}") from error
    torch.set_num_threads(max(1, int(how.get("threads", 1))))
    session = Session(
        row, device=str(record.get("device", "cpu")), seed=int(record.get("seed", 0)), params=values
    )
    session.open()
    session.timeline.on = False
    session.edits = edits
    session.views = tuple(View(str(point)) for point in how.get("capture", ()))
    for name, knobs in instruments.items():
        session.instruments.lay_on(name, knobs, session.layers())
    if instruments:  # what they need is known after a first pass, as when the run was made
        for _ in itertools.islice(session.play(inputs, frames=1), 1):
            continue
        session.reset_memory()
    if clip_of(inputs) is None:
        frames = session.run(inputs, steps=how.get("steps"))
    else:
        every = max(1, int(how.get("every", 1)))
        frames = session.play(inputs, frames=how.get("frames"), every=every)
    found: dict[str, dict[str, str]] = {}
    shown: dict[str, Any] = {}
    studies = [row.name for row in INSTRUMENTS if row.study and row.name in instruments]
    later = (frame for name in studies for frame in session.study(name, session.inputs))
    for frame in itertools.chain(frames, later):
        found |= {artefact.name: hashes(artefact) for artefact in frame.artefacts}
        shown |= {r.view.point: r for r in frame.rendered}
    for point, rendered in shown.items():
        found[f"capture/{point}"] = {"maps": digest(session.read(rendered.handle))}
    session.close()
    return found


def _instruments(how: Mapping[str, Any], *, run_code: bool) -> dict[str, dict[str, Any]]:
    """The instruments that were laid on; one that runs another model's code wants consent too."""
    known = {row.name for row in INSTRUMENTS}
    found: dict[str, dict[str, Any]] = {}
    for name, knobs in dict(how.get("instruments") or {}).items():
        if name not in known or not isinstance(knobs, dict):
            raise VerifyError(f"this run used the instrument {name!r}, which is not known here")
        if is_own(str(knobs.get("model") or "")) and not run_code:
            raise VerifyError(
                f"{name} compared with {knobs['model']}; add --run-code to let it run, "
                "if you trust it"
            )
        found[name] = dict(knobs)
    return found


def _row(record: Mapping[str, Any], *, run_code: bool) -> tuple[Any, dict[str, Any]]:
    """Row and knobs of the engine; a stranger's record must not run a stranger's code."""
    from explorer.core.registry import find, table

    name, values = str(record.get("engine")), dict(record.get("knobs") or {})
    model = record["again"].get("model")
    if not model:
        return find(name, table()), values
    if not run_code:
        raise VerifyError(
            f"this run used the code of {model}; add --run-code to let it run, if you trust it"
        )
    from explorer.core.own_models.model_row import own_row

    weights = str(values.get("weights", ""))
    row, own = own_row(weights, str(model)) if weights else own_row(str(model))
    return row, {**values, **own}


def _inputs(row: Any, saved: Mapping[str, Any], given: dict[str, str]) -> dict[str, Any]:
    from explorer.core.media import read_input

    unknown = [slot for slot in given if slot not in row.inputs]
    if unknown:
        raise VerifyError(f"engine {row.name!r} has no input {unknown[0]!r}")
    inputs: dict[str, Any] = {}
    for slot, kind in row.inputs.items():
        about = saved.get(slot) if isinstance(saved.get(slot), dict) else None
        if about is None and slot in row.optional and slot not in given:
            continue
        if about is None:
            raise VerifyError(f"the record does not say what input {slot!r} was")
        where, sha256 = str(about.get("where", "")), str(about.get("sha256", ""))
        if slot in given:
            where = given[slot]
        elif about.get("kind") == "sample":
            where = str(assets() / where)
        elif about.get("kind") == "camera" or not where:
            raise VerifyError(f"input {slot!r} was a camera or a paste, which cannot be had again")
        if about.get("kind") != "text" and not Path(where).exists():
            raise VerifyError(f"input {slot!r} is not at {where}; give it as {slot}=PATH")
        if about.get("kind") == "text" and slot not in given:
            inputs[slot] = TextInput(where)
            continue
        inputs[slot] = read_input(kind, where)
        now = str(getattr(inputs[slot], "sha256", ""))
        if sha256 and now != sha256:
            raise VerifyError(
                f"{where} is not the input of this run: its sha256 is {now[:12]}…, "
                f"that of the run {sha256[:12]}…"
            )
    return inputs


def add_proofs(folder: Path, record: dict[str, Any], session: Any, inputs: Inputs) -> list[str]:
    """Write a program for each captured layer and note it with its hash in run.json.

    Returns:
        one line for each layer that has no proof, with the reason.
    """
    from explorer import params as knobs
    from explorer.core.proofs.proof import Asked, ProofError, prove

    engine = record["again"]["model"] or session.row.name
    values = knobs.as_dict(session.params)
    problems = []
    for entry in [e for e in record["artefacts"] if e["name"].startswith("capture/")]:
        point = entry["name"].removeprefix("capture/")
        asked = Asked((point,), edits=session.edits, frame=entry["frame"], step=_last_step(record))
        try:
            proof = prove(
                engine, values, inputs, asked, device=str(session.device), seed=session.seed
            )
        except ProofError as error:
            problems.append(f"no proof of {point}: {error}")
            continue
        files = proof.write(Path(folder), f"{Path(entry['files'][0]).stem}.proof")
        entry["proof"] = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        }
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic(Path(folder) / "run.json") as part:
        part.write_text(text + "\n", encoding="utf-8")
    return problems


def _last_step(record: Mapping[str, Any]) -> int:
    return max((int(e.get("step") or 0) for e in record["artefacts"]), default=0)
