"""The preset "prime" beside the authors' own program: what both compute of the same numbers, and how they are spread.

Run ``python tests/benchmarks/prime_peer.py --peer FOLDER [--cifar ARCHIVE] [--draws 800]`` on a checkout of
amodas/PRIME-augmentations; einops and opt_einsum must be installed. Settings are the authors' for CIFAR-10, and the
images are 32x32: 64 of CIFAR-10's where they are given, else even noise. One draw of theirs holds for all images and
chains of a batch, so each is called alone, but in the rows "as published".
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated
from unittest import mock

import torch
import typer
from scipy.stats import ks_2samp
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand.core.hashing import normal_field
from art_domainrand.randomization import ColorCurve, Constant, Diffeomorphism, Pipeline, RandomFilter, prime
from art_domainrand.randomization.core.transform import Transform

from strength_models import read_cifar

SIDE, CUTOFF, WAVES, VARIANCE, DEVIATION, SHARE = 32, 5, 40, 0.004, 0.1, 0.3
Statistics = dict[str, list[float]]
Change = Callable[[Tensor], Tensor]


def alone(change_of: Change) -> Change:
    """The same, drawn for each image anew."""
    return lambda x: torch.cat([change_of(one) for one in torch.split(x, 1)])


class Peer:
    """The authors' transforms with the settings of their configuration for CIFAR-10."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        self.spatial, self.spectral, self.mixing = (
            import_module(f"utils.{name}") for name in ("diffeomorphism", "rand_filter", "prime")
        )
        self.field = self.spatial.Diffeo(1.0, 1.0, 1.0, 1.0, 2, 100, 1.0, stochastic=True)
        self.curve = import_module("utils.color_jitter").RandomSmoothColor(100, 0.01, None, stochastic=True)
        self.filter = self.spectral.RandomFilter(3, 4.0, stochastic=True)

    def whole(self, *transforms: Change) -> Change:
        chains = self.mixing.PRIMEAugModule(transforms)
        found: Change = self.mixing.GeneralizedPRIMEModule(lambda x: x, chains, 3, -1, no_jsd=True)
        return found

    def centred(self) -> AbstractContextManager[object]:
        """The kernel's one at its centre, where they round half of the size up and count from zero."""
        return mock.patch.object(self.spectral, "np", SimpleNamespace(ceil=math.floor))


def same_numbers(peer: Peer, x: Tensor) -> Iterator[tuple[str, float]]:
    """The largest difference of both results where strengths and normal numbers are the same, in units of [0, 1]."""
    low, high = peer.spatial.temperature_range(SIDE, CUTOFF)
    middle = (CUTOFF - 1.5) / (CUTOFF - 1)
    curve = ColorCurve(Constant(VARIANCE), Constant(float(WAVES)))
    rows: dict[str, tuple[Transform, tuple[int, ...], Change]] = {
        "field of cutoff 5": (
            Diffeomorphism(Constant(SHARE), Constant(middle), Constant(float(CUTOFF))),
            (2, CUTOFF, CUTOFF),
            lambda one: peer.spatial.deform(one, low + SHARE * (high - low), CUTOFF),
        ),
        "curve of 40 waves": (curve, (3, WAVES), lambda one: peer.curve.random_smooth_color(one, WAVES, VARIANCE)),
        "filter, centred": (RandomFilter(Constant(DEVIATION)), (3, 3), peer.spectral.RandomFilter(3, DEVIATION)),
    }
    for name, (transform, shape, theirs) in rows.items():
        pipeline = Pipeline(transform)
        draw = pipeline.sample(len(x), seeded())
        seeds = pipeline.chain.values(draw.u, draw.seeds)["0"]["seed"]
        found = []
        for one, numbers in zip(torch.split(x, 1), normal_field(seeds, math.prod(shape), x.dtype), strict=True):
            normal = numbers.view(1, *shape)
            told = [part.mT for part in normal[0]] if len(shape) == 3 else [normal]  # their fields' columns come first
            with mock.patch("torch.randn", side_effect=told), peer.centred():
                found.append(theirs(one))
        yield name, float((torch.cat(found) - pipeline.apply(x, draw)).abs().max())


