"""ImageNet-UA's core set beside its authors' program: how far images change, and what accuracy each adversary leaves.

A row is an attack at a level of CIFAR-10: first the L2 norm and the largest channel of the change where latents are
drawn alike, uniformly in the bound's box and projected onto its ball (mean and standard deviation over draws of the
mean over images; "at rest" is the authors' program with latents of zero). Then the accuracy that the authors' steps
leave, as many and as large as in their ``models.sh``, and DomainAttack with as many passes, a forward pass counting one
and a backward pass one, with the L2 norm of both changes. Run ``python tests/benchmarks/unforeseen_peer.py CHECKOUT
--cifar ARCHIVE``, where CHECKOUT holds the program that arXiv:1908.08016 names; it has no licence, so nothing of it is
here.
"""

import configparser
import importlib
import random
import statistics
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from learned_parts.mixing import trained

from art_domainrand import DomainAttack
from art_domainrand.estimators import predict
from art_domainrand.randomization import imagenet_ua

from strength_models import data

LEVELS = ("low", "medium", "high")

# Attack -> step size and steps, as models.sh of the program has them for CIFAR-10.
STEPS = {
    "gabor": (0.0025, 80),
    "snow": (0.2, 20),
    "pixel": (1.0, 60),
    "jpeg": (0.0024, 50),
    "kaleidoscope": (0.005, 30),
    "glitch": (0.0025, 60),
    "wood": (0.000625, 70),
    "elastic": (0.006, 30),
}


