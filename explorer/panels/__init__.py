"""Panels: how each kind of artefact is drawn. They know kinds and views only."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.panels.panel import Panel

#: Name of the kind to "module:Class"; imported when first shown.
PANEL_FOR: Mapping[str, str] = MappingProxyType(
    {
        "Image": "explorer.panels.picture:ImagePanel",
        "Boxes": "explorer.panels.marks:BoxesPanel",
        "Masks": "explorer.panels.marks:MasksPanel",
        "Keypoints": "explorer.panels.marks:KeypointsPanel",
        "Field": "explorer.panels.fields:FieldPanel",
        "FeatureMaps": "explorer.panels.feature_maps:FeatureMapsPanel",
        "Hypercolumn": "explorer.panels.hypercolumn:HypercolumnPanel",
        "Matrix": "explorer.panels.matrix:MatrixPanel",
        "Scores": "explorer.panels.scores:ScoresPanel",
        "Histogram": "explorer.panels.histogram:HistogramPanel",
        "Scatter": "explorer.panels.scatter:ScatterPanel",
        "Curve": "explorer.panels.curve:CurvePanel",
        "Graph": "explorer.panels.graph:GraphPanel",
        "Text": "explorer.panels.text:TextPanel",
    }
)


def panel_class(kind: str) -> type[Panel]:
    """The panel that draws a kind, imported now.

    Raises:
        KeyError: ``kind`` is not one of the closed set.
    """
    if kind not in PANEL_FOR:
        raise KeyError(f"no panel for kind {kind!r}; there are {', '.join(PANEL_FOR)}")
    module, _, name = PANEL_FOR[kind].partition(":")
    found: type[Panel] = getattr(import_module(module), name)
    return found
