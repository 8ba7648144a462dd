"""Numbers, shapes and sizes as the window writes them, one way everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "−"


def number_text(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits, with a true minus: ``−0.0123``, ``1.2e6``."""
    value = float(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else MINUS + "∞")
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 10**5:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:.{places}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", MINUS)


def range_text(low: float, high: float) -> str:
    """``0 … 0.95``."""
    return f"{number_text(low)} … {number_text(high)}"


def shape_text(shape: Sequence[int], *, batch: bool = False) -> str:
    """``512 × 28 × 28``; with ``batch`` the first axis is named, and only when it is above 1."""
    sizes = [int(n) for n in shape]
    if batch and sizes:
        rest = " × ".join(map(str, sizes[1:])) or "1"
        return rest if sizes[0] == 1 else f"N={sizes[0]} · {rest}"
    return " × ".join(map(str, sizes)) or "scalar"


def bytes_text(count: int) -> str:
    """Bytes with three digits: ``784 KiB``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1000 or unit == "GiB":
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError("the last unit returns")


def percent_text(share: float) -> str:
    """A share as percent without needless digits: ``7 %``, ``0.4 %``."""
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"
