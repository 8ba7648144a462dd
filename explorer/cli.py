"""The command line: the verbs of `layerscope`, on the same Session as the window."""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer import __version__, compare_command, inspecting, proof_commands, run_report
from explorer.command_words import (
    Command,
    Parser,
    UsageError,
    command_parser,
    edits,
    settings,
    slot_of,
)
from explorer.params import unknown

if TYPE_CHECKING:
    from explorer.core.registry import Row
    from explorer.core.session import Session
    from explorer.core.weights import WeightStore
    from explorer.views import Frame

VERBS = (
    "list", "layers", "run", "compare", "verify", "open", "shot", "train", "evaluate", "weights",
)  # fmt: skip
OK, BAD_INPUT, MISSING_WEIGHTS, ENGINE_FAILED = 0, 2, 3, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; exit codes: 0, 2 bad input, 3 missing weights, 4 engine failed."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has no × or · prints a ?
            stream.reconfigure(errors="replace")
    try:
        if not words or words[0] not in VERBS:
            _refuse_mistyped_verb(words)
            return _window(words)
        parser = command_parser(__doc__ or "", COMMANDS)
        if len(words) > 1 and words[1] in ("-h", "--help"):
            parser.parse_args(words)
        # Intermixed: `shot OUT --engine NAME PATH` is as good as paths first.
        args = parser.verbs[words[0]].parse_intermixed_args(words[1:])
        command: Command = args.command
        return command(args)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except Exception as error:  # noqa: BLE001 -- sorted into the exit codes of the design
        return _report(error)


def _refuse_mistyped_verb(words: list[str]) -> None:
    """A mistyped verb would open the window on a file that is not there."""
    if words and not words[0].startswith("-") and not Path(words[0]).exists():
        near = difflib.get_close_matches(words[0], VERBS, n=1)
        if near:
            raise UsageError(f"unknown verb {words[0]!r}; did you mean {near[0]}?")


def _report(error: Exception) -> int:
    """One line on stderr and the exit code for it; an engine's traceback goes to a log file."""
    name = type(error).__name__
    if name == "WeightsMissing":
        print(f"layerscope: {error}", file=sys.stderr)
        return MISSING_WEIGHTS
    trace = getattr(error, "traceback", "")
    if name == "EngineFailed":
        log = _log(trace)
        print(f"layerscope: {error} (traceback: {log})", file=sys.stderr)
        return ENGINE_FAILED
    if isinstance(error, (ValueError, LookupError, OSError, RuntimeError)):
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        print(f"layerscope: {' '.join(text.split())}", file=sys.stderr)
        return _shot_code(error)
    raise error


def _shot_code(error: Exception) -> int:
    kind = getattr(error, "kind", "input")
    if kind in ("engine", "memory"):
        _log(getattr(error, "details", ""))
        return ENGINE_FAILED
    return MISSING_WEIGHTS if kind == "weights" else BAD_INPUT


def _log(text: str) -> Path:
    from explorer.core.paths import cache

    folder = cache() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"engine-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    path.write_text(text, encoding="utf-8")
    return path


# -- the window


def _window(words: list[str]) -> int:
    parser = Parser("layerscope", description=__doc__, epilog=f"verbs: {', '.join(VERBS)}")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="pictures, clips, texts, models")
    parser.add_argument("--engine", default="", help="engine to start with, or a model of yours")
    parser.add_argument("--arch", default="", help="the network that weights belong to")
    parser.add_argument("--device", default="", help="auto, cpu or cuda[:n]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--version", action="version", version=f"layerscope {__version__}")
    args = parser.parse_args(words)
    from explorer.app.start import start

    return start(args.paths, engine=args.engine, arch=args.arch, device=args.device, seed=args.seed)


# -- list and layers


def _list(args: argparse.Namespace) -> int:
    from explorer.core.registry import table

    rows = list(table().values())
    states = _states(rows)
    if args.json:
        print(json.dumps([_entry(row, states) for row in rows], indent=2, ensure_ascii=False))
        return OK
    for family in dict.fromkeys(row.family for row in rows):
        print(family)
        for row in (r for r in rows if r.family == family):
            may = dict.fromkeys(row.optional, " or nothing")
            slots = (f"{slot}: {kind}{may.get(slot, '')}" for slot, kind in row.inputs.items())
            inputs = ", ".join(slots) or "no input"
            missing = [w.name for w in row.weights if states[w.name] == "missing"]
            tail = f"  cannot run: {row.problem}" if row.problem else f"  {row.title} ({inputs})"
            print(f"  {row.name:16}{tail}")
            if missing:
                print(f"  {'':16}  not here yet: layerscope weights fetch {' '.join(missing)}")
    return OK


