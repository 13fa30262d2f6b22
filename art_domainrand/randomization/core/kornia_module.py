"""Any ``kornia.augmentation`` module as a transform; the one place that knows Kornia's inside."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeVar

import torch
from kornia.augmentation import IntensityAugmentationBase2D, RandomJigsaw
from kornia.augmentation._2d.mix.base import MixAugmentationBaseV2
from kornia.augmentation._3d.base import AugmentationBase3D
from kornia.augmentation.base import _BasicAugmentationBase
from kornia.augmentation.container.base import SequentialBase
from kornia.geometry.boxes import Boxes
from kornia.geometry.keypoints import Keypoints
from torch import Tensor, nn

from art_domainrand.randomization.core.transform import PixelTransform, Values

_MIXES = "mixes several images and so has no draw per image"

NOT_REPLAYABLE: Mapping[str, str] = {
    "PatchMix": _MIXES,
    "RandomCutMixV2": _MIXES,
    "RandomMixUpV2": _MIXES,
    "RandomMosaic": _MIXES,
    "RandomTransplantation": _MIXES,
    "VideoSequential": "takes clips of frames and not single images",
    "ManyToManyAugmentationDispather": "takes several batches and returns a list of them",
    "ManyToOneAugmentationDispather": "returns a list of batches and not one",
    "RandomDissolving": "needs the package diffusers and a diffusion model, which it downloads",
}
"""The classes of ``kornia.augmentation`` for images that are refused: name -> what it does that rules it out.

Everything else in two dimensions is replayed exactly. MixUp and CutMix are in ``mixing.py``.
"""

NOT_DIFFERENTIABLE: Mapping[str, str] = {
    "RandomPosterize": "rounds to levels, so its gradient is zero everywhere",
    "RandomClahe": "looks values up in tables and returns no gradient, unless it is slow_and_differentiable",
}
"""The classes without a useful gradient of the image: name -> why. Our ``Posterize`` has a straight-through one."""


@dataclass(frozen=True, eq=False)
class KorniaAugmentation(PixelTransform):
    """A 2D augmentation or container of Kornia, drawn from the seeds of the draw instead of the global generator.

    Every image goes through the module on its own, under a generator seeded from that image's draw: a replay is exact
    and an image's result depends on no other. So ``p``, ``p_batch`` and ``same_on_batch`` all act per image.

    Kornia draws on the CPU, so a draw on another device is read back once for each call. The module keeps its last
    parameters on itself, as it does everywhere.

    The gradient of the image is Kornia's; the classes in ``NOT_DIFFERENTIABLE`` have none.

    :param module: the augmentation, or a container of augmentations.
    :param batched: draw the parameters per image as before, but apply them to all images in one call: much faster, and
        equal up to rounding. Containers cannot be batched, nor modules that draw a parameter for the whole batch, as
        ColorJitter draws its order.
    :raises TypeError: for what is not a 2D augmentation.
    :raises ValueError: for a class in ``NOT_REPLAYABLE``, alone or inside a container, and for what cannot be batched.
    """

    module: nn.Module
    batched: bool = False
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for part in self.module.modules() if isinstance(self.module, nn.Module) else ():
            reason = _reason(NOT_REPLAYABLE, part)
            if reason is None and isinstance(part, MixAugmentationBaseV2) and not isinstance(part, RandomJigsaw):
                reason = _MIXES
            if reason is not None:
                raise ValueError(f"module must change each image on its own, got {type(part).__name__}, which {reason}")
            if isinstance(part, AugmentationBase3D):
                raise ValueError(f"module must take images (B, C, H, W), got {type(part).__name__}")
        if not isinstance(self.module, (_BasicAugmentationBase, SequentialBase)):
            raise TypeError(f"module must be a kornia.augmentation module, got {type(self.module).__name__}")
        if self.batched and not isinstance(self.module, _BasicAugmentationBase):
            raise ValueError(f"batched needs a single augmentation, got the container {type(self.module).__name__}")

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether no part of the module is in ``NOT_DIFFERENTIABLE``."""
        steps = [part for part in self.module.modules() if _reason(NOT_DIFFERENTIABLE, part) is not None]
        return all(getattr(part, "flags", {}).get("slow_and_differentiable", False) for part in steps)

    @property
    def tracked(self) -> bool:
        """Whether nothing in the module moves pixels; where those that do move them to is not known."""
        parts = [part for part in self.module.modules() if isinstance(part, _BasicAugmentationBase)]
        return all(isinstance(part, IntensityAugmentationBase2D) for part in parts)

    def check_channels(self, channels: int) -> None:
        for part in self.module.modules():
            if isinstance(part, _BasicAugmentationBase) and not _takes(part, channels):
                raise ValueError(f"{type(part).__name__} of Kornia needs RGB images with 3 channels, got {channels}")

    def apply(self, x: Tensor, values: Values) -> Tensor:
        seeds = values["seed"].tolist()
        with private_rng() as generator:
            if self.batched:
                return self._apply_batched(x, seeds, generator)
            images = []
            for image, seed in zip(torch.split(x, 1), seeds, strict=True):
                generator.manual_seed(seed)
                images.append(self.module(image))
        shapes = {tuple(image.shape[1:]) for image in images}
        if len(shapes) > 1:
            kind = type(self.module).__name__
            raise ValueError(f"module must give all images one shape, got {sorted(shapes)} from {kind}; give it p=1")
        return torch.cat(images)

    def _apply_batched(self, x: Tensor, seeds: list[int], generator: torch.Generator) -> Tensor:
        drawn = []
        for seed in seeds:
            generator.manual_seed(seed)
            drawn.append(self.module.forward_parameters(torch.Size((1, *x.shape[1:]))))  # type: ignore[operator]
        shape = "forward_input_shape"  # describes the batch
        params = {name: self._joined(name, [one[name] for one in drawn]) for name in drawn[0] if name != shape}
        params[shape] = torch.tensor(x.shape)
        generator.manual_seed(0)
        out: Tensor = self.module(x, params=params)
        return out

    def _joined(self, name: str, parts: list[Tensor]) -> Tensor:
        """The parameter ``name`` of all images, one row for each; an image that is left alone may have none."""
        if any(part.shape[:1] not in ((0,), (1,)) or part.shape[1:] != parts[0].shape[1:] for part in parts):
            raise ValueError(
                f"batched needs parameters per image, got {type(self.module).__name__}, whose {name!r} is one for the "
                "batch or differs in length between images"
            )
        if name == "batch_idx":  # it numbers the images that are changed, each of which believes it is the first
            before = [sum(len(part) for part in parts[:index]) for index in range(len(parts))]
            parts = [part + count for part, count in zip(parts, before, strict=True)]
        return torch.cat(parts)


