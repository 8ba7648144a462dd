"""Before and after: what a step shows, beside the same step without the edits in force."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

import numpy as np

from explorer.kinds import Artefact, Scores

Key = tuple[str, int]


class Baseline:
    """The artefacts of a run without the edits, by name and step; empty where there was none."""

    def __init__(self, artefacts: Iterable[Artefact] = ()) -> None:
        self._before: Mapping[Key, Artefact] = {(a.name, a.step): a for a in artefacts}

    def __bool__(self) -> bool:
        return bool(self._before)

    def scores(self) -> Baseline:
        """Of the scores alone, which count for other choices of what is shown, too."""
        return Baseline(a for a in self._before.values() if isinstance(a, Scores))

    def beside(
        self, artefacts: Sequence[Artefact]
    ) -> tuple[tuple[Artefact, ...], tuple[Artefact, ...]]:
        """The artefacts, scores with their ``before``, and those that the edits have changed as
        they were."""
        if not self:
            return tuple(artefacts), ()
        shown: list[Artefact] = []
        before: list[Artefact] = []
        for after in artefacts:
            was = self._before.get((after.name, after.step))
            if was is not None and differ(was, after):
                before.append(was)
            if isinstance(was, Scores) and isinstance(after, Scores):
                after = with_before(after, was)
            shown.append(after)
        return tuple(shown), tuple(before)


def with_before(after: Scores, was: Scores) -> Scores:
    """Scores with the values that their labels had; of a list of the best, also of those that
    were not in it."""
    known = scores_by_label(was)
    names = after.labels or tuple(map(str, range(len(after.scores))))
    before = np.array([known.get(name, np.nan) for name in names], np.float32)
    before.flags.writeable = False
    made = copy.copy(after)
    object.__setattr__(made, "before", before)
    return made


def scores_by_label(scores: Scores) -> dict[str, float]:
    """Label to score, of all classes where they are known."""
    values = scores.scores if scores.full is None else scores.full
    labels = scores.labels if scores.full is None else scores.classes
    names = labels or tuple(map(str, range(len(values))))
    return dict(zip(names, values.tolist(), strict=True))


def differ(a: Artefact, b: Artefact) -> bool:
    """Whether two artefacts of one name show something else."""
    for field in fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name, None)
        if field.name in ("run", "before") or one is other:
            continue
        if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
            if one is None or other is None or not np.array_equal(one, other):
                return True
        elif one != other:
            return True
    return False


def not_finite(artefacts: Iterable[Artefact]) -> tuple[str, ...]:
    """Names of artefacts that hold a value that is not a number or not finite."""
    return tuple(
        a.name
        for a in artefacts
        if any(v.dtype.kind == "f" and not np.isfinite(v).all() for v in a.arrays().values())
    )
