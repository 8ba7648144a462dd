"""Associative retrieval: strings of key-value pairs with a query, ``c9k8j3f1??c`` asks for 9.

Ba et al., "Using Fast Weights to Attend to the Recent Past", 2016, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial

import torch
from torch import Tensor

from explorer.api import EngineError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
SYMBOLS = LETTERS + DIGITS + "?"
FIRST_DIGIT = len(LETTERS)
CODE = {symbol: code for code, symbol in enumerate(SYMBOLS)}
EXAMPLE = "c9k8j3f1??c"
MOST_PAIRS = len(LETTERS)


@dataclass(frozen=True, slots=True)
class Query:
    """One checked string: its ``codes`` (T,), and the ``answers`` that its pairs hold for the key.

    No answer: the key was never stored. Several: the key was stored more than once.
    """

    text: str
    codes: Tensor
    answers: tuple[str, ...]

    @property
    def key(self) -> str:
        """The letter that is asked for."""
        return self.text[-1]


def parse(text: str) -> Query:
    """Check a typed string: pairs of a letter and a digit, then ``??``, then the letter asked for.

    Space around it and capital letters are forgiven.

    Raises:
        EngineError: with the cause and the form that is wanted.
    """
    plain = text.strip().lower()
    form = f"write pairs of a letter and a digit, then '??', then a letter: {EXAMPLE}"
    if not plain:
        raise EngineError(f"the string is empty; {form}")
    foreign = list(dict.fromkeys(c for c in plain if c not in CODE))
    if foreign:
        named = " ".join(repr(c) for c in foreign[:8])
        raise EngineError(f"unknown characters {named}: the alphabet is a-z, 0-9 and '?'; {form}")
    if len(plain) > 2 * MOST_PAIRS + 3:
        limit = f"{2 * MOST_PAIRS + 3} ({MOST_PAIRS} pairs)"
        raise EngineError(
            f"the string has {len(plain)} characters, the most is {limit}; shorten it"
        )
    pairs, marks, key = plain.partition("??")
    if not marks or key == "" or key not in LETTERS or len(key) != 1:
        raise EngineError(f"{plain!r} does not end in '??' and one letter; {form}")
    if not pairs or len(pairs) % 2:
        raise EngineError(
            f"{len(pairs)} characters before '??' are no whole number of pairs; {form}"
        )
    keys, values = pairs[::2], pairs[1::2]
    for at, (k, v) in enumerate(zip(keys, values, strict=True)):
        if k not in LETTERS or v not in DIGITS:
            raise EngineError(f"pair {at + 1} is {k + v!r}, not a letter and a digit; {form}")
    answers = tuple(v for k, v in zip(keys, values, strict=True) if k == key)
    return Query(plain, torch.tensor([CODE[c] for c in plain]), answers)


def draw(batch: int, pairs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Fresh strings as codes (batch, 2 * pairs + 3), and the digit 0 to 9 each asks for (batch,).

    Keys differ within a string; digits are independent and may repeat; each key is asked for alike.
    """
    keys = torch.rand(batch, len(LETTERS), generator=generator).argsort(1)[:, :pairs]
    values = torch.randint(len(DIGITS), (batch, pairs), generator=generator)
    asked = torch.randint(pairs, (batch, 1), generator=generator)
    codes = torch.full((batch, 2 * pairs + 3), CODE["?"])
    codes[:, 0 : 2 * pairs : 2] = keys
    codes[:, 1 : 2 * pairs : 2] = values + FIRST_DIGIT
    codes[:, -1:] = keys.gather(1, asked)
    return codes, values.gather(1, asked).squeeze(1)


def text_of(codes: Tensor) -> str:
    """The characters of codes (T,)."""
    return "".join(SYMBOLS[int(code)] for code in codes)


def bag_ceiling(pairs: int) -> float:
    """Best accuracy of a model that remembers which digits came, but not with which key.

    It names the commonest digit, so the answer is E[largest count] / pairs with ``pairs`` digits
    thrown evenly into ten boxes; 38.35 % for four pairs, whence the plateau at 61.65 % error.
    """
    boxes = len(DIGITS)
    ways_below = Fraction(0)
    expected = Fraction(0)
    for most in range(1, pairs + 1):
        ways = _ways(pairs, boxes, most)
        expected += most * (ways - ways_below)
        ways_below = ways
    return float(expected / Fraction(boxes) ** pairs / pairs)


def _ways(balls: int, boxes: int, most: int) -> Fraction:
    """Throws with at most ``most`` balls a box: balls! [x^balls] (sum x^i / i!)^boxes."""
    series = [Fraction(1)] + [Fraction(0)] * balls
    for _ in range(boxes):
        series = [
            sum((series[n - i] / factorial(i) for i in range(min(most, n) + 1)), Fraction(0))
            for n in range(balls + 1)
        ]
    return series[balls] * factorial(balls)
