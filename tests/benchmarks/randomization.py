"""How long randomization takes: our pipeline against Kornia's modules, in one process, interleaved.

    python tests/benchmarks/randomization.py [--device cpu|cuda] [--threads 1] [--rounds 15] [--json FILE]
        [--only PATTERN]

Every row times both sides alternately after a warm-up and gives the median time in milliseconds, the spread (the
interquartile range over the median) and the ratio of the medians: above 1, ours is faster. Sampling is part of every
call. On one thread the time is the process's CPU time, which other programs disturb less than the wall clock.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import kornia
import kornia.augmentation as K  # noqa: N812 - the name Kornia's own documentation uses
import torch
from catalogue_rows import ALONE, KORNIA, SIZED, TORCHVISION
from torch import Tensor
from torch.nn import functional

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.numerics.matrices import inverse3x3
from art_domainrand.randomization.numerics.warp import sampling_grid

SIZES = ((64, 3, 32, 32), (16, 3, 224, 224))
SEED = 0

GEOMETRY = [R.Rotation(), R.Scale(), R.Shear(), R.Translation()]
COLOR = [R.Brightness(), R.Contrast(), R.Saturation(), R.Hue()]
FULL = [*GEOMETRY, R.Perspective(), *COLOR, R.Gamma(), R.GaussianNoise(0.05)]

AFFINE = {"degrees": 15.0, "translate": (0.1, 0.1), "scale": (0.9, 1.1), "shear": 10.0}


@dataclass(frozen=True)
class Row:
    """One comparison: median milliseconds of both sides, their relative spread, and theirs over ours."""

    name: str
    shape: tuple[int, ...]
    what: str
    ours_ms: float
    ours_spread: float
    theirs_ms: float
    theirs_spread: float
    ratio: float


def kornia_chain() -> torch.nn.Module:
    """The chain of the same kinds of transforms."""
    return torch.nn.Sequential(
        K.RandomAffine(**AFFINE, p=1.0),
        K.RandomPerspective(0.25, p=1.0),
        K.ColorJitter(0.2, 0.2, 0.2, 0.1, p=1.0),
        K.RandomGamma((0.7, 1.4), p=1.0),
        K.RandomGaussianNoise(std=0.05, p=1.0),
    )


def measure(sides: list[Callable[[], object]], rounds: int, device: torch.device) -> list[tuple[float, float]]:
    """The median milliseconds and the relative interquartile range of each side, timed alternately."""
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 2):
        for side, seconds in zip(sides, times, strict=True):
            if device.type == "cuda":
                torch.cuda.synchronize()
            start = clock()
            side()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn >= 2:  # the first two are the warm-up
                seconds.append(clock() - start)
    results = []
    for seconds in times:
        low, median, high = statistics.quantiles(seconds, n=4)
        results.append((median * 1e3, (high - low) / median))
    return results


def compare(
    name: str,
    x: Tensor,
    ours: Callable[[Tensor], Tensor],
    theirs: Callable[[Tensor], Tensor],
    rounds: int,
    *,
    backward: bool = True,
) -> list[Row]:
    """A forward row and, with ``backward``, one with the gradient of the image too, as an attack needs it."""

    def forward(change: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad():
                change(x)

        return run

    def both(change: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        source, weight = x.clone().requires_grad_(), torch.ones_like(x)
        return lambda: torch.autograd.grad(change(source), source, weight)

    rows = []
    for what, wrap in (("forward", forward), ("forward+backward", both))[: 1 + backward]:
        (ours_ms, ours_spread), (theirs_ms, theirs_spread) = measure([wrap(ours), wrap(theirs)], rounds, x.device)
        ratio = theirs_ms / ours_ms
        rows.append(Row(name, tuple(x.shape), what, ours_ms, ours_spread, theirs_ms, theirs_spread, ratio))
        print(
            f"{name:<30}{'x'.join(map(str, x.shape)):<16}{what:<18}{ours_ms:9.3f} ±{ours_spread:4.0%}"
            f"{theirs_ms:11.3f} ±{theirs_spread:4.0%}{ratio:9.2f}",
            flush=True,
        )
    return rows


def ours_with(items: list[R.Transform], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Draw from one seeded generator on the device, and apply."""
    pipeline, generator = R.Pipeline(items), torch.Generator(device).manual_seed(SEED)
    return lambda x: pipeline(x, generator)


