"""Ranges that learn against ranges set by hand: accuracy under shifts that no training range contains.

All methods train the same network on the same images for as many epochs, with the same pipeline as outer limits. Its
law is uniform ("by hand"), the best of some random ones ("random search"), or moves in training. Random search trains
one network for each law, and keeps the one that does best on the validation domain, which the meta-learned ranges
follow; both see the same images of it, which nobody trains on. With ``--kept`` the laws of both leave a share of the
images to the limits' own law. The shifts of the test are of other kinds, or stronger,
than those of training and validation, and the test images choose nothing. Two sets of shifts: several of all sides,
and one domain ("askew") that the validation domain is a milder form of.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import PGD, DomainAdversarialTrainer, LearnableRanges
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.core.random import TRIAL, key_of
from art_domainrand.data import digits
from art_domainrand.estimators import predict
from art_domainrand.training.learned import AdversarialRanges, DoraemonRanges, MetaRanges

SIZE = 16
LIMITS = R.Pipeline(
    [
        R.Rotation((-20.0, 20.0)),
        R.Scale(R.LogUniform(0.8, 1.25)),
        R.Translation((-0.1, 0.1), (-0.1, 0.1)),
        R.Brightness((-0.2, 0.2)),
        R.Contrast((0.5, 1.5)),
        R.GaussianBlur((0.05, 1.0)),
        R.GaussianNoise((0.0, 0.15)),
    ]
)
# Milder than the test's, of some of its kinds.
VALIDATION = {
    "rotation, 20 to 30": R.Pipeline([R.OneOf([R.Rotation((20.0, 30.0)), R.Rotation((-30.0, -20.0))])]),
    "perspective": R.Pipeline([R.Perspective((0.2, 0.3))]),
    "shift, 0.1 to 0.12": R.Pipeline([R.Translation((0.1, 0.12), (-0.12, -0.1))]),
    "noise, 0.15 to 0.2": R.Pipeline([R.GaussianNoise((0.15, 0.2))]),
    "contrast, 0.3 to 0.45": R.Pipeline([R.Contrast((0.3, 0.45))]),
}
TEST = {
    "rotation, 30 to 45": R.Pipeline([R.OneOf([R.Rotation((30.0, 45.0)), R.Rotation((-45.0, -30.0))])]),
    "perspective": R.Pipeline([R.Perspective((0.3, 0.5))]),
    "shift, 0.12 to 0.2": R.Pipeline([R.Translation((0.12, 0.2), (-0.2, -0.12))]),
    "noise, 0.2 to 0.35": R.Pipeline([R.GaussianNoise((0.2, 0.35))]),
    "impulse": R.Pipeline([R.ImpulseNoise((0.1, 0.2))]),
    "elastic": R.Pipeline([R.Elastic()]),
    "contrast, 0.15 to 0.3": R.Pipeline([R.Contrast((0.15, 0.3))]),
    "defocus": R.Pipeline([R.DefocusBlur((1.5, 2.0))]),
}
# A camera that is mounted askew, and its images: all at once and to one side.
ASKEW_MILDLY = {
    "askew": R.Pipeline(
        [
            R.Rotation((18.0, 26.0)),
            R.Scale((0.72, 0.8)),
            R.Translation((0.08, 0.11), (-0.11, -0.08)),
            R.Contrast((0.4, 0.55)),
        ]
    )
}
ASKEW = {
    "askew": R.Pipeline(
        [
            R.Rotation((24.0, 36.0)),
            R.Scale((0.65, 0.75)),
            R.Translation((0.11, 0.15), (-0.15, -0.11)),
            R.Contrast((0.3, 0.45)),
        ]
    )
}
DOMAINS = {"all sides": (VALIDATION, TEST), "askew": (ASKEW_MILDLY, ASKEW)}
Images = tuple[np.ndarray, np.ndarray]


def shifted(images: Images, shifts: dict[str, R.Pipeline], seed: int) -> dict[str, Images]:
    """The images under every shift, at the same draws for every model."""
    x, y = torch.from_numpy(images[0]), images[1]
    found = {}
    for number, (name, pipeline) in enumerate(shifts.items()):
        generator = torch.Generator().manual_seed(key_of(seed, TRIAL, number) % 2**31)
        found[name] = (pipeline(x, generator).clamp(0, 1).numpy(), y)
    return found


def classifier_of(seed: int) -> PyTorchClassifier:
    """A small network with weights of the seed's."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * (SIZE // 4) ** 2, 10),
    )
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    shape = (1, SIZE, SIZE)
    return PyTorchClassifier(net, nn.CrossEntropyLoss(), shape, 10, optimizer, clip_values=(0, 1), device_type="cpu")


