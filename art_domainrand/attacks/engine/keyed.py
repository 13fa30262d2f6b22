"""An attack's random numbers: pure functions of a seed, of what they are for, and of the image they are for.

There is no generator whose state could pass from one image to the next, so neither batch size nor the order of images,
nor which of them are attacked together, changes what one of them meets. ``keys`` are (B,) int64, one for each image.
"""

from functools import lru_cache

import torch
from torch import Tensor

from art_domainrand.core.random import hash_field, mix64, normal_field, uniform_field
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.sampling import CELLS
from art_domainrand.randomization.core.transform import Draw

# What the numbers of a key are for; the same number never means two things.
START, STEP, JUDGE, CLEAN, CLIMB = range(5)

# The increment of SplitMix64: multiples of 2^64 / golden ratio are spread evenly.
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
# How often a gamma variate is proposed: one proposal in twenty is refused, so one in 10^10 numbers is left over.
PROPOSALS = 8
# How many pixels are hashed at a time.
HASHED = 1 << 22


def image_keys(x: Tensor) -> Tensor:
    """A key for each image of ``x`` (B, ...), float32: a hash of its pixels and of how often they came before.

    So an image has its key whatever else is attacked with it, and copies of an image have different ones.
    """
    bits = x.detach().flatten(1).contiguous().view(torch.int32)
    features = bits.shape[1]
    weights = mix64(torch.arange(1, features + 1, device=x.device)) | 1  # odd: no change of a pixel is lost
    keys = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    rows = max(1, HASHED // max(1, features))
    for first in range(0, len(x), rows):
        keys[first : first + rows] = (bits[first : first + rows].long() * weights).sum(1)
    return numbered(mix64(keys), times_before(keys))


def times_before(keys: Tensor) -> Tensor:
    """How often each of ``keys`` (N,) stands earlier in them."""
    order = keys.argsort(stable=True)
    place = torch.arange(len(keys), device=keys.device)
    first = torch.ones_like(place, dtype=torch.bool)
    first[1:] = keys[order][1:] != keys[order][:-1]
    run = torch.where(first, place, 0).cummax(0).values if len(keys) else place
    return torch.empty_like(place).scatter_(0, order, place - run)


def numbered(keys: Tensor, number: Tensor | int) -> Tensor:
    """The ``number``-th (B,) random number of the streams ``keys``, int64 (SplitMix64)."""
    return mix64(keys + ((number + 1) * GOLDEN if isinstance(number, Tensor) else wrapped((number + 1) * GOLDEN)))


def wrapped(number: int) -> int:
    """A Python integer as int64 arithmetic, which wraps, would have it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def derive(keys: Tensor, *numbers: Tensor | int) -> Tensor:
    """Other keys, one for each path of numbers."""
    for number in numbers:
        keys = numbered(keys, number)
    return keys


def seeds_of(keys: Tensor) -> Tensor:
    """Seeds of pixel fields, in [0, 2^63)."""
    return mix64(keys) & ((1 << 63) - 1)


def normal(keys: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers (B, *shape)."""
    return normal_field(keys, count(shape)).reshape(len(keys), *shape)


def uniform_in_ball(norm: float, keys: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Points (B, *shape) uniform in the unit ball of ``norm``, in float32 on the device of ``keys``.

    For p < inf: with ``g`` of density proportional to ``exp(-|g|^p)`` and ``z`` standard exponential,
    ``g / (sum |g|^p + z)^(1/p)`` is uniform in the ball (Barthe et al. 2005, theorem 1). ``|g|`` is ``u a^(1/p)`` with
    ``u`` uniform and ``a`` from the gamma distribution of shape 1 + 1/p, as ``|g|^p`` itself underflows for large p.
    """
    size, wide = count(shape), (len(keys), *shape)
    if norm == torch.inf:
        return uniform_field(keys, size).mul_(2).sub_(1).reshape(wide)
    rest = exponential(derive(keys, 2), 1)
    if norm == 2:
        unit = normal_field(derive(keys, 1), size).mul_(0.5**0.5)
        return (unit / (unit.square().sum(1, keepdim=True) + rest).sqrt()).reshape(wide)
    # In double precision: powers of float32 differ in the last bit with their place in a batch.
    signed = uniform_field(derive(keys, 0), size, torch.float64).mul_(2).sub_(1)
    scale = gamma(derive(keys, 1), size, 1 + 1 / norm)
    total = (scale * signed.abs() ** norm).sum(1, keepdim=True) + rest
    return (signed * (scale / total) ** (1 / norm)).float().reshape(wide)


def exponential(keys: Tensor, size: int) -> Tensor:
    """Standard exponential numbers (B, size)."""
    return uniform_field(keys, size).log_().neg_()


def gamma(keys: Tensor, size: int, shape: float) -> Tensor:
    """Numbers (B, size) from the gamma distribution of a ``shape`` >= 1 (Marsaglia and Tsang 2000, section 4)."""
    d = shape - 1 / 3
    found = torch.full((len(keys), size), d, dtype=torch.float64, device=keys.device)
    for proposal in reversed(range(PROPOSALS)):  # the first that is accepted is written last
        x = normal_field(derive(keys, proposal, 0), size, torch.float64)
        v = (1 + x / (9 * d) ** 0.5) ** 3
        u = uniform_field(derive(keys, proposal, 1), size, torch.float64)
        accepted = (v > 0) & (u.log() < 0.5 * x**2 + d - d * v + d * v.clamp_min(1e-30).log())
        found = torch.where(accepted, d * v, found)
    return found


def draws(pipeline: Pipeline, keys: Tensor, copies: int = 1, method: str = "uniform") -> Draw:
    """Draws of ``pipeline``, ``copies`` in a row for each key; ``method`` says how these lie to one another.

    "antithetic" pairs are u and 1 - u; "sobol" are the first points of a scrambled Sobol sequence, shifted digit by
    digit by random bits of the key (Matousek 1998), so that every one of them is uniform.
    """
    dimensions = len(pipeline.parameters)
    copy = torch.arange(copies, device=keys.device).repeat(len(keys))
    own = numbered(keys.repeat_interleave(copies), copy)
    if method == "antithetic":
        u = uniform_field(numbered(keys.repeat_interleave(copies), copy // 2), dimensions)
        u = torch.where((copy % 2 == 1).unsqueeze(1), 1 - u, u)
    elif method == "sobol" and dimensions:
        cells = sobol_cells(copies, dimensions).to(keys.device).repeat(len(keys), 1)
        shift = hash_field(keys, dimensions).repeat_interleave(copies, 0) & (CELLS - 1)
        u = (cells ^ shift).float().add_(0.5).div_(CELLS)
    else:
        u = uniform_field(own, dimensions)
    return Draw(u, seeds_of(own))


@lru_cache(maxsize=16)
def sobol_cells(n: int, dimensions: int) -> Tensor:
    """The cells (n, dimensions) of the first points of a scrambled Sobol sequence, int32."""
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(n, dtype=torch.float64)
    return (points * CELLS).to(torch.int32)


def count(shape: tuple[int, ...]) -> int:
    """How many numbers an image of ``shape`` holds."""
    return int(torch.Size(shape).numel())