class Peer:
    """The authors' modules and their settings for CIFAR-10."""

    def __init__(self, checkout: Path) -> None:
        ours = {name: sys.modules.pop(name) for name in ("attacks", "models") if name in sys.modules}
        sys.path.insert(0, str(checkout))
        importlib.import_module("config").device = "cpu"
        self.modules = {name: importlib.import_module(f"attacks.{name}") for name in STEPS}
        self.project = importlib.import_module("attacks.attacks").tensor_clamp_l2
        self.levels = importlib.import_module("models.cifar10.cifar10_config").default_epsilons
        sys.path.remove(str(checkout))
        sys.modules.update(ours)
        parser = configparser.ConfigParser()
        parser.read(checkout / "attacks" / "attack_params_cifar10_default.conf")
        self.settings = {name: {key: yaml.safe_load(text) for key, text in parser[name].items()} for name in STEPS}

    def drawn(self, name: str, x: Tensor, eps: float) -> Tensor:
        """The images after one draw of the attack's latents."""
        s = {key.removeprefix(f"{name}_"): one for key, one in self.settings[name].items()}
        return DRAWN[name](self.modules[name], x, eps, s, lambda latent: self.project(latent, 0, eps)).detach()

    def attacked(self, name: str, model: torch.nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
        """The images after the authors' optimizer."""
        size, steps = STEPS[name]
        args = Namespace(**self.settings[name], epsilon=eps, step_size=size, num_steps=steps)
        images: Tensor = self.modules[name].get_attack(model, args).generate_attack((x.clone(), y))
        return images.detach()


def box(eps: float, *shape: int) -> Tensor:
    """Uniform in [-eps, eps]."""
    return (2 * torch.rand(shape) - 1) * eps


def _gabor(m: Any, x: Tensor, eps: float, s: dict[str, Any], _: Callable[[Tensor], Tensor]) -> Tensor:
    mask = (torch.rand(3, len(x), 32, 32) < s["weight_density"]).float()
    size = s["kernel_size"], s["sigma"], s["sides"]
    return x + m.generate_random_distribution(box(eps, *mask.shape), mask, x, len(x), *size, 32)


def _snow(m: Any, x: Tensor, eps: float, s: dict[str, Any], project: Callable[[Tensor], Tensor]) -> Tensor:
    flakes = torch.rand(len(x), s["num_layers"], 32, 32)
    mask = m.get_location_mask(flakes, s["grid_size"])
    sigma = s["sigma_range_lower"], s["sigma_range_upper"]
    kernels = m.make_snow_kernels(len(x), s["num_layers"], s["flake_size"], s["kernel_size"], sigma)
    snow = m.make_snow(project(flakes * mask), mask, kernels, s["normalizing_constant"])
    return m.apply_snow(x, snow, s["image_discolour"])


def _pixel(m: Any, x: Tensor, _: float, s: dict[str, Any], project: Callable[[Tensor], Tensor]) -> Tensor:
    blocks = 32 // s["size"]
    return m.pixelate_image(x, m.get_pixels(x, s["size"]), project(torch.rand(len(x), 3, blocks, blocks)))


def _kaleidoscope(m: Any, x: Tensor, eps: float, s: dict[str, Any], _: Callable[[Tensor], Tensor]) -> Tensor:
    shapes = s["num_shapes"]
    first = m.init_colours(len(x), shapes, s["min_value_valence"], s["min_value_saturation"])
    masks = m.get_shape_masks(x.shape, shapes, s["shape_size"])
    edges = torch.stack([m.get_edge_masks(mask, s["edge_width"]) for mask in masks])
    dark = torch.rand(len(x), 1, 32, 32) * eps
    return m.add_variables(x, masks, box(eps, *first.shape), edges, dark, s["transparency"], first, True)


def _wood(m: Any, x: Tensor, eps: float, s: dict[str, Any], _: Callable[[Tensor], Tensor]) -> Tensor:
    bend = box(eps, len(x), 1, s["noise_resolution"], s["noise_resolution"])
    return m.apply_wood_noise(x, m.wood_noise(bend, x.shape, s["num_rings"], s["normalising_constant"]))


def _elastic(m: Any, x: Tensor, _: float, s: dict[str, Any], project: Callable[[Tensor], Tensor]) -> Tensor:
    every = s["upsample_factor"]
    return m.flow(x, project(box(1.0, len(x), 2, 32 // every, 32 // every)), every)


DRAWN: dict[str, Callable[..., Tensor]] = {
    "gabor": _gabor,
    "snow": _snow,
    "pixel": _pixel,
    "jpeg": lambda m, x, eps, *_: m.apply_jpeg(x, box(eps, len(x), 3, 16, 8, 8)),
    "kaleidoscope": _kaleidoscope,
    "glitch": lambda m, x, eps, s, _: m.glitch_image(x, box(eps, len(x), 3, s["num_lines"]), s["num_lines"]),
    "wood": _wood,
    "elastic": _elastic,
}


def seeded(seed: int) -> None:
    """Seed all that the authors' program draws from."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def change(x: Tensor, changed: Tensor) -> tuple[float, float]:
    """The L2 norm of the change and its largest channel, means over images, within [0, 1]."""
    moved = (changed.clamp(0, 1) - x).flatten(1)
    return float(moved.norm(dim=1).mean()), float(moved.abs().amax(1).mean())


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def main(
    checkout: Annotated[Path, typer.Argument(help="the folder of the authors' program")],
    cifar: Annotated[Path, typer.Option(help="archive or folder of CIFAR-10")],
    images: int = 32,
    draws: int = 8,
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    peer = Peer(checkout)
    train, test = data("cifar", cifar, 3000)
    classifier, _ = trained(train, "none", 0, 4, 0.0)
    taken = np.flatnonzero(predict(classifier, test.x).argmax(1) == test.y)[:images]
    x, y = test.x[taken], test.y[taken]
    given, labels = torch.from_numpy(x), torch.from_numpy(y)
    network = classifier.model.eval()
    sizes_of = "L2, theirs at rest | L2, theirs | L2, ours | largest, theirs | largest, ours"
    print(f"| attack | eps | {sizes_of} | left, theirs | left, ours |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (_, steps) in STEPS.items():
        for level, eps in zip(LEVELS, peer.levels[name], strict=True):
            pipeline = imagenet_ua(name, level)
            rest, theirs, ours = [], [], []
            for seed in range(draws):
                seeded(seed)
                rest.append(change(given, peer.drawn(name, given, 0.0))[0])
                seeded(seed)
                theirs.append(change(given, peer.drawn(name, given, eps)))
                draw = pipeline.sample(len(x), torch.Generator().manual_seed(seed))
                ours.append(change(given, pipeline.apply(given, draw)))
            sizes = [f"{statistics.mean(rest):.2f}"]
            sizes += [spread([one[part] for one in found]) for part in (0, 1) for found in (theirs, ours)]
            climber = DomainAttack(classifier, pipeline, evaluations=2 * steps, seed=0, verbose=False)
            for adv in (
                peer.attacked(name, network, given, labels, eps),
                torch.from_numpy(climber.generate(x, y)),
            ):
                right = predict(classifier, adv.clamp(0, 1).numpy()).argmax(1) == y
                sizes.append(f"{100 * right.mean():.0f} (L2 {change(given, adv)[0]:.2f})")
            print(f"| {name} | {eps:.3g} | {' | '.join(sizes)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