def _states(rows: Sequence[Row]) -> dict[str, str]:
    store = _store(rows)
    return {w.name: store.status(w.name) for row in rows for w in row.weights}


def _entry(row: Row, states: dict[str, str]) -> dict[str, Any]:
    return {
        "name": row.name, "title": row.title, "family": row.family, "paper": row.paper,
        "inputs": dict(row.inputs), "optional": list(row.optional), "points": list(row.points),
        "problem": row.problem,
        "groups": {g.name: list(g.kinds) for g in row.groups.values()},
        "weights": {w.name: states[w.name] for w in row.weights},
    }  # fmt: skip


def _store(rows: Sequence[Row]) -> WeightStore:
    from explorer.core.weights import WeightStore

    return WeightStore([w for row in rows for w in row.weights])


def _layers(args: argparse.Namespace) -> int:
    session = _open(args)
    inputs = _inputs(args, session.row)
    for _ in session.run(inputs, steps=1):
        break
    layers = session.layers()
    for remark in () if sys.stderr.isatty() else session.engine.remarks:  # else said already
        print(f"layerscope: {remark}", file=sys.stderr)
    if args.json:
        print(json.dumps([_layer_entry(layer) for layer in layers], indent=2))
        return OK
    for layer in layers:
        idle = "not called" if layer.runs else ""
        shape = " × ".join(map(str, layer.shape)) if layer.shape else idle
        print(f"{layer.name:36} {layer.kind:22} {layer.parameters:>12,}  {shape}")
    return OK


def _layer_entry(layer: Any) -> dict[str, Any]:
    return {
        "name": layer.name, "kind": layer.kind, "parameters": layer.parameters,
        "shape": list(layer.shape) if layer.shape else None, "called": bool(layer.called),
        "calls": layer.calls,
    }  # fmt: skip


# -- run, train, evaluate


def _open(args: argparse.Namespace) -> Session:
    """The session of MODEL, opened, with knobs, layers to capture and edits in place."""
    from explorer.core.own_models.model_row import is_own, own_row
    from explorer.core.registry import find, table

    arch = getattr(args, "arch", "")
    if arch or is_own(args.model):
        row, values = own_row(args.model, arch)
    else:
        row, values = find(args.model, table()), {}
    from explorer.core.session import Session

    _, own = inspecting.split((), settings(args.set))
    session = Session(row, device=args.device, seed=args.seed, params={**values, **own})
    session.on_progress = _say if sys.stderr.isatty() else None
    session.open()
    for remark in session.engine.remarks if sys.stderr.isatty() else ():
        _say(f"{remark}\n", None)
    session.statistics_every = 0.0
    session.timeline.on = False  # nobody looks back: a long clip would fill it
    session.edits = edits(args)
    from explorer.views import View

    session.views = tuple(View(point) for point in getattr(args, "capture", ()))
    names = [v.point for v in session.views if "/" not in v.point]
    session.capture.check([*names, *(e.point for e in session.edits)])
    for group in (v.point.partition("/")[0] for v in session.views if "/" in v.point):
        if group not in row.groups:
            raise UsageError(unknown("group", group, row.groups))
    return session


def _say(text: str, fraction: float | None) -> None:
    share = "" if fraction is None else f" {100 * fraction:.0f} %"
    print(f"\r\x1b[K{text}{share}", end="", file=sys.stderr, flush=True)


def _inputs(args: argparse.Namespace, row: Row) -> dict[str, Any]:
    """Slots from SLOT=PATH or plain PATHs in slot order; the engine's own sample without any."""
    from explorer.core.media import fits, read_input, sample_inputs, sniff

    if not args.inputs:
        return dict(sample_inputs(row))
    given: dict[str, Any] = {}
    for text in args.inputs:
        slot, value = slot_of(text, row.inputs)
        if not slot:
            free = [s for s in row.inputs if s not in given]
            found = sniff(Path(value)) if Path(value).exists() else ""
            slot = next((s for s in free if found and fits(row.inputs[s], found)), "") or next(
                iter(free), ""
            )
        if not slot:
            slots = ", ".join(row.inputs) or "no input"
            raise UsageError(f"{value!r} is one too many: engine {row.name!r} takes {slots}")
        given[slot] = read_input(row.inputs[slot], value)
    missing = [slot for slot in row.inputs if slot not in given]
    if missing:
        given |= {s: v for s, v in sample_inputs(row).items() if s in missing}
    return given


