"""Colours, type and spacing of the whole application, and the style sheet made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from PySide6.QtGui import QColor, QFont, QFontDatabase

Role = Literal["empty", "title", "body", "caption", "number"]

TYPE_SCALE: Mapping[Role, tuple[int, int, int]] = MappingProxyType(
    {  # size, line height (px at 100 %), weight
        "empty": (20, 28, 600),
        "title": (14, 20, 600),
        "body": (13, 20, 400),
        "caption": (11, 16, 400),
        "number": (12, 16, 400),
    }
)
SPACE_XS, SPACE_S, SPACE_M, SPACE_L, SPACE_XL = 2, 4, 8, 16, 24
TREE_ROW, BUTTON_HEIGHT, HIT_AREA = 24, 28, 24
CONTROL_RADIUS, CARD_RADIUS = 4, 6

#: Planes that text and outlines may stand on.
PLANES = ("window", "panel", "raised", "canvas")


@dataclass(frozen=True, slots=True, eq=False)
class Theme:
    """A named set of colour tokens, ``#RRGGBB`` each; ``theme["accent"]`` is one of them."""

    name: Literal["dark", "light"]
    tokens: Mapping[str, str]

    def __getitem__(self, token: str) -> str:
        return self.tokens[token]

    def colour(self, token: str, alpha: int = 255) -> QColor:
        """The token as a colour with ``alpha`` 0 to 255."""
        colour = QColor(self.tokens[token])
        colour.setAlpha(alpha)
        return colour


DARK = Theme(
    "dark",
    MappingProxyType(
        {
            "window": "#16181D", "panel": "#1E2128", "raised": "#282C35", "canvas": "#0E0F12",
            "text": "#E6E9EF", "muted": "#A8B0BF", "disabled": "#7C8595", "outline": "#7C8595",
            "hairline": "#3A404C", "accent": "#4CB8FF", "accent_fill": "#2777BF",
            "on_accent": "#FFFFFF", "selected": "#FFD23F", "edited": "#E58BFF",
            "ok": "#4FD18B", "warn": "#F5A524", "error": "#FF7A7A",
            "kind_conv": "#5B9BE8", "kind_norm": "#4FB888", "kind_activation": "#E8706B",
            "kind_pool": "#A8A245", "kind_attention": "#A88BEB", "kind_linear": "#8E97A6",
        }
    ),
)  # fmt: skip
LIGHT = Theme(
    "light",
    MappingProxyType(
        {
            "window": "#F4F5F7", "panel": "#FFFFFF", "raised": "#E9ECF1", "canvas": "#DDE1E7",
            "text": "#15181E", "muted": "#525B6B", "disabled": "#6B7280", "outline": "#6B7280",
            "hairline": "#C9CED8", "accent": "#0A5FA5", "accent_fill": "#0A5FA5",
            "on_accent": "#FFFFFF", "selected": "#B3006B", "edited": "#8A2BC2",
            "ok": "#0A6B40", "warn": "#8A5200", "error": "#B3261E",
            "kind_conv": "#1F64B4", "kind_norm": "#13714A", "kind_activation": "#B23A36",
            "kind_pool": "#6B6612", "kind_attention": "#6B46C1", "kind_linear": "#5B6472",
        }
    ),
)  # fmt: skip
THEMES: Mapping[str, Theme] = MappingProxyType({"dark": DARK, "light": LIGHT})

#: Between the tiles of a mosaic: the canvas, except with a map that comes near to it.
_GAPS = {
    ("dark", "magma"): "#7C8595", ("dark", "grey"): "#2777BF",
    ("light", "diverging"): "#707070", ("light", "grey"): "#0A5FA5",
}  # fmt: skip

_KIND_WORDS = (
    ("attention", "kind_attention"), ("attn", "kind_attention"), ("softmax", "kind_attention"),
    ("norm", "kind_norm"), ("pool", "kind_pool"), ("conv", "kind_conv"),
    ("relu", "kind_activation"), ("elu", "kind_activation"), ("silu", "kind_activation"),
    ("swish", "kind_activation"), ("sigmoid", "kind_activation"), ("tanh", "kind_activation"),
    ("act", "kind_activation"),
)  # fmt: skip


def kind_token(kind: str) -> str:
    """The token that colours a module class: ``kind_conv`` for "Conv2d", grey for the unknown."""
    lower = kind.lower()
    return next((token for word, token in _KIND_WORDS if word in lower), "kind_linear")


def gap_colour(theme: Theme, map_name: str) -> QColor:
    """The colour between tiles, which can be told from every colour of the map."""
    return QColor(_GAPS.get((theme.name, map_name), theme["canvas"]))


def font(role: Role) -> QFont:
    """The font of a role; ``number`` is the fixed font, for digits that keep their columns."""
    return QFont(_made(role))  # a copy: fonts can be changed


@lru_cache(maxsize=16)
def _made(role: Role) -> QFont:
    which = (
        QFontDatabase.SystemFont.FixedFont
        if role == "number"
        else QFontDatabase.SystemFont.GeneralFont
    )
    made = QFontDatabase.systemFont(which)
    families = made.families() or [made.family()]
    # An alias such as "monospace" is unknown to some platforms, which then take the next in line.
    fixed = ("Noto Sans Mono", "DejaVu Sans Mono") if role == "number" else ()
    made.setFamilies([*families, *fixed, "Noto Sans", "DejaVu Sans"])
    size, _, weight = TYPE_SCALE[role]
    made.setPixelSize(size)
    made.setWeight(QFont.Weight(weight))
    return made


def style_sheet(theme: Theme) -> str:
    """The style sheet of the whole application in one theme."""
    sizes = {f"{role}_px": str(TYPE_SCALE[role][0]) for role in TYPE_SCALE}
    metrics = {
        "row": str(TREE_ROW),
        "button": str(BUTTON_HEIGHT - 2),
        "radius": str(CONTROL_RADIUS),
    }
    sheet = Path(__file__).with_name("style.qss").read_text(encoding="utf-8")
    for name, value in {**theme.tokens, **sizes, **metrics}.items():
        sheet = sheet.replace(f"@{name}@", value)
    return sheet
