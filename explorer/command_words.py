"""The words of the command line: verbs, options, and how knobs and edits are written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.editing import Edit, EditError, edit_of
from explorer.params import unknown

Command = Callable[[argparse.Namespace], int]


class UsageError(ValueError):
    """Something on the command line is wrong; one line of cause and remedy."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; ``verbs`` are its commands' own parsers."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.verbs: dict[str, Parser] = {}

    def error(self, message: str) -> Any:
        """Raise instead of printing the usage."""
        raise UsageError(f"{message}; see {self.prog} --help")


def settings(pairs: Sequence[str]) -> dict[str, str]:
    """Knob values from ``knob=value``.

    Raises:
        UsageError: a pair without its equals sign.
    """
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r}: write it as knob=value")
        values[name] = value
    return values


def slot_of(word: str, slots: Mapping[str, str]) -> tuple[str, str]:
    """Slot and value of ``SLOT=VALUE``; a plain path or text has no slot.

    Raises:
        UsageError: it names a slot that the engine does not have.
    """
    slot, equals, value = word.partition("=")
    if equals and slot in slots:
        return slot, value
    if equals and slot.isidentifier() and not Path(word).exists():
        raise UsageError(unknown("input", slot, slots))
    return "", word


def edit(text: str) -> Edit:
    """An edit as `editing.edit_of` reads it.

    Raises:
        UsageError: it is written otherwise.
    """
    try:
        return edit_of(text)
    except EditError as error:
        raise UsageError(f"--edit {text!r}: {error}") from error


def edits(args: argparse.Namespace) -> tuple[Edit, ...]:
    """Those of ``--edits FILE``, then those of each ``--edit``.

    Raises:
        UsageError, EditFileError: one cannot be read.
    """
    from explorer.core.stores.edit_files import load_edits

    path = getattr(args, "edits", None)
    return (*(load_edits(path) if path else ()), *map(edit, getattr(args, "edit", ())))


def command_parser(description: str, commands: Mapping[str, Command]) -> Parser:
    """The parser of every verb; ``commands`` are what the verbs do."""
    parser = Parser("layerscope", description=description)
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=Parser)

    def verb(name: str, text: str) -> Parser:
        sub: Parser = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(command=commands[name])
        parser.verbs[name] = sub
        return sub

    listing = verb("list", "engines, their inputs, and whether their weights are here")
    listing.add_argument("--json", action="store_true")

    layers = verb("layers", "capture points of a model, with shapes")
    _model(layers)
    layers.add_argument("--json", action="store_true")

    run = verb("run", "run a model and write pictures, arrays and run.json")
    _model(run)
    run.add_argument("--out", type=Path, required=True, metavar="DIR")
    run.add_argument("--steps", type=_count, metavar="N", help="stop after N artefact steps")
    run.add_argument("--frames", type=_count, metavar="N", help="stop after N frames of a clip")
    run.add_argument(
        "--every", type=_count, metavar="N", help="every Nth frame, or a PNG every N steps"
    )
    run.add_argument("--json", action="store_true", help="print the record of run.json")
    run.add_argument(
        "--prove", action="store_true", help="a stand-alone program for each captured layer"
    )
    _looking(run)

    _of_compare(verb("compare", "two models in step: how far each layer differs, where they part"))

    verify = verb("verify", "run a folder's run again: is every array equal?")
    verify.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    verify.add_argument("inputs", nargs="*", metavar="SLOT=PATH")
    verify.add_argument("--run-code", action="store_true", help="of a model of your own")
    verify.add_argument("--json", action="store_true")

    opening = verb("open", "the window on a session file")
    opening.add_argument("file", type=Path, metavar="FILE.layerscope")

    _of_shot(verb("shot", "a picture of the real window, without a display"))

    train = verb("train", "train an engine; the file can be resumed")
    _model(train)
    train.add_argument("--out", type=Path, required=True, metavar="FILE")
    train.add_argument("--resume", type=Path, metavar="FILE")
    train.add_argument("--steps", type=_count, metavar="N")

    evaluate = verb("evaluate", "the field's metric over an annotated folder")
    evaluate.add_argument("model", metavar="ENGINE")
    evaluate.add_argument("folder", type=Path, metavar="FOLDER")
    evaluate.add_argument("--out", type=Path, metavar="FILE")
    evaluate.add_argument(
        "--results", type=Path, metavar="FILE", help="detections as results in COCO's format"
    )
    _settings_of(evaluate)

    weights = verb("weights", "list, fetch, import or verify weights")
    weights.add_argument("action", choices=("list", "fetch", "import", "verify"))
    weights.add_argument("names", nargs="*", metavar="NAME")
    return parser