@contextmanager
def private_rng() -> Iterator[torch.Generator]:
    """Lend torch's global CPU generator, the only one Kornia draws from, and put its state back afterwards."""
    generator = torch.default_generator
    state = generator.get_state()
    try:
        yield generator
    finally:
        generator.set_state(state)


@lru_cache(maxsize=128)
def _takes(part: _BasicAugmentationBase, channels: int) -> bool:
    """Whether an augmentation takes images of so many channels, by trial: Kornia's classes do not say.

    What fails on RGB, too, fails for another reason, such as the size of the trial.
    """
    return channels == 3 or _runs(part, channels) or not _runs(part, 3)


def _runs(part: _BasicAugmentationBase, channels: int) -> bool:
    trial = torch.full((1, channels, 32, 32), 0.5)
    with private_rng() as generator, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generator.manual_seed(0)
        try:
            own = deepcopy(part).cpu()  # a module keeps its last parameters on itself
            parameters = own.generate_parameters(trial.shape)
            parameters["batch_prob"] = torch.ones(1)  # applied, whatever its p
            own(trial, params=parameters)
        except Exception:  # Kornia has several errors of its own for a wrong shape
            return False
    return True


def _reason(table: Mapping[str, str], part: nn.Module) -> str | None:
    """What ``table`` says about the class of ``part`` or one it is derived from."""
    return next((table[cls.__name__] for cls in type(part).__mro__ if cls.__name__ in table), None)


def gate_of(module: _BasicAugmentationBase, params: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Which images an augmentation has changed, (B, 1, ...) to broadcast against ``like`` (B, ...)."""
    gate: Tensor = module._gate(params)
    return gate.to(like.device).view(-1, *[1] * (like.dim() - 1))


_Labels = TypeVar("_Labels", Boxes, Keypoints)


def with_data(labels: _Labels, data: Tensor) -> _Labels:
    """A copy of Kornia's boxes or keypoints with other coordinates, all else kept."""
    copy = labels.clone()
    copy._data = data
    return copy
