"""Clean and corruption accuracy after training with policies that mix: AugMix, PRIME, TrivialAugment, IDBH, and none.

With ``--eps`` training is adversarial (PGD-7 in L-inf), and what StrongestAttack's quick budget leaves is measured too.

A small network, three seeds each; every policy sees the same images in the same order for the same number of epochs.
The test images choose nothing: no epoch is picked, and the first learning rate is what training images that were held
out chose, under two other seeds. Corruptions are our own, made of 8-bit images.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import PGD, DomainAdversarialTrainer, StrongestAttack
from art_domainrand.data import LabelledImages, digits
from art_domainrand.estimators import predict
from art_domainrand.randomization import CorruptionSuite, Pipeline, preset

from strength_models import data

RATE = 0.03  # at 0.1 this network is right on half as many images of CIFAR-10, with a policy or without

# Name -> pipeline, or None, and objective. Where it is "madry", an attack of no radius leaves images as they are.
POLICIES: dict[str, tuple[Pipeline | None, str]] = {
    "none": (None, "madry"),
    "trivial_augment": (preset("trivial_augment"), "madry"),
    "idbh_strong": (preset("idbh_strong"), "madry"),
    "augmix": (preset("augmix"), "madry"),
    "augmix + JSD": (preset("augmix"), "augmix"),
    "prime": (preset("prime"), "madry"),
    "prime + JSD": (preset("prime"), "augmix"),
}


def small_net(size: int) -> nn.Module:
    """Three convolutions with batch normalization, each on half the side."""
    layers: list[nn.Module] = []
    for before, width in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (size // 8) ** 2, 10))


def in_colour(images: LabelledImages) -> LabelledImages:
    """Grey images as RGB, for policies of colour."""
    return LabelledImages(np.repeat(images.x, 4 - images.x.shape[1], 1)[:, :3], images.y, images.classes)


def trained(train: LabelledImages, policy: str, seed: int, epochs: int, eps: float) -> tuple[PyTorchClassifier, float]:
    """A network trained with a policy, within ``eps`` if that is not zero, and how many seconds that took."""
    pipeline, objective = POLICIES[policy]
    torch.manual_seed(seed)
    net = small_net(train.x.shape[2])
    classifier = PyTorchClassifier(
        net,
        nn.CrossEntropyLoss(),
        train.x.shape[1:],
        10,
        torch.optim.SGD(net.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4),
        clip_values=(0, 1),
        device_type="cpu",
    )
    radius, steps = (eps, 7) if eps else (1e-6, 1)
    attack = PGD(classifier, eps=radius, eps_step=radius / 4 if eps else radius, max_iter=steps, verbose=False)
    trainer = DomainAdversarialTrainer(
        classifier, attack, randomization=pipeline, objective=objective, schedule="cosine", seed=seed, verbose=False
    )
    start = time.perf_counter()
    trainer.fit(train.x, train.y, batch_size=128, nb_epochs=epochs)
    return classifier, time.perf_counter() - start


def accuracy(classifier: PyTorchClassifier, x: np.ndarray, y: np.ndarray) -> float:
    """In per cent."""
    return 100 * float((predict(classifier, x, batch_size=256).argmax(1) == y).mean())


def robust(classifier: PyTorchClassifier, images: LabelledImages, eps: float, seed: int) -> float:
    """What is left of them under the quick budget, in per cent."""
    attack = StrongestAttack(classifier, eps=eps, budget="quick", seed=seed, batch_size=256, verbose=False)
    return accuracy(classifier, attack.generate(images.x, images.y), images.y)


def row(policy: str, found: list[tuple[float, ...]]) -> str:
    """Mean and standard deviation over seeds."""
    columns = []
    for values in zip(*found, strict=True):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        columns.append(f"{statistics.mean(values):.1f} ± {spread:.1f}")
    return f"| {policy} | {' | '.join(columns)} |"


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="learned.py mixing", description=__doc__)
    parser.add_argument("--cifar", type=Path, help="folder or archive of CIFAR-10 in place of the digits")
    parser.add_argument("--images", type=int, default=4000, help="training images of CIFAR-10")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--eps", type=float, default=0.0, help="train and attack within this radius")
    parser.add_argument("--severities", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    options = parser.parse_args(arguments)
    if options.cifar is None:
        train, test = (in_colour(part) for part in digits(16))
    else:
        train, test = data("cifar", options.cifar, options.images)
    suite = CorruptionSuite(severities=options.severities)
    shifted = [(name, images) for name, _, images in suite.corrupted(test.x)]
    print(f"{len(train)} training and {len(test)} test images, {options.epochs} epochs, {options.seeds} seeds, ")
    print(f"{len(suite)} corruptions (severities {options.severities}), one thread\n")
    columns = ["policy", "clean", "corrupted", "seconds"] + ["robust"] * bool(options.eps)
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for policy in options.policies:
        found = []
        for seed in range(options.seeds):
            classifier, seconds = trained(train, policy, seed, options.epochs, options.eps)
            corrupted = statistics.mean(accuracy(classifier, images, test.y) for _, images in shifted)
            left = (robust(classifier, test, options.eps, seed),) if options.eps else ()
            found.append((accuracy(classifier, test.x, test.y), corrupted, seconds, *left))
        print(row(policy, found), flush=True)


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    main(sys.argv[1:])
