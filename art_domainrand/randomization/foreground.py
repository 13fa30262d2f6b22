"""Where the object is, and what a surface looks like: what background and texture randomization share."""

from __future__ import annotations

import torch
from torch import Tensor

from .blur import convolve
from .clouds import value_noise
from .elementary import logistic
from .fields import member_seeds, uniform_field
from .linear import pixel_sum

# The binomial weights of order 4, as in the frequency-tuned saliency of Achanta et al.
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)

SHARPNESS = 8.0
"""How fast a saliency mask rises: from 0.12 to 0.88 over half of the mean saliency."""


def saliency(x: Tensor) -> Tensor:
    """How far each pixel's colour lies from the image's mean colour, over the mean of that distance: (B, 1, H, W).

    The squared distance between the slightly smoothed image and its mean (Achanta et al., "Frequency-tuned salient
    region detection", CVPR 2009, equation 4), in the image's own channels. A flat image has none.
    """
    kernel = torch.tensor(_BINOMIAL, dtype=x.dtype).to(x.device).expand(len(x), -1)
    reach = [min(2, size - 1) for size in (x.shape[3], x.shape[2])]
    across, down = (kernel[:, 2 - r : 3 + r] / kernel[:1, 2 - r : 3 + r].sum(dim=1, keepdim=True) for r in reach)
    pixels = x.shape[2] * x.shape[3]
    away = convolve(x, across, down) - (pixel_sum(x) / pixels)[..., None]
    squared = away[:, :1].square()
    for channel in range(1, x.shape[1]):
        squared = squared + away[:, channel : channel + 1].square()
    mean = (pixel_sum(squared) / pixels)[..., None]
    return squared / (mean + 1e-6)


def foreground(x: Tensor, threshold: Tensor) -> Tensor:
    """A soft mask (B, 1, H, W): 1 where the saliency is well above ``threshold`` (B,) times its mean."""
    return logistic((saliency(x) - threshold.view(-1, 1, 1, 1)) * SHARPNESS)


def split_mask(x: Tensor, mask_channel: int | None) -> tuple[Tensor, Tensor | None]:
    """Take the given mask out of ``x``: the other channels, and the mask (B, 1, H, W) or None.

    Raises ValueError if there is no such channel or no other.
    """
    if mask_channel is None:
        return x, None
    if mask_channel >= x.shape[1] or x.shape[1] < 2:
        raise ValueError(f"mask_channel must be below {x.shape[1]}, with an image beside it, got {mask_channel}")
    return (
        torch.cat((x[:, :mask_channel], x[:, mask_channel + 1 :]), dim=1),
        x[:, mask_channel : mask_channel + 1],
    )


def join_mask(x: Tensor, mask: Tensor | None, mask_channel: int | None) -> Tensor:
    """Put the mask back where :func:`split_mask` took it from."""
    if mask is None or mask_channel is None:
        return x
    return torch.cat((x[:, :mask_channel], mask, x[:, mask_channel:]), dim=1)


def check_mask_channel(mask_channel: int | None) -> None:
    """Raise ValueError unless ``mask_channel`` is None or an index."""
    if mask_channel is not None and (
        not isinstance(mask_channel, int) or isinstance(mask_channel, bool) or mask_channel < 0
    ):
        raise ValueError(f"mask_channel must be None or an int >= 0, got {mask_channel!r}")


def texture(x: Tensor, seeds: Tensor, cells: int, octaves: int = 3) -> Tensor:
    """A random surface in [0, 1] like ``x`` (B, C, H, W): a blotchy pattern between two random colours."""
    pattern = value_noise(x, [member_seeds(seeds, octave) for octave in range(octaves)], cells)
    colours = uniform_field(member_seeds(seeds, octaves), 2 * x.shape[1], x.dtype).view(len(x), 2, x.shape[1], 1, 1)
    return colours[:, 0] + pattern * (colours[:, 1] - colours[:, 0])