def trained(train: Images, pipeline: R.Pipeline, ranges: object, seed: int, epochs: int) -> DomainAdversarialTrainer:
    """A network trained on the randomized images."""
    classifier = classifier_of(seed)
    nothing = PGD(classifier, eps=1e-6, eps_step=1e-6, max_iter=1, verbose=False)
    trainer = DomainAdversarialTrainer(
        classifier, nothing, randomization=pipeline, objective="standard", ranges=ranges, seed=seed, verbose=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        trainer.fit(*train, batch_size=100, nb_epochs=epochs)
    return trainer


def accuracy(trainer: DomainAdversarialTrainer, images: Images) -> float:
    """In per cent."""
    return 100 * float((predict(trainer.get_classifier(), images[0], batch_size=256).argmax(1) == images[1]).mean())


def mean_accuracy(trainer: DomainAdversarialTrainer, sets: dict[str, Images]) -> float:
    """Over all shifts."""
    return statistics.mean(accuracy(trainer, images) for images in sets.values())


def limits_of(clean_share: float) -> R.Pipeline:
    """The limits, for all images but a share that stays as it is."""
    return R.Pipeline([R.Sometimes(LIMITS, 1 - clean_share)]) if clean_share else LIMITS


def random_law(limits: R.Pipeline, kept: float, seed: int, number: int) -> R.Pipeline:
    """A law inside the limits with random shapes, from 1/4 to 4, but for the share of images that the limits keep."""
    ranges = LearnableRanges(limits, kept=kept)
    generator = torch.Generator().manual_seed(key_of(seed, TRIAL, number) % 2**31)
    with torch.no_grad():
        ranges.bounds.uniform_(-np.log(4.0), np.log(4.0), generator=generator)
    return ranges.to_pipeline()


def searched(
    train: Images,
    validation: dict[str, Images],
    law: Callable[[int], R.Pipeline],
    seed: int,
    epochs: int,
    candidates: int,
) -> DomainAdversarialTrainer:
    """The network of the random law that does best on the validation domain."""
    found = [trained(train, law(k), None, seed, epochs) for k in range(candidates)]
    return max(found, key=lambda trainer: mean_accuracy(trainer, validation))


def row(name: str, found: list[tuple[float, ...]]) -> str:
    """Mean and standard deviation over seeds."""
    columns = [
        f"{statistics.mean(v):.1f} ± {statistics.stdev(v) if len(v) > 1 else 0:.1f}" for v in zip(*found, strict=True)
    ]
    return f"| {name} | {' | '.join(columns)} |"


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="learned.py ranges", description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--candidates", type=int, default=3, help="laws that random search trains with")
    parser.add_argument("--domain", choices=list(DOMAINS), default="all sides")
    parser.add_argument("--each", action="store_true", help="every shift in a column of its own")
    parser.add_argument("--entropy", type=float, default=0.05)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--meta-rate", type=float, default=0.05)
    parser.add_argument("--meta-entropy", type=float, default=0.0)
    parser.add_argument("--meta-family", choices=["beta", "box"], default="beta")
    parser.add_argument(
        "--kept",
        type=float,
        default=0.0,
        help="share of images that are drawn from the limits whatever is learned or searched",
    )
    parser.add_argument("--clean-share", type=float, default=0.0, help="of the images, not randomized by any method")
    parser.add_argument("--clean-domain", action="store_true", help="the validation domain holds clean images too")
    parser.add_argument("--pilot", action="store_true", help="show no figure of the test images")
    parser.add_argument("--success", type=float, default=0.8)
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--laws", action="store_true", help="print the law that each seed ends with")
    options = parser.parse_args(arguments)
    whole, test = digits(SIZE)
    milder, held_out = DOMAINS[options.domain]
    limits = limits_of(options.clean_share)
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in options.seeds:
        order = np.random.default_rng(seed).permutation(len(whole.y))
        train = whole.x[order[:1000]], whole.y[order[:1000]]
        held = whole.x[order[1000:]], whole.y[order[1000:]]
        validation, tests = shifted(held, milder, seed), shifted((test.x, test.y), held_out, seed)
        judged = validation | {"clean": held} if options.clean_domain else validation
        domain = tuple(np.concatenate(parts) for parts in zip(*judged.values(), strict=True))
        meta = MetaRanges(domain, options.meta_family, options.meta_entropy, options.meta_rate, kept=options.kept)
        adversarial = AdversarialRanges(entropy=options.entropy, rate=options.rate, kept=options.kept)
        kinds = {
            "by hand": None,
            "random search": "search",
            "automatic": "automatic",
            "doraemon": DoraemonRanges(success=options.success),
            "adversarial, beta": adversarial,
            "adversarial, box": replace(adversarial, family="box"),
            "meta-learned": meta,
        }
        for name, ranges in kinds.items():
            if options.methods and name not in options.methods:
                continue
            start = time.process_time()
            if ranges == "search":
                law = partial(random_law, limits, options.kept, seed)
                trainer = searched(train, judged, law, seed, options.epochs, options.candidates)
            else:
                trainer = trained(train, limits, ranges, seed, options.epochs)
            seconds = time.process_time() - start
            scores = []
            if not options.pilot:
                each = [accuracy(trainer, images) for images in tests.values()]
                shown = each if options.each else []
                scores = [accuracy(trainer, (test.x, test.y)), statistics.mean(each), *shown]
            known = (accuracy(trainer, held), mean_accuracy(trainer, validation))
            found.setdefault(name, []).append((*scores, *known, seconds))
            if options.laws and ranges not in (None, "search", "automatic"):
                print(name, trainer.history[-1]["range"], trainer.ranges.to_pipeline())
    titles = [] if options.pilot else ["clean", "held-out shifts", *(held_out if options.each else [])]
    columns = ["ranges", *titles, "clean validation", "validation domain", "seconds"]
    print(f"{options.epochs} epochs, seeds {options.seeds}, random search over {options.candidates} laws, one thread\n")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, rows in found.items():
        print(row(name, rows), flush=True)


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    main(sys.argv[1:])