def random_grid(x: Tensor) -> Tensor:
    """A grid of the kind our geometry computes, so that both sides read memory alike."""
    pipeline = R.Pipeline(GEOMETRY)
    draw = pipeline.sample(len(x), torch.Generator(x.device).manual_seed(SEED))
    matrix = pipeline.chain.matrix(pipeline.chain.values(draw.u, draw.seeds), R.Frame(*x.shape[1:]))
    return sampling_grid(inverse3x3(matrix), *x.shape[2:], projective=False)


def run_rows(device: torch.device, rounds: int, only: str = "") -> list[Row]:
    """All comparisons with the pattern ``only`` in their name, printed as they are made."""
    print(f"{'':<30}{'shape':<16}{'':<18}{'ours ms':>9}{'':<6}{'theirs ms':>11}{'':<6}{'ratio':>8}")
    rows: list[Row] = []
    torch.manual_seed(SEED)

    def row(name: str, x: Tensor, transform: list[R.Transform], *args: Any, **options: Any) -> None:
        if re.search(only, name):
            rows.extend(compare(name, x, ours_with(transform, device), *args, **options))

    for shape in SIZES:
        x = torch.rand(shape, device=device)
        row("full chain | Kornia chain", x, FULL, kornia_chain(), rounds)
        grid = random_grid(x)
        sample = partial(functional.grid_sample, grid=grid, align_corners=True)
        row("geometry | one grid_sample", x, GEOMETRY, sample, rounds)
        fewer = max(rounds // 2, 5)
        for name, (transform, theirs) in KORNIA.items():
            row(f"{name} | Kornia", x, [transform], theirs().to(device), fewer)
        for name, (transform, theirs) in TORCHVISION.items():
            # Most of torchvision's raise in backward.
            row(f"{name} | torchvision", x, [transform], theirs(), fewer, backward=False)
        for name, (transform, of_size) in SIZED.items():
            row(name, x, [transform], of_size(shape[2:]).to(device), fewer)
        for name, transform in ALONE.items():
            row(f"{name} | a copy", x, [transform], torch.clone, fewer)
    return rows


def check_no_sync() -> None:
    """Raise RuntimeError if sampling, applying or differentiating makes the host wait for the device."""
    pipeline = R.Pipeline(
        [*FULL, R.GaussianBlur(), R.Occlusion(), R.Sometimes(R.Flip()), R.OneOf([R.Hue(), R.Invert()])]
    )
    generator = torch.Generator("cuda").manual_seed(SEED)
    x = torch.rand(SIZES[0], device="cuda", requires_grad=True)
    pipeline(x, generator).sum().backward()  # constants are copied to the device once
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pipeline.apply(x, pipeline.sample(len(x), generator)).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    print("no host synchronization in sample and apply")


def bandwidth_floor(rounds: int) -> dict[str, float]:
    """Milliseconds that one read and one write of the batch per fused stage take at the measured copy speed."""
    x = torch.rand(SIZES[1], device="cuda")
    large, target = torch.rand(1 << 28, device="cuda"), torch.empty(1 << 28, device="cuda")
    ((copy_ms, _),) = measure([lambda: target.copy_(large)], rounds, x.device)
    speed = 2 * large.nbytes / copy_ms
    stages = len(R.Pipeline(FULL).chain.stages)
    floor = {"copy_gb_per_s": speed / 1e6, "stages": stages, "floor_ms": stages * 2 * x.nbytes / speed}
    print(f"copy speed {speed / 1e6:.0f} GB/s; {stages} stages at {SIZES[1]}: {floor['floor_ms']:.3f} ms at least")
    return floor


def main() -> None:
    """Read the arguments, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", help="a regular expression: the rows whose names have it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "kornia": kornia.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"cpu ({torch.backends.cpu.get_cpu_capability()})",
        "threads": options.threads,
        "rounds": options.rounds,
        "seed": SEED,
    }
    print(facts)
    if device.type == "cuda":
        check_no_sync()
        facts |= bandwidth_floor(options.rounds)
    facts["rows"] = [asdict(row) for row in run_rows(device, options.rounds, options.only)]
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