def _run(args: argparse.Namespace) -> int:
    session = _open(args)
    inputs = _inputs(args, session.row)
    from explorer.core.export import write_run
    from explorer.core.streams import clip_of
    from explorer.core.writing.detection_export import Detections, picture_number

    clip = clip_of(inputs)
    first = 0 if clip is not None else picture_number(getattr(inputs.get("image"), "name", ""))
    instruments, _ = inspecting.split(args.inspect, settings(args.set))
    inspecting.lay_on(session, instruments, inputs)
    begun = time.perf_counter()
    if clip is None:
        frames = session.run(inputs, steps=args.steps)
    else:
        frames = session.play(inputs, frames=args.frames, every=max(1, args.every or 1))
    times: list[Mapping[str, float]] = []
    notes = dict.fromkeys(() if sys.stderr.isatty() else session.engine.remarks)
    record = write_run(
        args.out,
        _watched(inspecting.with_studies(session, frames, instruments), times, notes),
        lambda: {
            **_facts(session),
            "notes": list(notes),
            "input_names": {slot: getattr(v, "name", "") for slot, v in inputs.items()},
            "timing": run_report.timing(times, time.perf_counter() - begun),
            "again": proof_commands.again(args, session, inputs),
        },
        every=0 if clip is not None else args.every or 0,
        fps=(clip.fps or 25.0) / max(1, args.every or 1) if clip is not None else 25.0,
        read=session.read,
        detections=Detections(session.engine.categories, first),
    )
    proof_commands.add_proofs(args, record, session, inputs)
    session.close()
    for note in notes:
        print(f"layerscope: {note}", file=sys.stderr)
    print(
        json.dumps(record, indent=2, ensure_ascii=False)
        if args.json
        else run_report.summary(record, args.out)
    )
    return OK


def _facts(session: Session) -> dict[str, Any]:
    record = session.record()
    return {**record, "versions": {"layerscope": __version__, **record["versions"]}}


def _watched(
    frames: Iterator[Frame], times: list[Mapping[str, float]], notes: dict[str, None]
) -> Iterator[Frame]:
    """The frames, with times and notes taken down in passing."""
    for frame in frames:
        times.append(frame.milliseconds)
        notes |= dict.fromkeys(frame.notes)
        yield frame


def _train(args: argparse.Namespace) -> int:
    from explorer.engine import Engine

    session = _open(args)
    if type(session.engine).train is Engine.train:
        raise UsageError(f"engine {session.row.name!r} has no training")
    inputs = _inputs(args, session.row)
    _check_writable(args.out)
    seen = 0.0
    frame = None
    frames = session.train(inputs, out=args.out, resume=args.resume, steps=args.steps)
    for frame in frames:
        if time.monotonic() - seen > 1.0:
            seen = time.monotonic()
            print(_progress(frame), file=sys.stderr)
    if frame is not None:
        print(_progress(frame), file=sys.stderr)
    print(f"wrote {args.out} and {args.out.with_suffix('.checkpoint').name}")
    return OK


def _check_writable(out: Path) -> None:
    """Make the folder of a training's file, before hours are spent on what cannot be kept."""
    if out.is_dir() or out.suffix == ".checkpoint":
        raise UsageError(f"{out}: name the file of the weights, such as {out.stem}.safetensors")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            return
    except OSError as error:
        raise UsageError(
            f"cannot write to {out.parent}: {error.strerror or error}; choose another folder"
        ) from error


def _progress(frame: Frame) -> str:
    """The newest value of every curve of a training frame."""
    from explorer.kinds import Curve

    parts = [f"step {frame.step}"]
    for curve in (a for a in frame.artefacts if isinstance(a, Curve)):
        if curve.y.size:
            values = curve.y[..., -1].reshape(-1).tolist()
            parts.append(f"{curve.item} {', '.join(f'{v:.4g}' for v in values)}")
    return " · ".join(parts)


