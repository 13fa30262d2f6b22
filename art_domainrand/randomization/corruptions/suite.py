"""The nineteen corruptions by name, and all 95 of their cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arguments import nearest, suggesting_names
from art_domainrand.core.arrays import check_unit_range, from_array, warn_of_layout, widened
from art_domainrand.core.random import CORRUPT, keys_of
from art_domainrand.randomization.corruptions import blur, digital, noise, weather
from art_domainrand.randomization.corruptions.constants import SEVERITIES, severity_constants

Kernel: TypeAlias = Callable[..., Tensor]
"""From images, their (B,) seeds and the constants of a severity to the corrupted images, not yet clipped."""

AnyImages = TypeVar("AnyImages", Tensor, NDArray[np.floating])
Seed: TypeAlias = int | Tensor

BLOCK = 1 << 20
"""On the CPU as many images are corrupted at a time as have about this many values: their buffers stay in the cache."""

COMMON: dict[str, Kernel] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": digital.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
"""The fifteen over which the mean corruption error is taken."""

EXTRA: dict[str, Kernel] = {
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": weather.spatter,
    "saturate": digital.saturate,
}
"""The four held back for validation."""


@dataclass(frozen=True)
class Corruption:
    """One corruption as a function: ``CORRUPTIONS["fog"](x, severity=3, seed=0)``, see :func:`corrupt`.

    :param name: a name from :data:`CORRUPTIONS`.
    """

    name: str

    def __call__(self, x: AnyImages, severity: int = 3, seed: Seed = 0) -> AnyImages:
        """Corrupt images, as :func:`corrupt` does.

        :param x: images (B, C, H, W) in [0, 1].
        :param severity: an int from 1 to 5.
        :param seed: an int, or one for each image, (B,) int64.
        """
        return corrupt(x, self.name, severity, seed)


CORRUPTIONS: dict[str, Corruption] = {name: Corruption(name) for name in (*COMMON, *EXTRA)}
"""Name -> function, the fifteen first."""


@suggesting_names
def corrupt(x: AnyImages, name: str, severity: int = 3, seed: Seed = 0) -> AnyImages:
    """Corrupt images as in ImageNet-C and CIFAR-10-C (Hendrycks and Dietterich, ICLR 2019).

    A higher severity means a larger distance from the clean image, except where the published constants themselves say
    otherwise: glass_blur (more reach but fewer rounds), motion_blur (ImageNet-C's sigma grows, CIFAR-10-C's radius
    jumps), frost (severity 4 lays on no more frost than 3), elastic_transform (1 and 2 move the image as a whole, 3 to
    5 less and locally), spatter (mud follows water) and saturate (1 and 2 lower the saturation, 3 to 5 raise it).

    No gradient is promised.

    :param x: images (B, C, H, W) in [0, 1]: a floating tensor on any device or a NumPy array.
    :param name: one of :data:`CORRUPTIONS`.
    :param severity: an int from 1 to 5. Its constants are those of CIFAR-10-C for a shorter side up to 32 pixels, those
        of ImageNet-C from 224 on, and interpolated in between.
    :param seed: an int, or one for each image, (B,) int64, as :func:`image_seeds` makes them; what happens to an image
        depends on the image and its seed alone.
    :return: images of the same kind, clipped to [0, 1].
    :raises ValueError: for bad ``x``, also for values outside [0, 1], ``name``, ``severity`` or ``seed``.
    """
    images = _as_tensor(x)
    if isinstance(images, Tensor) and images.is_floating_point():
        check_unit_range("x", images)
        if images.dim() == 4:
            warn_of_layout("x", images.shape, channels_first=True)
    return corrupt_unchecked(x, name, severity, seed)


def corrupt_unchecked(x: AnyImages, name: str, severity: int, seed: Seed) -> AnyImages:
    """As :func:`corrupt`, for images whose values may lie outside [0, 1], as they do inside a pipeline."""
    kernel = COMMON.get(name) or EXTRA.get(name)
    if kernel is None:
        raise ValueError(f"name must be one of {sorted(CORRUPTIONS)}, got {name!r}")
    images = _as_tensor(x)
    if not isinstance(images, Tensor) or images.dim() != 4 or not images.is_floating_point():
        got = f"{images.dtype} of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(x).__name__
        raise ValueError(f"x must be a floating (B, C, H, W) tensor or array with values in [0, 1], got {got}")
    constants = severity_constants(name, severity, min(images.shape[2:]))
    seeds = image_seeds(seed, len(images), images.device) if isinstance(seed, (int, np.integer)) else seed
    if not isinstance(seeds, Tensor) or seeds.shape != images.shape[:1] or seeds.dtype != torch.int64:
        raise ValueError(f"seed must be an int or an int64 tensor of shape ({len(images)},), got {seed!r}")
    if images.numel() == 0:
        return x
    changed = torch.empty_like(images, memory_format=torch.contiguous_format)
    # Whole images, so that the result is the same for any number at a time.
    step = max(1, BLOCK // images[0].numel()) if images.device.type == "cpu" else len(images)
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        for part in range(0, len(images), step):
            some = images[part : part + step].contiguous()
            corrupted = kernel(widened(some), seeds[part : part + step].to(images.device), *constants)
            changed[part : part + step] = corrupted.clamp(0, 1)
    return changed.numpy() if isinstance(x, np.ndarray) else changed


def _as_tensor(x: Any) -> Any:
    """Images as a tensor if they are an array of numbers, else as they are."""
    return from_array(x) if isinstance(x, np.ndarray) and x.dtype != object else x


def image_seeds(seed: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """The seeds that :func:`corrupt` gives to the images of a batch.

    :param seed: an int of 64 bits.
    :param n: the number of images.
    :param device: where the seeds are to lie.
    :return: (n,) int64.
    :raises ValueError: for another seed.
    """
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not -(1 << 63) <= int(seed) < 1 << 63:
        raise ValueError(f"seed must be an int of 64 bits, got {seed!r}")
    return keys_of(int(seed), CORRUPT, torch.arange(n, device=device))


@dataclass(frozen=True)
class CorruptionSuite:
    """The cases of the common corruptions: by default all of them, 19 by 5.

    Every image has its own random numbers, the same in all cases.

    :param names: different names from ``CORRUPTIONS``, at least one; or a single one.
    :param severities: different ints from 1 to 5, at least one; or a single one.
    :param seed: an int of 64 bits, which decides the random numbers of an image together with its index.
    :param batch_size: how many images are worked on at a time, >= 1; it changes no result.
    :raises ValueError: for values outside these bounds.
    """

    names: Sequence[str] | str = tuple(CORRUPTIONS)
    severities: Sequence[int] | int = SEVERITIES
    seed: int = 0
    batch_size: int = field(default=64, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _distinct("names", self.names, tuple(CORRUPTIONS)))
        object.__setattr__(self, "severities", _distinct("severities", self.severities, SEVERITIES))
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {self.batch_size}")
        image_seeds(self.seed, 0)
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "batch_size", int(self.batch_size))

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def cases(self) -> tuple[tuple[str, int], ...]:
        """Every (name, severity), corruption by corruption."""
        assert isinstance(self.names, tuple)
        assert isinstance(self.severities, tuple)
        return tuple((name, severity) for name in self.names for severity in self.severities)

    def corrupted(self, x: AnyImages) -> Iterator[tuple[str, int, AnyImages]]:
        """Corrupt the images in every case.

        :param x: images (N, C, H, W) in [0, 1], as in :func:`corrupt`.
        :return: (name, severity, images) for every case, one after another.
        """
        for name, severity in self.cases:
            yield name, severity, self.corrupt(x, name, severity)

    def corrupt(self, x: AnyImages, name: str, severity: int) -> AnyImages:
        """The images in one case, computed ``batch_size`` at a time.

        :param x: images (N, C, H, W) in [0, 1], as in :func:`corrupt`.
        :param name: one of ``CORRUPTIONS``.
        :param severity: an int from 1 to 5.
        :raises ValueError: as :func:`corrupt` does.
        """
        seeds = image_seeds(self.seed, len(x), "cpu" if isinstance(x, np.ndarray) else x.device)
        parts = [
            corrupt(x[start : start + self.batch_size], name, severity, seeds[start : start + self.batch_size])
            for start in range(0, max(len(x), 1), self.batch_size)
        ]
        return np.concatenate(parts) if isinstance(x, np.ndarray) else torch.cat(parts)


Allowed = TypeVar("Allowed")


def _distinct(argument: str, chosen: Sequence[Allowed] | Allowed, allowed: tuple[Allowed, ...]) -> tuple[Allowed, ...]:
    """Return ``chosen``, several or one, as a tuple of different members of ``allowed``, not empty; else ValueError.

    The members are ``allowed``'s own: Python's numbers for NumPy's.
    """
    several = isinstance(chosen, Iterable) and not isinstance(chosen, str)
    items: tuple[Any, ...] = tuple(chosen) if several else (chosen,)  # type: ignore[arg-type]
    for item in items:
        if item not in allowed:
            near = nearest(str(item), [member for member in allowed if isinstance(member, str)])
            raise ValueError(f"{argument} must be among {list(allowed)}, got {item!r}{near}")
    if not items or len(set(items)) < len(items):
        raise ValueError(f"{argument} must be different members of {list(allowed)}, got {chosen!r}")
    return tuple(allowed[allowed.index(item)] for item in items)
