"""The categories of COCO 2017 by their published ids 1 to 90, of which 80 are in use."""

from __future__ import annotations

# Ten ids without a category were meant for things that COCO never released.
_BY_ID = """
person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant||stop sign
|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe||backpack|umbrella|||
handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard
|surfboard|tennis racket|bottle||wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange
|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|potted plant|bed||dining table|||toilet||tv
|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|refrigerator||book|clock|vase
|scissors|teddy bear|hair drier|toothbrush
"""

# By class index as the networks with 91 outputs have it: 0 is the background.
COCO_91: tuple[str, ...] = (
    "background",
    *(name or "N/A" for name in _BY_ID.replace("\n", "").split("|")),
)
COCO_80: tuple[str, ...] = tuple(name for name in COCO_91[1:] if name != "N/A")

# Numbers of classes in files of annotations and results, by name: COCO's, and those of the other
# sets that detectors here know, which begin anew at 1.
CATEGORY_IDS: dict[str, int] = {
    **{name: number for number, name in enumerate(COCO_91) if number and name != "N/A"},
    "face": 1,
    "disc": 1,
    "square": 2,
    "triangle": 3,
}
