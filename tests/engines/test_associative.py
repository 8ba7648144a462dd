"""Associative strings: what is drawn, what is accepted, and how far a bag of digits gets."""

from __future__ import annotations

import collections
import itertools

import pytest
import torch
import torch.nn.functional as F

from engines.memory.associative import FIRST_DIGIT, SYMBOLS, bag_ceiling, draw, parse, text_of
from explorer.api import EngineError


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_bag_ceiling_equals_the_count_over_all_throws() -> None:
    for pairs in (1, 2, 3, 4):
        throws = itertools.product(range(10), repeat=pairs)
        best = sum(max(collections.Counter(throw).values()) for throw in throws)
        assert bag_ceiling(pairs) == pytest.approx(best / 10**pairs / pairs, abs=1e-15)
    assert 100 * (1 - bag_ceiling(4)) == pytest.approx(61.65, abs=1e-9)


def test_a_bag_of_digits_reaches_the_ceiling_and_no_more() -> None:
    codes, digits = draw(40_000, 4, seeded(11))
    values = F.one_hot(codes[:, 1:8:2] - FIRST_DIGIT, 10).sum(1)
    accuracy = float((values.argmax(1) == digits).double().mean())
    assert accuracy == pytest.approx(bag_ceiling(4), abs=4 * (0.25 / 40_000) ** 0.5)


def test_drawn_strings_hold_their_answer() -> None:
    codes, digits = draw(300, 5, seeded(0))
    for row, digit in zip(codes, digits.tolist(), strict=True):
        query = parse(text_of(row))
        assert query.answers == (str(digit),)
        assert len(set(query.text[0:10:2])) == 5
    again, _ = draw(300, 5, seeded(0))
    assert torch.equal(codes, again)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("c9k8ö3f1??c", "unknown characters 'ö'"),
        ("c9 k8!??c", "unknown characters ' ' '!'"),
        ("c9k8j3f1", "does not end in '??'"),
        ("c9k8j3f1??", "does not end in '??'"),
        ("c9k8j3f1??ck", "does not end in '??'"),
        ("c9k8j3f1??9", "does not end in '??'"),
        ("c9k8j??c", "5 characters before"),
        ("??c", "0 characters before"),
        ("9ck8??c", "pair 1 is '9c'"),
        ("c9kk??c", "pair 2 is 'kk'"),
        ("c9" * 27 + "??c", "the string has 57 characters, the most is"),
    ],
)
def test_a_wrong_string_is_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(EngineError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_capitals_and_space_around_are_forgiven() -> None:
    query = parse("  C9K8??K\n")
    assert query.text == "c9k8??k"
    assert query.answers == ("8",)
    assert "".join(SYMBOLS[c] for c in query.codes.tolist()) == query.text
