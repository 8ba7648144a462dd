"""Everybody Dance Now on a real clip that comes with the program: a man doing jumping jacks.

The same engine as `dance`, with the weights that were learnt from that clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from engines.motion.dance import OWN, Dance, DanceParams
from engines.motion.dance_own import FINDERS, FINDERS_HELP
from engines.nn.motion.dance_clips import DRIVES
from explorer.api import EngineError, Inputs, Run, knob

JUMPER = "jumper"
# sha256 of assets/jumper.mp4, whose man the weights have learnt.
CLIP = "43cc8a120301c69f0f4b3578aa76c99231c85eda0f296c327fe56fd2a190c314"


@dataclass(frozen=True, slots=True)
class JumperParams(DanceParams):
    """Knobs of `dance`, at the values with which the clip was learnt."""

    motion: str = knob(
        DRIVES[0], choices=DRIVES, when="weights=trained here",
        help="not of use here: the source drives, or the target's frames that were kept from the "
        "training",
    )  # fmt: skip
    normalise: bool = knob(
        True, when="inputs", help="bring a source's poses to the target's size and floor"
    )
    limbs: bool = knob(
        False, when="inputs",
        help="normalise further than the paper: give the limbs the target's proportions too",
    )  # fmt: skip
    weights: str = knob(
        JUMPER, choices=(JUMPER, "random", OWN), effect="build",
        help=f"{JUMPER}: the man of the sample; random: nothing learnt yet; {OWN}: a file that was "
        "trained on a clip of yours",
    )  # fmt: skip
    side: int = knob(
        128, low=64, high=256, step=8, unit="px", when="inputs",
        help="longer side at which your clips are learnt and shown",
    )  # fmt: skip
    poses: str = knob(
        FINDERS[1], choices=FINDERS, when="inputs", help=FINDERS_HELP
    )  # fmt: skip


class DanceJumper(Dance):
    """The target is the sample, its last fifth drives: frames that were not learnt from."""

    Params: ClassVar[type[Any]] = JumperParams
    ready: ClassVar[str] = JUMPER

    def run(self, inputs: Inputs, params: DanceParams, memory: Any = None) -> Run:
        """As with clips of one's own; a target there has to be."""
        if "target" not in inputs:
            raise EngineError(
                "target: nobody to show: drop a clip of the person who was learnt; the engine "
                "'dance' has rendered dancers that need no clip"
            )
        return (yield from super().run(inputs, params, memory))

    def knows(self, params: DanceParams, clip: str) -> bool:
        """Whether the network has learnt this target, named by the sha256 of its clip."""
        return super().knows(params, clip) or (params.weights == JUMPER and clip == CLIP)
