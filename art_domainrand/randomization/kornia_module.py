"""Any ``kornia.augmentation`` module as a transform."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from kornia.augmentation import IntensityAugmentationBase2D, RandomJigsaw, VideoSequential
from kornia.augmentation._2d.mix.base import MixAugmentationBaseV2
from kornia.augmentation._3d.base import AugmentationBase3D
from kornia.augmentation.base import _BasicAugmentationBase
from kornia.augmentation.container.base import SequentialBase
from torch import Tensor, nn

from .transform import PixelTransform, Values


@dataclass(frozen=True, eq=False)
class KorniaAugmentation(PixelTransform):
    """A 2D augmentation or container of Kornia, drawn from the seeds of the draw instead of the global generator.

    Every image goes through the module on its own, under a generator seeded from that image's draw: a replay is exact
    and an image's result depends on no other. So ``p``, ``p_batch`` and ``same_on_batch`` all act per image. With
    ``batched`` the parameters are still drawn per image but applied to all images in one call: much faster, and equal
    up to rounding. Containers cannot be batched, nor modules that draw a parameter for the whole batch, as ColorJitter
    draws its order.

    Kornia draws on the CPU, so a draw on another device is read back once for each call. The module keeps its last
    parameters on itself, as it does everywhere.

    Raises TypeError for what is not a 2D augmentation, ValueError for one that mixes images or cannot be batched.
    """

    module: nn.Module
    batched: bool = False
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.module, (_BasicAugmentationBase, SequentialBase)):
            raise TypeError(f"module must be a kornia.augmentation module, got {type(self.module).__name__}")
        for part in self.module.modules():
            if isinstance(part, MixAugmentationBaseV2) and not isinstance(part, RandomJigsaw):
                raise ValueError(
                    f"module must change each image on its own, got {type(part).__name__}, "
                    "which mixes several images and so has no draw per image"
                )
            if isinstance(part, (AugmentationBase3D, VideoSequential)):
                raise ValueError(f"module must take images (B, C, H, W), got {type(part).__name__}")
        if self.batched and not isinstance(self.module, _BasicAugmentationBase):
            raise ValueError(f"batched needs a single augmentation, got the container {type(self.module).__name__}")

    @property
    def tracked(self) -> bool:
        """Whether nothing in the module moves pixels; where those that do move them to is not known."""
        parts = [part for part in self.module.modules() if isinstance(part, _BasicAugmentationBase)]
        return all(isinstance(part, IntensityAugmentationBase2D) for part in parts)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        seeds = values["seed"].tolist()
        with private_rng() as generator:
            if self.batched:
                return self._apply_batched(x, seeds, generator)
            images = []
            for image, seed in zip(torch.split(x, 1), seeds, strict=True):
                generator.manual_seed(seed)
                images.append(self.module(image))
        return torch.cat(images)

    def _apply_batched(self, x: Tensor, seeds: list[int], generator: torch.Generator) -> Tensor:
        drawn = []
        for seed in seeds:
            generator.manual_seed(seed)
            drawn.append(self.module.forward_parameters(torch.Size((1, *x.shape[1:]))))  # type: ignore[operator]
        shape = "forward_input_shape"  # describes the batch
        for name, value in drawn[0].items():
            if name != shape and value.shape[:1] != (1,):
                kind = type(self.module).__name__
                raise ValueError(f"batched needs parameters per image, got {kind}, whose {name!r} is one for the batch")
        params = {name: torch.cat([one[name] for one in drawn]) for name in drawn[0] if name != shape}
        params[shape] = torch.tensor(x.shape)
        generator.manual_seed(0)
        out: Tensor = self.module(x, params=params)
        return out


@contextmanager
def private_rng() -> Iterator[torch.Generator]:
    """Lend torch's global CPU generator, the only one Kornia draws from, and put its state back afterwards."""
    generator = torch.default_generator
    state = generator.get_state()
    try:
        yield generator
    finally:
        generator.set_state(state)