def change(x: Tensor, changed: Tensor) -> Statistics:
    """Of every image how much it changes: in the mean, and below and above 8 periods a side."""
    away = changed - x
    row, column = torch.fft.fftfreq(SIDE) * SIDE, torch.fft.rfftfreq(SIDE) * SIDE
    power = torch.fft.rfft2(away, norm="ortho").abs().square()
    slow = torch.hypot(row[:, None], column) < 8
    bands = {name: (power * band).sum((1, 2, 3)).sqrt() for name, band in (("low", slow), ("high", ~slow))}
    named = {f"{name} frequencies": value.tolist() for name, value in bands.items()}
    return {"mean change": away.abs().mean((1, 2, 3)).tolist(), **named}


def both(peer: Peer, x: Tensor) -> Iterator[tuple[str, Statistics, Statistics]]:
    """A name, then the authors' statistics and ours, one number for each draw."""
    pipeline, field = prime(), Diffeomorphism()
    (draw, moved), generator = (Pipeline(one).sample(len(x), seeded()) for one in (pipeline, field)), seeded()
    values = pipeline.chain.values(draw.u, draw.seeds)["0"]
    depths = torch.stack([values[str(k)]["depth"] for k in range(3)], 1)
    name, empty = "share x mean depth", torch.zeros(len(x), 1, 1, 1)
    ours = values["share"] * (values["weights"] * depths).sum(1)
    yield "mixing", {name: peer.whole(*[lambda x: x + 1] * 3)(empty).flatten().tolist()}, {name: ours.tolist()}

    with mock.patch.object(peer.spatial, "remap", lambda x, right, down, way: torch.stack((right, down))[None]):
        theirs = torch.cat([peer.field(torch.zeros(1, 2, SIDE, SIDE)) for _ in x])
    found = field.displacement(field.values(moved.u, moved.seeds), SIDE, SIDE)
    displaced = [{"displacement, pixels": v.square().mean((1, 2, 3)).sqrt().tolist()} for v in (theirs, found)]
    yield "field", displaced[0], displaced[1]

    parted = peer.whole(alone(peer.field), alone(peer.curve), alone(peer.filter))
    published = alone(peer.whole(peer.field, peer.curve, peer.filter))
    for name, theirs_of, ours_of, centred in (
        ("field", alone(peer.field), field, False),
        ("curve", alone(peer.curve), ColorCurve(), False),
        ("filter, centred", alone(peer.filter), RandomFilter(), True),
        ("filter, as published", alone(peer.filter), RandomFilter(), False),
        ("whole, centred", parted, pipeline, True),
        ("whole, as published", published, pipeline, False),
    ):
        with peer.centred() if centred else nullcontext():
            expected = theirs_of(x)
        transformed = (ours_of if isinstance(ours_of, Pipeline) else Pipeline(ours_of))(x, generator)
        yield name, change(x, expected), change(x, transformed)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def main(
    peer: Annotated[Path, typer.Option(help="the folder of the authors' checkout")],
    cifar: Annotated[Path | None, typer.Option(help="archive or folder of CIFAR-10")] = None,
    draws: int = 800,
) -> None:
    """Print a table of the same numbers' results and one of the distributions."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    few = torch.rand(64, 3, SIDE, SIDE) if cifar is None else torch.from_numpy(read_cifar(cifar, 64, 10)[0].x)
    authors = Peer(peer)
    print("| of the same numbers | largest difference |\n|---|---|")
    for name, difference in same_numbers(authors, few):
        print(f"| {name} | {difference:.1e} |")
    print("\n| drawn | statistic | theirs | ours | ours / theirs | p, Kolmogorov-Smirnov |\n|---|---|---|---|---|---|")
    for name, theirs, ours in both(authors, few.repeat(-(-draws // len(few)), 1, 1, 1)[:draws]):
        for statistic, expected in theirs.items():
            (a, a_error), (b, b_error) = (mean_and_error(torch.tensor(v)) for v in (expected, ours[statistic]))
            spread = b / a * math.hypot(a_error / a, b_error / b)
            p = ks_2samp(expected, ours[statistic]).pvalue
            print(f"| {name} | {statistic} | {a:.3f} | {b:.3f} | {b / a:.2f} ± {spread:.2f} | {p:.2g} |", flush=True)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


if __name__ == "__main__":
    typer.run(main)
