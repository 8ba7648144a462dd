"""The verbs that open what was saved and check what was run: ``open`` and ``verify``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from explorer import inspecting
from explorer.command_words import Command, UsageError, settings

EQUAL, NOT_EQUAL = 0, 1


def verify(args: argparse.Namespace) -> int:
    """Run a folder's run again; 0 when every array is equal, 1 when not."""
    from explorer.core.proofs.verify import verify as verdicts

    given = {}
    for text in args.inputs:
        slot, equals, where = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r}: write an input as SLOT=PATH")
        given[slot] = where
    found = list(verdicts(args.folder, given, run_code=args.run_code))
    wrong = [v for v in found if v.state != "equal"]
    if args.json:
        lines: list[dict[str, Any]] = [
            {"name": v.name, "field": v.field, "state": v.state} for v in found
        ]
        print(json.dumps({"equal": not wrong, "arrays": lines}, indent=2, ensure_ascii=False))
    else:
        for v in found:
            print(f"{v.state:8} {v.name}  {v.field}")
        print(f"{len(found) - len(wrong)} of {len(found)} arrays are equal")
    if not found:
        print("layerscope: the run left no arrays to compare", file=sys.stderr)
    return NOT_EQUAL if wrong or not found else EQUAL


def open_session(args: argparse.Namespace) -> int:
    """The window on a session file; a file that is none is refused before it opens."""
    from explorer.core.stores.session_file import read

    read(args.file)
    from explorer.app.start import start

    return start([str(args.file)])


def provable(run: Command) -> Command:
    """The verb ``run``, refused before it begins when nothing could be proved."""

    def checked(args: argparse.Namespace) -> int:
        if args.prove and not args.capture:
            raise UsageError("--prove writes a program for each --capture LAYER; name one")
        return run(args)

    return checked


def again(args: argparse.Namespace, session: Any, inputs: Any) -> dict[str, Any]:
    """What run.json holds for ``verify``."""
    from explorer.core.proofs.verify import again as record

    instruments, _ = inspecting.split(args.inspect, settings(args.set))
    return record(
        session, inputs, steps=args.steps, frames=args.frames, every=args.every,
        instruments=instruments or None,
    )  # fmt: skip


def add_proofs(args: argparse.Namespace, record: dict[str, Any], session: Any, inputs: Any) -> None:
    """For ``run --prove``: a program a captured layer."""
    if not args.prove:
        return
    from explorer.core.proofs.verify import add_proofs as write

    for problem in write(Path(args.out), record, session, inputs):
        print(f"layerscope: {problem}", file=sys.stderr)


COMMANDS: dict[str, Command] = {"verify": verify, "open": open_session}
