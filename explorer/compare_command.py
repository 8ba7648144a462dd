"""The verb ``compare``: two models in step, and the first layer at which they part."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from explorer.command_words import UsageError

if TYPE_CHECKING:
    from explorer.core.session import Session

Opener = Callable[[argparse.Namespace], "Session"]
Inputs = Callable[[argparse.Namespace, Any], Mapping[str, Any]]


def comparer(opener: Opener, inputs: Inputs) -> Callable[[argparse.Namespace], int]:
    """The verb, with the ways in which every verb opens a model and reads its inputs."""

    def run(args: argparse.Namespace) -> int:
        if not args.threshold >= 0:
            raise UsageError(f"--threshold {args.threshold}: 0 or more")
        first = opener(args)
        given = dict(inputs(args, first.row))
        from explorer.core.studies.differences import first_parting
        from explorer.core.studies.worlds import World, compare, table_of

        others = tuple(_pair(text) for text in args.other)
        world = World(args.second, args.weights, args.precision, others)
        pair = compare(first, given, world)
        rows = pair.comparison.rows(args.threshold, args.measure)
        parting = first_parting(rows)
        if args.json:
            layers = [{name: _number(getattr(row, name)) for name in row.__slots__} for row in rows]
            record = {
                "first": args.model, "second": args.second, "differs": world.title,
                "measure": args.measure, "threshold": args.threshold,
                "parts_at": parting.name if parting else None, "layers": layers,
            }  # fmt: skip
            print(json.dumps(record, indent=2, ensure_ascii=False))
        else:
            print(table_of(rows, args.threshold, args.measure))
        pair.close()
        first.close()
        return 0

    return run


def _pair(text: str) -> tuple[str, str]:
    slot, equals, path = text.partition("=")
    return (slot, path) if equals else ("", text)


def _number(value: Any) -> Any:
    """JSON knows neither infinity nor not-a-number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
