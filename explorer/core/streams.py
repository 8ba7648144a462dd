"""The clip among an engine's inputs, and its frames one by one."""

from __future__ import annotations

from typing import Any

from explorer.inputs import ClipInput, ImageInput, Inputs


def clip_of(inputs: Inputs) -> ClipInput | None:
    """The clip that streams through an image slot, if any; a clip slot takes its clip whole."""
    for value in inputs.values():
        if _streams(value):
            clip: ClipInput = value
            return clip
    return None


def with_frame(inputs: Inputs, pixels: Any, index: int) -> dict[str, Any]:
    """The inputs with the clip replaced by one of its frames."""
    return {
        slot: ImageInput(pixels, value.name, value.path, "", index) if _streams(value) else value
        for slot, value in inputs.items()
    }


def _streams(value: Any) -> bool:
    return hasattr(value, "fps") and hasattr(value, "live") and not getattr(value, "whole", False)
