"""The closed set of kinds: right shapes pass, wrong ones are refused by name, arrays are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explorer.kinds import (
    KIND,
    KINDS,
    Affine,
    Artefact,
    Boxes,
    Curve,
    FeatureMaps,
    Field,
    Graph,
    Histogram,
    Hypercolumn,
    Image,
    Keypoints,
    KindError,
    Masks,
    Matrix,
    Scatter,
    Scores,
    Text,
)

ZERO = np.zeros
GOOD: dict[str, Callable[[], Artefact]] = {
    "Image": lambda: Image("g/i", ZERO((4, 5, 3), np.uint8)),
    "Boxes": lambda: Boxes("g/i", ZERO((2, 4)), ZERO(2), ("a", "b")),
    "Masks": lambda: Masks("g/i", ZERO((2, 4, 5), bool), ("a", "b")),
    "Keypoints": lambda: Keypoints("g/i", ZERO((1, 17, 3))),
    "Field": lambda: Field("g/i", ZERO((4, 5, 2))),
    "FeatureMaps": lambda: FeatureMaps("g/i", ZERO((8, 4, 5))),
    "Hypercolumn": lambda: Hypercolumn("g/i", ZERO(5), (("a", 2), ("b", 3))),
    "Matrix": lambda: Matrix("g/i", ZERO((2, 3, 4, 5)), ("layer", "head"), ("r",) * 4, ("c",) * 5),
    "Scores": lambda: Scores("g/i", ZERO(3), ("a", "b", "c")),
    "Histogram": lambda: Histogram("g/i", np.arange(5.0), ZERO(4)),
    "Scatter": lambda: Scatter("g/i", ZERO((6, 2)), ("a",) * 6),
    "Curve": lambda: Curve("g/i", np.arange(4.0), ZERO((2, 4)), ("a", "b")),
    "Graph": lambda: Graph("g/i", ("a", "b"), np.array([[0, 1]])),
    "Text": lambda: Text("g/i", "a b", ("a", "b"), ZERO(2)),
}
WRONG: list[tuple[str, Callable[[], Artefact]]] = [
    ("Image", lambda: Image("g/i", ZERO((4, 5), np.uint8))),
    ("Image", lambda: Image("g/i", ZERO((4, 5, 4), np.uint8))),
    ("Image", lambda: Image("g/i", ZERO((4, 5, 3)))),
    ("Image", lambda: Image("g/i", ZERO((0, 5, 3), np.uint8))),
    ("Image", lambda: Image("g/i", ZERO((2, 4, 5, 3), np.uint8), ("one",))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 5)))),
    ("Boxes", lambda: Boxes("g/i", ZERO(4))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 4)), widths=ZERO(3))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 4)), widths=np.array([0.5, 1.5]))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 4)), widths=np.array([0.5, np.nan]))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 4)), ZERO(3))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 4)), labels=("a",))),
    ("Boxes", lambda: Boxes("g/i", ZERO((2, 4)), state=("kept",))),
    ("Masks", lambda: Masks("g/i", ZERO((4, 5)))),
    ("Masks", lambda: Masks("g/i", ZERO((2, 4, 5)), ("a",))),
    ("Keypoints", lambda: Keypoints("g/i", ZERO((1, 17, 2)))),
    ("Keypoints", lambda: Keypoints("g/i", ZERO((17, 3)))),
    ("Field", lambda: Field("g/i", ZERO((4, 5, 3)))),
    ("Field", lambda: Field("g/i", ZERO(4))),
    ("FeatureMaps", lambda: FeatureMaps("g/i", ZERO((4, 5)))),
    ("FeatureMaps", lambda: FeatureMaps("g/i", ZERO((2, 4, 5)), ("a", "b", "c"))),
    ("Hypercolumn", lambda: Hypercolumn("g/i", ZERO((5, 1)))),
    ("Hypercolumn", lambda: Hypercolumn("g/i", ZERO(5), (("a", 2), ("b", 2)))),
    ("Matrix", lambda: Matrix("g/i", ZERO(5))),
    ("Matrix", lambda: Matrix("g/i", ZERO((2, 4, 5)), ("layer", "head"))),
    ("Matrix", lambda: Matrix("g/i", ZERO((4, 5)), rows=("a",))),
    ("Matrix", lambda: Matrix("g/i", ZERO((4, 5)), columns=("a",))),
    ("Matrix", lambda: Matrix("g/i", np.array([["a", "b"]]))),
    ("Scores", lambda: Scores("g/i", ZERO((3, 1)))),
    ("Scores", lambda: Scores("g/i", ZERO(3), ("a",))),
    ("Histogram", lambda: Histogram("g/i", ZERO(4), ZERO(4))),
    ("Histogram", lambda: Histogram("g/i", ZERO(5), ZERO((2, 4)), ("one",))),
    ("Scatter", lambda: Scatter("g/i", ZERO((6, 3)))),
    ("Scatter", lambda: Scatter("g/i", ZERO((6, 2)), ("a",))),
    ("Curve", lambda: Curve("g/i", ZERO(4), ZERO(5))),
    ("Curve", lambda: Curve("g/i", ZERO(4), ZERO((2, 4)), ("one",))),
    ("Graph", lambda: Graph("g/i", ("a", "b"), np.array([[0, 2]]))),
    ("Graph", lambda: Graph("g/i", ("a", "b"), np.array([[-1, 0]]))),
    ("Graph", lambda: Graph("g/i", ("a", "b", "c"), np.array([0, 1, 2]))),
    ("Graph", lambda: Graph("g/i", ("a", "b"), np.array([[0, 1]]), ZERO(2))),
    ("Graph", lambda: Graph("g/i", ("a", "b"), np.array([[0, 1]]), values=ZERO(3))),
    ("Text", lambda: Text("g/i", "a b", ("a", "b"), ZERO(3))),
]


def test_the_set_is_closed_and_every_kind_is_tried_here() -> None:
    assert set(GOOD) == set(KIND) == {k.__name__ for k in KINDS} == {name for name, _ in WRONG}


@pytest.mark.parametrize("name", GOOD)
def test_right_shapes_pass_and_count_their_bytes(name: str) -> None:
    made = GOOD[name]()
    assert type(made) is KIND[name]
    assert (made.group, made.item) == ("g", "i")
    arrays = made.arrays()
    assert all(isinstance(a, np.ndarray) for a in arrays.values())
    assert made.nbytes() == sum(a.nbytes for a in arrays.values()) > 0


@pytest.mark.parametrize(("name", "make"), WRONG)
def test_wrong_shapes_are_refused_by_kind_and_name(name: str, make: Callable[[], Artefact]) -> None:
    with pytest.raises(KindError, match=rf"{name} 'g/i'") as caught:
        make()
    assert "\n" not in str(caught.value)


def _with_main(kind: str, array: Any) -> Artefact:
    """The kind with ``array`` as its main field."""
    if kind == "Histogram":
        return Histogram("g/i", np.arange(5.0), array)
    if kind == "Curve":
        return Curve("g/i", np.arange(4.0), array)
    return KIND[kind]("g/i", array)  # type: ignore[call-arg]


ACCEPTS: dict[str, Callable[[tuple[int, ...]], bool]] = {
    "Boxes": lambda s: len(s) == 2 and s[1] == 4,
    "Masks": lambda s: len(s) == 3,
    "Keypoints": lambda s: len(s) == 3 and s[2] == 3,
    "Field": lambda s: len(s) == 2 or (len(s) == 3 and s[2] == 2),
    "FeatureMaps": lambda s: len(s) == 3,
    "Hypercolumn": lambda s: len(s) == 1,
    "Matrix": lambda s: 2 <= len(s) <= 5,
    "Scores": lambda s: len(s) == 1,
    "Histogram": lambda s: len(s) in (1, 2) and s[-1] == 4,
    "Scatter": lambda s: len(s) == 2 and s[1] == 2,
    "Curve": lambda s: len(s) in (1, 2) and s[-1] == 4,
}


@pytest.mark.parametrize("kind", ACCEPTS)
@given(
    array=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64]),
        hnp.array_shapes(min_dims=0, max_dims=6, max_side=5),
        elements=st.integers(0, 3),
    )
)
def test_a_kind_takes_exactly_the_shapes_it_names(kind: str, array: Any) -> None:
    if ACCEPTS[kind](array.shape):
        _with_main(kind, array)
    else:
        with pytest.raises(KindError, match=kind):
            _with_main(kind, array)


def test_a_graph_may_have_no_edges() -> None:
    assert Graph("g/i", ("a",), []).edges.shape == (0, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "group", "/item", "group/"])
def test_a_name_is_group_and_item(name: str) -> None:
    with pytest.raises(KindError, match="group/item"):
        Scores(name, np.zeros(3))


def test_an_item_may_hold_slashes_of_its_own() -> None:
    made = Scores("group/a/b", np.zeros(3))
    assert (made.group, made.item) == ("group", "a/b")


numbers = st.floats(-100, 100)
affines = st.builds(Affine, st.floats(0.1, 50), st.floats(0.1, 50), numbers, numbers, st.booleans())


@given(affines, numbers, numbers)
def test_to_the_input_and_back_is_the_same_place(a: Affine, x: float, y: float) -> None:
    assert a.to_grid(*a.to_input(x, y)) == pytest.approx((x, y), abs=1e-6)


@given(affines, affines, numbers, numbers)
def test_after_is_one_map_behind_the_other(a: Affine, b: Affine, x: float, y: float) -> None:
    both = a.after(b)
    assert both.to_input(x, y) == pytest.approx(a.to_input(*b.to_input(x, y)), rel=1e-9, abs=1e-6)
    assert both.approximate == (a.approximate or b.approximate)
