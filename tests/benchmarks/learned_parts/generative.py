"""AdvGAN beside PGD, and a learned domain beside matched statistics, on digits.

``python tests/benchmarks/learned.py generative``. Networks and classifiers learn from training images alone; what is
reported is of test images, which choose nothing.
"""

import argparse
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier

sys.path.insert(0, str(Path(__file__).parents[1]))
from art_domainrand import PGD, DomainGenerator, PerturbationGenerator, domain_mapping
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.random import TRIAL, derive, keys_of
from art_domainrand.data import LabelledImages, digits
from art_domainrand.demo.training import make_classifier, plain_epoch
from art_domainrand.randomization.domains.parts import clouds

import measure

EPS = 0.2
CPU = torch.device("cpu")


def classifier(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> PyTorchClassifier:
    """The demo's network after some epochs of ART's own training."""
    data = LabelledImages(x, y, tuple("0123456789"))
    with seeded_global_rng(seed, CPU):
        found = make_classifier(data)
        epoch = plain_epoch(found, data)
        for number in range(epochs):
            epoch(number)
    return found


def accuracy(model: PyTorchClassifier, x: np.ndarray, y: np.ndarray) -> float:
    return 100 * float((model.predict(x).argmax(1) == y).mean())


def perturbations(seed: int, rounds: int) -> dict[str, float]:
    """AdvGAN and PGD-20 on test images, at L-inf 0.2: accuracy left, and the time of ``generate``."""
    learn, test = digits(seed=seed)
    model = classifier(learn.x, learn.y, seed, epochs=15)
    ours = PerturbationGenerator(model, eps=EPS, seed=seed, epochs=15, batch_size=128)
    _, fitting = measure.timed(lambda: ours.fit(learn.x, learn.y))
    pgd = PGD(model, eps=EPS, eps_step=EPS / 8, max_iter=20, batch_size=128, verbose=False)
    sides = {"AdvGAN": lambda: ours.generate(test.x), "PGD-20": lambda: pgd.generate(test.x, test.y)}
    times = measure.interleaved(sides, rounds, CPU)
    made, found = (accuracy(model, run(), test.y) for run in sides.values())
    return {
        "clean": accuracy(model, test.x, test.y),
        "under AdvGAN": made,
        "under PGD-20": found,
        "AdvGAN, ms": 1000 * statistics.median(times["AdvGAN"]),
        "PGD-20, ms": 1000 * statistics.median(times["PGD-20"]),
        "times as fast": measure.ratio(times, "PGD-20", "AdvGAN")[0],
        "fit, s": fitting,
    }


def on_texture(x: np.ndarray, seed: int) -> np.ndarray:
    """Digits in dark ink on bright paper, both uneven: inverted, and blended with two random textures."""
    images = torch.from_numpy(x)
    keys = keys_of(seed, TRIAL, torch.arange(len(x)))
    paper, ink = (clouds(images, derive(keys, part), 4) for part in range(2))
    return ((0.45 + 0.55 * paper) * (1 - images) + 0.25 * ink * images).numpy()


def domains(seed: int, epochs: int, restarts: int) -> dict[str, float]:
    """Accuracy on the target domain of classifiers that were trained on source images, mapped in several ways."""
    learn, test = digits(16, seed=seed)
    half = len(learn) // 2  # the target has other digits than the source: no pairs
    x, y = learn.x[:half], learn.y[:half]
    target, unseen = on_texture(learn.x[half:], 2 * seed), on_texture(test.x, 2 * seed + 1)
    domain = DomainGenerator()
    _, fitting = measure.timed(lambda: domain.fit(x, target, epochs=epochs, restarts=restarts, seed=seed))
    mapped = {
        "source as it is": x,
        "moments": domain_mapping(x, "moments", 5, target),
        "histogram": domain_mapping(x, "histogram", 5, target),
        "inverted by hand": 1 - x,
        "learned domain": domain_mapping(x, domain, 5, seed=seed),
    }
    found = {name: accuracy(classifier(images, y, seed, 15), unseen, test.y) for name, images in mapped.items()}
    found["target with labels"] = accuracy(classifier(target, learn.y[half:], seed, 15), unseen, test.y)
    found["source on source"] = accuracy(classifier(x, y, seed, 15), test.x, test.y)
    return found | {"fit, s": fitting}


def row(name: str, values: list[float]) -> dict[str, Any]:
    """A row of the table: each seed, and mean and standard deviation over them."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    seeds = {f"seed {k}": round(value, 1) for k, value in enumerate(values)}
    return {"what": name, "mean": round(statistics.mean(values), 1), "sd": round(spread, 1), **seeds}


def main(arguments: list[str]) -> None:
    """Run and print both tables."""
    parser = argparse.ArgumentParser(prog="learned.py generative", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7, help="of the timing")
    parser.add_argument("--epochs", type=int, default=15, help="of the learned domain")
    parser.add_argument("--restarts", type=int, default=3, help="of the learned domain")
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tables = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="art")
        for title, part in (
            ("AdvGAN at L-inf 0.2, accuracy in %", lambda seed: perturbations(seed, asked.rounds)),
            ("Inverted digits on texture, accuracy in %", lambda seed: domains(seed, asked.epochs, asked.restarts)),
        ):
            found = [part(seed) for seed in range(asked.seeds)]
            tables[title] = found
            print(f"\n{title}\n", flush=True)
            measure.print_table([row(name, [one[name] for one in found]) for name in found[0]])
    measure.write(asked.json, {"surroundings": measure.surroundings(CPU), "tables": tables})


if __name__ == "__main__":
    main(sys.argv[1:])
