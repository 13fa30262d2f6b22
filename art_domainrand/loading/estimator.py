"""From a model's name to an ART estimator that fits the data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.loading.code import is_estimator, kind_and_words, made_by_code
from art_domainrand.loading.exported import SUFFIXES, ExportedModule, from_file
from art_domainrand.loading.registries import REGISTRIES, Built, from_registry
from art_domainrand.loading.weights import fit_weights, read_weights

PRETRAINED = "pretrained"
"""What to write for weights that the library of an architecture offers."""

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class ModelRequest:
    """What a user says of a model.

    :param model: ``FILE.py:NAME`` or ``package.module:NAME`` of what makes or is a model; ``torchvision:NAME``,
        ``timm:NAME`` or ``hf:NAME``; or a file of ``torch.export.save`` or ``torch.jit.save``.
    :param weights: a file of weights (safetensors, or a state dict of ``torch.save``), or "pretrained".
    :param mean: subtracted from the channels first, so that images stay in [0, 1].
    :param std: what the channels are divided by then.
    :raises ValueError: for mean without std, or values that no channel can have.
    """

    model: str
    weights: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        pair = Text(f"mean {list(self.mean)} and std {list(self.std)}")
        require(len(self.mean) == len(self.std), "mean and std", "be given for the same channels", pair)
        require(all(0 < value < float("inf") for value in self.std), "std", "hold numbers > 0", list(self.std))
        require(all(abs(value) < float("inf") for value in self.mean), "mean", "hold finite numbers", list(self.mean))


class Normalized(nn.Module):
    """A model for images in [0, 1] of one that was trained on normalized images.

    :param model: the model.
    :param mean: of the channels, or one for all.
    :param std: of the channels, or one for all.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Any:
        """What the model gives for the images normalized."""
        return self.model((x - self.mean) / self.std)


def runs_code(model: str) -> str | None:
    """Which file or module a model's name makes us run; None if that is none of the user's.

    :param model: as in :class:`ModelRequest`.
    """
    place, colon, _ = model.rpartition(":")
    if colon and place not in REGISTRIES:
        return place
    return model if not colon and Path(model).suffix in SUFFIXES else None


def load_estimator(
    request: ModelRequest, shape: tuple[int, ...], classes: int | None, seed: int = 0, *, least: int = 2
) -> Any:
    """Make the ART estimator that a user asks for, on the CPU, for images in [0, 1].

    :param request: which model.
    :param shape: of an image, (C, H, W).
    :param classes: how many classes the data name; None where they name none, and the model says how many there are.
    :param seed: from which weights that nothing else says are drawn.
    :param least: how many classes there are at least, where the data name none.
    :return: a ``PyTorchClassifier``, or the estimator that the user's own code made.
    :raises ValueError: for what cannot be loaded, and a model that does not fit the data.
    """
    with seeded_global_rng(seed, torch.device("cpu")):
        built = built_model(request, shape, max(classes or least, 2))
    if is_estimator(built):
        plain = request.weights is None and not request.mean
        require(plain, "weights, mean and std", "be left out for an ART estimator", Text(request.model))
        return fitting_estimator(built, shape)
    if request.weights not in (None, PRETRAINED):
        fit_weights(built.module, read_weights(Path(str(request.weights)).expanduser()))
    mean, std = (request.mean, request.std) if request.mean else (built.mean, built.std)
    module = built.module.eval()
    if mean is not None and std is not None:
        require(len(mean) in (1, shape[0]), "mean", f"hold a value for each of {shape[0]} channels", list(mean))
        module = Normalized(module, mean, std).eval()
    return as_estimator(module, shape, classes, least)


def built_model(request: ModelRequest, shape: tuple[int, ...], classes: int) -> Any:
    """The module, as :class:`Built`, or estimator that a request names, without the weights of a file."""
    model, pretrained = request.model, request.weights == PRETRAINED
    place, colon, name = model.rpartition(":")
    if place in REGISTRIES and name:
        return from_registry(place, name, pretrained, shape, classes)
    require(not pretrained, "weights", f"be a file, or a model be of {', '.join(REGISTRIES)}", request.weights)
    if colon and (place.endswith(".py") or DOTTED.fullmatch(place)) and name.isidentifier():
        made = made_by_code(place, name)
        kind = Text(f"{model} that gave {type(made).__name__}")
        require(isinstance(made, nn.Module) or is_estimator(made), "model", "be an nn.Module or an ART estimator", kind)
        return made if is_estimator(made) else Built(made)
    rule = f"be FILE.py:NAME, package.module:NAME, {', '.join(f'{one}:NAME' for one in REGISTRIES)} or a model's file"
    weights = Path(model).suffix == ".safetensors"
    got = f"{model!r}, which holds weights alone: name it as weights, beside the model they are of"
    require(Path(model).suffix in SUFFIXES, "model", rule, Text(got) if weights else model)
    require(request.weights is None, "weights", "be left out for a file, which has its own", request.weights)
    return Built(from_file(Path(model).expanduser()))


def fitting_estimator(estimator: Any, shape: tuple[int, ...]) -> Any:
    """An estimator of the user's, if it is for images like ours."""
    own = tuple(estimator.input_shape)
    moved = (*shape[1:], shape[0])
    require(own in (shape, moved), "model", f"take images of shape {shape}", Text(f"input_shape {own}"))
    return estimator


def as_estimator(module: nn.Module, shape: tuple[int, ...], classes: int | None, least: int = 2) -> Any:
    """A module as an ART classifier of images in [0, 1], on the CPU.

    :param module: gives scores (N, K), or (N, 1) for two classes.
    :param shape: of an image, (C, H, W).
    :param classes: how many classes the data name; None where they name none.
    :param least: how many there are at least then.
    :raises ValueError: for a module that does not take such images, or gives other scores.
    """
    found = tried(module, shape)
    one_unit = found.dim() == 2 and found.shape[1] == 1
    outputs = 2 if one_unit else found.shape[1] if found.dim() == 2 else 0
    fits = outputs == classes if classes is not None and classes > 1 else outputs >= max(least, 2)
    rule = f"give scores of {f'at least {least}' if classes is None else f'the {classes}'} classes of the data"
    require(
        found.dim() == 2 and len(found) == 2 and fits, "model", rule, Text(f"shape {tuple(found.shape)} for 2 images")
    )
    return PyTorchClassifier(
        module,
        loss=nn.BCEWithLogitsLoss() if one_unit else nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=outputs,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def tried(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """What a module gives for two grey images."""
    try:
        with torch.no_grad():
            found = module(torch.full((2, *shape), 0.5))
    except Exception as error:  # whatever the model raises
        fixed = any(isinstance(part, ExportedModule) for part in module.modules())
        advice = "; a program is to be exported for any number of images (dynamic_shapes)" if fixed else ""
        said = f"{kind_and_words(error)}{advice}"
        raise ValueError(f"model must take 2 images of shape {shape}, got {said}") from error
    require(isinstance(found, Tensor), "model", "give a tensor of scores", Text(type(found).__name__))
    assert isinstance(found, Tensor)
    return found
