"""Architectures by name, from libraries that may be installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require
from art_domainrand.loading.code import kind_and_words


@dataclass(frozen=True, eq=False)
class Built:
    """A module and the normalization that its weights were trained with, where that is known."""

    module: nn.Module
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def library(name: str, distribution: str) -> Any:
    """An optional library; ValueError saying what to install where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"model must be of an installed library: pip install {distribution}") from None


def from_torchvision_models(name: str, pretrained: bool, shape: tuple[int, ...], classes: int) -> Built:
    """A classifier of torchvision; with its own weights it keeps its own classes."""
    models = library("torchvision.models", "torchvision")
    known = models.list_models(module=models)
    require(name in known, "model", "name a classifier of torchvision", Text(f"{name!r}{nearest(name, known)}"))
    if not pretrained:
        options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}  # slow, and they say so
        return Built(models.get_model(name, weights=None, num_classes=classes, **options))
    weights = models.get_model_weights(name).DEFAULT
    transforms = weights.transforms()
    return Built(models.get_model(name, weights=weights), tuple(transforms.mean), tuple(transforms.std))


def from_timm(name: str, pretrained: bool, shape: tuple[int, ...], classes: int) -> Built:
    """A classifier of timm for images with as many channels as ours."""
    timm = library("timm", "timm")
    known = timm.list_models()
    require(name.split(".")[0] in known, "model", "name a model of timm", Text(f"{name!r}{nearest(name, known)}"))
    if not pretrained:
        options = {"num_classes": classes, "in_chans": shape[0]}
        try:  # transformers are made for a size of image, and others do not take one
            return Built(timm.create_model(name, img_size=shape[1:], **options))
        except TypeError:
            return Built(timm.create_model(name, **options))
    module = timm.create_model(name, pretrained=True)
    known_for = module.pretrained_cfg
    return Built(module, tuple(known_for["mean"]), tuple(known_for["std"]))


class Logits(nn.Module):
    """The class scores of a model of Transformers.

    :param model: the model, whose output has ``logits``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> Any:
        """The scores of images."""
        return self.model(pixel_values=x).logits


def from_transformers(name: str, pretrained: bool, shape: tuple[int, ...], classes: int) -> Built:
    """An image classifier of the Hugging Face hub or of a folder like it, with its weights; never its code."""
    transformers = library("transformers", "transformers")
    model = transformers.AutoModelForImageClassification.from_pretrained(
        name, trust_remote_code=False, use_safetensors=True
    )
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError):
        return Built(Logits(model))
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    return Built(Logits(model), *(None if v is None else tuple(float(one) for one in v) for v in (mean, std)))


REGISTRIES: dict[str, Callable[[str, bool, tuple[int, ...], int], Built]] = {
    "torchvision": from_torchvision_models,
    "timm": from_timm,
    "hf": from_transformers,
}
"""What stands before the colon -> how a model of that name is built."""


def from_registry(kind: str, name: str, pretrained: bool, shape: tuple[int, ...], classes: int) -> Built:
    """Build a model by its name in a library.

    :param kind: a key of :data:`REGISTRIES`.
    :param name: the name there.
    :param pretrained: whether with the weights that the library offers, which may be downloaded.
    :param shape: of an image, (C, H, W).
    :param classes: how many classes the data have.
    :raises ValueError: for a library that is not installed, an unknown name, and what the library refuses.
    """
    try:
        return REGISTRIES[kind](name, pretrained, shape, classes)
    except Exception as error:  # whatever the library raises: no network, no such weights, sizes that do not fit
        if isinstance(error, ValueError) and str(error).startswith("model must"):
            raise
        raise ValueError(f"model must be one that {kind} can build, got {name!r}: {kind_and_words(error)}") from error