def _of_compare(compare: Parser) -> None:
    compare.add_argument("model", metavar="MODEL_A")
    compare.add_argument("second", metavar="MODEL_B", help="may be the same")
    compare.add_argument("inputs", nargs="*", metavar="[SLOT=]PATH")
    compare.add_argument("--precision", default="", help="of B: bfloat16, float16, int8 dynamic, …")
    compare.add_argument("--weights", default="", metavar="FILE", help="of B")
    compare.add_argument(
        "--other", action="append", default=[], metavar="[SLOT=]PATH", help="an input of B's own"
    )
    compare.add_argument("--threshold", type=float, default=0.01, help="from where they are apart")
    compare.add_argument(
        "--measure", choices=("relative", "largest", "angle"), default="relative",
        help="norm of the difference over the norm of A, largest difference, or 1 - cosine",
    )  # fmt: skip
    compare.add_argument("--json", action="store_true")
    _settings_of(compare)


def _of_shot(shot: Parser) -> None:
    shot.add_argument("out", type=Path, metavar="OUT.png")
    shot.add_argument("inputs", nargs="*", metavar="[SLOT=]PATH")
    shot.add_argument("--engine", default="", help="an engine, or a model of your own")
    _arch(shot)
    shot.add_argument("--size", default="1440x900", metavar="WxH")
    shot.add_argument("--theme", choices=("dark", "light"), default="dark")
    shot.add_argument("--layout", default="", metavar="NAME")
    shot.add_argument("--steps", type=_count, metavar="N")
    shot.add_argument("--frame", type=int, metavar="N")
    shot.add_argument("--scrub", type=_count, metavar="N", help="look back at recorded step N")
    shot.add_argument(
        "--do", action="append", default=[], metavar="COMMAND",
        help="a command of the window, given before the picture: keys, palette, ...",
    )  # fmt: skip
    _settings_of(shot)
    _looking(shot)


def _model(parser: Parser) -> None:
    parser.add_argument(
        "model", metavar="MODEL",
        help="engine, module:factory, file.py:factory, a program (.pt2, TorchScript), or weights",
    )  # fmt: skip
    _arch(parser)
    parser.add_argument("inputs", nargs="*", metavar="[SLOT=]PATH")
    _settings_of(parser)


def _arch(parser: Parser) -> None:
    parser.add_argument(
        "--arch", default="", metavar="MODULE:FACTORY", help="the network that weights belong to"
    )


def _settings_of(parser: Parser) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:n]")
    parser.add_argument("--seed", type=int, default=0, metavar="N")


def _looking(parser: Parser) -> None:
    parser.add_argument("--capture", action="append", default=[], metavar="LAYER")
    parser.add_argument("--edit", action="append", default=[], metavar="LAYER:UNIT[REGION]=OP")
    parser.add_argument(
        "--inspect", action="append", default=[], metavar="INSTRUMENT",
        help="lay an instrument on; its knobs are --set INSTRUMENT.knob=value",
    )  # fmt: skip
    parser.add_argument("--edits", type=Path, metavar="FILE", help="edits saved from the window")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number
