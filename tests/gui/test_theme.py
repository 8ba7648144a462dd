"""Colours, glyphs and icons against the rules of the visual language."""

from __future__ import annotations

import re

import pytest
from PySide6.QtGui import QColor, QFontMetrics, QRawFont
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from explorer.panels.icons import icon, icon_names, pixmap
from explorer.panels.theme import (
    PLANES,
    THEMES,
    TYPE_SCALE,
    Theme,
    font,
    kind_token,
    style_sheet,
)

pytestmark = pytest.mark.gui
TEXT = ("text", "muted", "accent", "ok", "warn", "error")
GRAPHIC = ("outline", "disabled", "selected", "edited")
KINDS = ("conv", "norm", "activation", "pool", "attention", "linear")


def luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance of #RRGGBB."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """WCAG 2.2 contrast ratio, 1 to 21."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula_gives_the_published_extremes() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)  # WCAG's own example


@pytest.fixture(params=sorted(THEMES))
def theme(request: pytest.FixtureRequest) -> Theme:
    return THEMES[request.param]


def test_text_is_readable_on_every_plane(theme: Theme) -> None:
    for token in TEXT:
        worst = min(contrast(theme[token], theme[plane]) for plane in PLANES)
        assert worst >= 4.5, (token, worst)


def test_outlines_focus_and_selection_are_seen_on_every_plane(theme: Theme) -> None:
    for token in (*GRAPHIC, "accent", *(f"kind_{k}" for k in KINDS)):
        worst = min(contrast(theme[token], theme[plane]) for plane in PLANES)
        assert worst >= 3.0, (token, worst)


def test_the_accent_fill_carries_its_text_and_stands_out(theme: Theme) -> None:
    assert contrast(theme["accent_fill"], theme["on_accent"]) >= 4.5
    for plane in ("window", "panel", "canvas"):
        assert contrast(theme["accent_fill"], theme[plane]) >= 3.0


def test_every_name_in_the_style_sheet_is_a_token(theme: Theme) -> None:
    assert not re.findall(r"@\w+@", style_sheet(theme))


def test_nothing_is_written_smaller_than_a_caption() -> None:
    assert min(size for size, _, _ in TYPE_SCALE.values()) == TYPE_SCALE["caption"][0] == 11


def test_the_fonts_have_a_glyph_for_all_that_is_written(qapp: object) -> None:
    for role in TYPE_SCALE:
        face = QRawFont.fromFont(font(role))
        missing = [c for c in "×·…−≈≥≤∞←→½0123456789%" if not face.supportsCharacter(ord(c))]
        assert not missing, (role, missing)


def test_digits_keep_their_columns(qapp: object) -> None:
    metrics = QFontMetrics(font("number"))
    assert len({metrics.horizontalAdvance(digit) for digit in "0123456789"}) == 1


def test_buttons_are_as_high_as_the_rule_says(qtbot: object, qapp: object, theme: Theme) -> None:
    window = QWidget()
    qtbot.addWidget(window)  # type: ignore[attr-defined]
    window.setStyleSheet(style_sheet(theme))
    rows = QVBoxLayout(window)
    button = QPushButton("Run")
    rows.addWidget(button)
    window.show()
    assert button.height() == 28
    button.setFocus()
    assert button.sizeHint().height() == 28  # the ring does not make it jump


def test_each_icon_is_drawn_in_the_colour_of_its_token(qapp: object, theme: Theme) -> None:
    wanted = QColor(theme["accent"]).rgb()
    for name in icon_names():
        picture = pixmap(name, theme, 24, "accent").toImage()
        solid = {
            picture.pixelColor(x, y).rgb()
            for x in range(24)
            for y in range(24)
            if picture.pixelColor(x, y).alpha() == 255
        }
        assert solid == {wanted}, name


def test_icons_are_sharp_on_a_dense_screen(qapp: object, theme: Theme) -> None:
    made = pixmap("scissors", theme, 16, "text", 2.0)
    assert (made.width(), made.deviceIndependentSize().width()) == (32, 16)
    assert not icon("scissors", theme).isNull()


def test_an_unknown_icon_names_the_known(qapp: object, theme: Theme) -> None:
    with pytest.raises(KeyError, match="scissors"):
        pixmap("no-such-icon", theme)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("Conv2d", "conv"), ("BatchNorm2d", "norm"), ("ReLU6", "activation"),
        ("SiLU", "activation"), ("MaxPool2d", "pool"),
        ("MultiheadAttention", "attention"), ("Linear", "linear"),
    ],
)  # fmt: skip
def test_layer_kinds_have_their_colours(kind: str, family: str) -> None:
    assert kind_token(kind) == f"kind_{family}"