def _evaluate(args: argparse.Namespace) -> int:
    if not args.folder.is_dir():
        raise UsageError(f"{args.folder}: there is no such folder")
    session = _open(args)
    for path in filter(None, (args.out, args.results)):
        _check_writable(path)
    from explorer.core.stores.atomic import atomic
    from explorer.kinds import Artefact, Text

    records = ""

    def note(artefact: Artefact) -> None:
        nonlocal records
        if artefact.name == "evaluation/results" and isinstance(artefact, Text):
            records = artefact.text

    result = session.evaluate(args.folder, note)
    if args.results and not records:
        raise UsageError(f"engine {session.row.name!r} has no detections to write as results")
    text = json.dumps({"engine": session.row.name, "folder": args.folder.name, **result}, indent=2)
    for out, words in ((args.out, text), (args.results, records)):
        if out:
            with atomic(out) as path:
                path.write_text(words + "\n", encoding="utf-8")
    print(text)
    return OK


# -- shot and weights


def _shot(args: argparse.Namespace) -> int:
    from explorer.app.shot import shot

    width, cross, height = args.size.partition("x")
    if not (cross and width.isdigit() and height.isdigit()):
        raise UsageError(f"--size {args.size!r}: write it as 1440x900")
    if args.out.suffix.lower() != ".png":
        raise UsageError(f"{args.out}: the picture is a PNG; name it OUT.png")
    from explorer.core.own_models.model_row import is_own
    from explorer.core.registry import find, table

    own = args.arch or is_own(args.engine)
    slots = find(args.engine, table()).inputs if args.engine and not own else {"image": "image"}
    paths, given = _dropped(args.inputs, slots)
    instruments, values = inspecting.split(args.inspect, settings(args.set))
    shot(
        args.out, paths, engine=args.engine, size=(int(width), int(height)),
        arch=args.arch, theme=args.theme, layout=args.layout, values=values,
        capture=args.capture, instruments=instruments,
        edits=edits(args), steps=args.steps or 0, frame=args.frame, scrub=args.scrub, slots=given,
        commands=args.do,
        device=args.device, seed=args.seed,
    )  # fmt: skip
    print(args.out)
    return OK


def _dropped(words: Sequence[str], slots: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Paths to drop on the window, and what goes into a named slot; a text into one for texts."""
    paths: list[str] = []
    given: dict[str, str] = {}
    for word in words:
        slot, value = slot_of(word, slots)
        texts = [s for s, kind in slots.items() if kind.startswith("text") and s not in given]
        if slot:
            given[slot] = value
        elif texts and not Path(value).exists():
            given[texts[0]] = value
        else:
            paths.append(value)
    return paths, given


def _weights(args: argparse.Namespace) -> int:
    from explorer.core.registry import table

    rows = [row for row in table().values() if not row.problem]
    store = _store(rows)
    if args.action == "list":
        for name, row in store.rows.items():
            users = ", ".join(r.name for r in rows if name in {w.name for w in r.weights})
            terms = row.licence + (f"; data: {row.data}" if row.data else "")
            print(
                f"{name:22} {store.status(name):9} {row.size / 2**20:8.1f} MiB  {users}  ({terms})"
            )
    elif args.action == "fetch":
        for name in args.names or _fail("weights fetch: which? See layerscope weights list"):
            store.fetch(name, _say if sys.stderr.isatty() else _quiet)
            print(f"{name} is here")
    elif args.action == "import":
        if len(args.names) != 2:
            _fail("weights import takes NAME FILE")
        store.import_file(args.names[0], Path(args.names[1]))
        print(f"{args.names[0]} now comes from {Path(args.names[1]).name}")
    else:
        report = store.verify()
        for name, status, detail in report:
            print(f"{name:22} {status:9} {detail}")
        return BAD_INPUT if any(status == "damaged" for _, status, _ in report) else OK
    return OK


def _quiet(text: str, fraction: float | None) -> None:
    """Where nobody watches, a download says nothing until it is done."""


def _fail(message: str) -> Any:
    raise UsageError(message)


COMMANDS: dict[str, Command] = {
    "list": _list, "layers": _layers, "run": proof_commands.provable(_run), "shot": _shot,
    "compare": compare_command.comparer(_open, _inputs),
    "train": _train, "evaluate": _evaluate, "weights": _weights, **proof_commands.COMMANDS,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
