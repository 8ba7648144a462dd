"""The one import for engine authors."""

from explorer.analysis import gram, unit_order
from explorer.coco_results import encoded_mask, result_records
from explorer.engine import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Cancelled,
    Checkpoint,
    ClipInput,
    EndOfStep,
    Engine,
    EngineError,
    FileInput,
    FolderInput,
    Host,
    ImageInput,
    Input,
    Inputs,
    Outcome,
    Preprocess,
    Probe,
    Run,
    TextInput,
    Training,
    WeightsMissing,
    mismatches,
    place,
    prepare,
    unprepare,
)  # fmt: skip
from explorer.kinds import (
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
    Masks,
    Matrix,
    Scatter,
    Scores,
    Text,
)  # fmt: skip
from explorer.params import knob

__all__ = [
    "IMAGENET_MEAN", "IMAGENET_STD", "Affine", "Artefact", "Boxes", "Cancelled", "Checkpoint",
    "ClipInput", "Curve", "EndOfStep", "Engine", "EngineError", "FeatureMaps", "Field", "FileInput",
    "FolderInput", "Graph", "Histogram", "Host", "Hypercolumn", "Image", "ImageInput", "Input",
    "Inputs", "Keypoints", "Masks", "Matrix", "Outcome", "Preprocess", "Probe", "Run", "Scatter",
    "Scores", "Text", "TextInput", "Training", "WeightsMissing", "encoded_mask", "gram", "knob",
    "mismatches", "place", "prepare", "result_records", "unit_order", "unprepare",
]  # fmt: skip
